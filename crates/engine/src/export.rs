//! The tree of a container as an archive.

use std::io::Write;

use model::ContainerId;
use model::progress::Progress;

use crate::{Engine, Result};

impl Engine {
    /// Writes the container's whole tree as a tar archive.
    pub fn export(&self, container: &ContainerId, out: &mut dyn Write, progress: &dyn Progress) -> Result<()> {
        todo!()
    }
}
