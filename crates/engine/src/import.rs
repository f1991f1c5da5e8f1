//! Makes an image of an archive of files.

use model::progress::Progress;
use model::{ImageId, Platform, Reference};

use crate::load::Input;
use crate::{Engine, Result};

/// What the new image shall say.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Its name.
    pub reference: Option<Reference>,
    /// The comment of its one step; `Imported from -` in Docker's words if absent.
    pub message: String,
    /// Dockerfile instructions to apply to the configuration.
    pub changes: Vec<String>,
    /// What it is for; this machine if absent.
    pub platform: Option<Platform>,
}

impl Engine {
    /// Makes an image of one layer. Durable when this returns.
    pub fn import(&self, input: Input, options: &ImportOptions, progress: &dyn Progress) -> Result<ImageId> {
        todo!()
    }
}
