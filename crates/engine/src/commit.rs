//! Makes an image of a container.

use model::{ContainerId, ImageId, Reference};

use crate::{Engine, Result};

/// What the new image shall say.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Its name.
    pub reference: Option<Reference>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub message: String,
    /// Dockerfile instructions to apply to the configuration.
    pub changes: Vec<String>,
}

impl Engine {
    /// Makes an image of the container's image and the container's changes. Durable when this returns.
    pub fn commit(&self, container: &ContainerId, options: &CommitOptions) -> Result<ImageId> {
        todo!()
    }
}
