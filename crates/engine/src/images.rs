//! Lists images.

use std::collections::BTreeMap;

use model::{ImageId, Reference, Timestamp};

use crate::{Engine, Result};

/// What `images` shows of an image.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// Its ID.
    pub id: ImageId,
    /// The image that it was built on, if that is known here.
    pub parent: Option<ImageId>,
    /// Its names with tags.
    pub tags: Vec<Reference>,
    /// Its names with digests.
    pub digests: Vec<Reference>,
    /// When it was made; absent in some reproducible images.
    pub created: Option<Timestamp>,
    /// Bytes in all its layers, as recorded when they were unpacked.
    pub size: u64,
    /// Bytes in layers that other images have, too; counted by `system df` only.
    pub shared_size: Option<u64>,
    /// How many containers use it; counted by `system df` only.
    pub containers: Option<usize>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// The images, newest first. Without `all`, images that have no name and are the parent of another are left out.
    pub fn list_images(&self, all: bool) -> Result<Vec<ImageSummary>> {
        todo!()
    }
}
