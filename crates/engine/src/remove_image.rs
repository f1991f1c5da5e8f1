//! Removes images and names of images (moby.md §12.5).

use crate::{Engine, Result};

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveImage {
    /// Although stopped containers use it, and although an ID has several names.
    pub force: bool,
    /// Leave parents that have no name.
    pub no_prune: bool,
}

/// Something that was removed, in the words of `docker rmi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name, in familiar form.
    Untagged(String),
    /// An image or a layer chain, `sha256:…`.
    Deleted(String),
}

impl Engine {
    /// Removes a name or an image by ID. The layers that nobody uses any more are moved to the trash; `reclaim` gives their space back.
    pub fn remove_image(&self, name: &str, options: RemoveImage) -> Result<Vec<Removed>> {
        todo!()
    }
}
