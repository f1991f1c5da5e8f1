//! `cp`: files between a container and the host.

use std::io::{Read, Write};
use std::path::Path;

use model::ContainerId;

use crate::{Engine, Result};

impl Engine {
    /// Writes what is at `path` in the container as a tar archive.
    pub fn copy_from(&self, container: &ContainerId, path: &Path, follow: bool, out: &mut dyn Write) -> Result<()> {
        todo!()
    }

    /// Unpacks a tar archive into the directory `path` of the container.
    pub fn copy_to(&self, container: &ContainerId, path: &Path, archive: &mut dyn Read, keep_owners: bool) -> Result<()> {
        todo!()
    }
}
