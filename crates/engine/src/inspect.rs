//! Everything about one image or container, as the document that `docker inspect` prints.

use model::{ContainerId, ImageId};
use serde_json::Value;

use crate::{Engine, Result};

impl Engine {
    /// The document of an image, keys in Docker 28's order.
    pub fn inspect_image(&self, image: &ImageId) -> Result<Value> {
        todo!()
    }

    /// The document of a container, keys in Docker 28's order; with `SizeRw` and `SizeRootFs` if asked for.
    pub fn inspect_container(&self, container: &ContainerId, size: bool) -> Result<Value> {
        todo!()
    }
}
