//! Removes containers.

use model::ContainerId;

use crate::{Engine, Result};

impl Engine {
    /// Removes a container with its writable layer, whose space `reclaim` gives back. `force` removes one that is recorded as running.
    pub fn remove_container(&self, container: &ContainerId, force: bool) -> Result<()> {
        todo!()
    }
}
