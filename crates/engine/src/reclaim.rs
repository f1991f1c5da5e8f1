//! Gives the space of what was removed back.

use crate::{Engine, Error, Result};

impl Engine {
    /// Empties the trash, at low priority. Several processes can do it at once; one that is killed leaves the rest to
    /// the next.
    pub fn reclaim(&self) -> Result<()> {
        // In a thread of its own: the priority of a thread cannot be raised again.
        std::thread::scope(|scope| {
            let sweeper = scope.spawn(|| {
                sys::process::lower_priority();
                self.driver.sweep()
            });
            sweeper.join().map_err(|_| Error::thread("sweeping", self.driver.name()))
        })??;
        Ok(())
    }
}
