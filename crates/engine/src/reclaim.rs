//! Gives the space of what was removed back.

use crate::{Engine, Error, Result};

impl Engine {
    /// Whether there is something to reclaim. Costs a few system calls.
    pub fn has_trash(&self) -> Result<bool> {
        Ok(self.driver.has_trash()? || self.has_migrated_from()?)
    }

    /// Empties the trash, at low priority. Several processes can do it at once; one that is killed leaves the rest to
    /// the next.
    pub fn reclaim(&self) -> Result<()> {
        self.remove_migrated_from()?;
        // In threads of their own: a priority that was lowered cannot be raised again. They share the work as several
        // processes would.
        std::thread::scope(|scope| {
            let sweep = || {
                sys::process::lower_priority();
                self.driver.sweep()
            };
            let sweepers: Vec<_> = (0..self.threads).map(|_| scope.spawn(sweep)).collect();
            sweepers.into_iter().try_for_each(|sweeper| {
                sweeper.join().map_err(|_| Error::thread("sweeping", self.driver.name()))??;
                Ok(())
            })
        })
    }
}
