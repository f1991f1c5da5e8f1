//! Gives the space of what was removed back.

use crate::{Engine, Error, Result};

/// Where all drivers keep what waits for removal, in their homes.
const TRASH: &str = ".layercake/trash";

impl Engine {
    /// Whether there is something to reclaim. Costs a few system calls.
    pub fn has_trash(&self) -> Result<bool> {
        match sys::dir::open_path(&self.driver.home().join(TRASH)) {
            Ok(trash) => Ok(!sys::dir::list(trash)?.is_empty()),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Empties the trash, at low priority. Several processes can do it at once; one that is killed leaves the rest to
    /// the next.
    pub fn reclaim(&self) -> Result<()> {
        // In a thread of its own: a priority that was lowered cannot be raised again.
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
