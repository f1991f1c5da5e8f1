//! Mounts containers and shows what changed in them.

use std::path::PathBuf;

use changeset::Change;
use model::ContainerId;

use crate::{Engine, Result};

impl Engine {
    /// Makes the container's tree available and returns its path. The mount outlives this process.
    pub fn mount(&self, container: &ContainerId, access: drivers::Access) -> Result<PathBuf> {
        todo!()
    }

    /// Ends the mount; says whether there was one.
    pub fn unmount(&self, container: &ContainerId) -> Result<bool> {
        todo!()
    }

    /// The containers that are mounted in this mount namespace.
    pub fn mounts(&self) -> Result<Vec<(ContainerId, PathBuf)>> {
        todo!()
    }

    /// What the container changed in its image, sorted by path. Reads the writable layer only.
    pub fn diff(&self, container: &ContainerId) -> Result<Vec<Change>> {
        todo!()
    }
}
