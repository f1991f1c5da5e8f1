//! The steps that made an image.

use model::{ImageId, Timestamp};

use crate::{Engine, Result};

/// One step, as `history` shows it.
#[derive(Debug, Clone)]
pub struct HistoryItem {
    /// The image that this step ended with, if it is here.
    pub id: Option<ImageId>,
    /// When.
    pub created: Option<Timestamp>,
    /// The command.
    pub created_by: String,
    /// Bytes in the step's layer; 0 if it made none.
    pub size: u64,
    /// What its author said.
    pub comment: String,
    /// Names of `id`.
    pub tags: Vec<String>,
}

impl Engine {
    /// The steps, newest first (moby.md §12.1).
    pub fn history(&self, image: &ImageId) -> Result<Vec<HistoryItem>> {
        todo!()
    }
}
