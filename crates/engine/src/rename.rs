//! Renames containers.

use model::ContainerId;

use crate::{Engine, Result};

impl Engine {
    /// Gives the container another name. Durable when this returns.
    pub fn rename(&self, container: &ContainerId, name: &str) -> Result<()> {
        todo!()
    }
}
