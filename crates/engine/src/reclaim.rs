//! Gives the space of what was removed back.

use crate::{Engine, Result};

impl Engine {
    /// Whether there is something to reclaim. Costs two system calls.
    pub fn has_trash(&self) -> Result<bool> {
        todo!()
    }

    /// Empties the trash. Several processes can do it at once; one that is killed leaves the rest to the next.
    pub fn reclaim(&self) -> Result<()> {
        todo!()
    }
}
