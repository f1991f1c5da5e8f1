//! The lock under which names are published and removed.

use sys::OwnedFd;
use sys::lock::{Lock, Mutual};

use crate::daemon::{self, Guard};
use crate::error::{Error, Result};
use crate::root::DataRoot;
use crate::small::{find_dir, os};

/// Held while names are published or removed, for milliseconds: one process at a time, and no Docker daemon starts
/// meanwhile. Readers take no lock. Whatever changes a name asks for it, so the compiler sees that it is held.
///
/// While it is held the index of back references is up to date.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct CommitLock<'a> {
    pub(crate) index: OwnedFd,
    pub(crate) root: &'a DataRoot,
    _lock: Lock,
    _guard: Guard,
}

impl DataRoot {
    /// Waits for the right to publish and remove names, and brings the index of back references up to date if a
    /// daemon, or a power cut, left it behind.
    ///
    /// # Errors
    /// [`Error::ReadOnly`](crate::Error::ReadOnly), [`Error::DaemonRunning`](crate::Error::DaemonRunning),
    /// [`Error::Migrated`](crate::Error::Migrated), system calls.
    pub fn commit(&self) -> Result<CommitLock<'_>> {
        let private = self.writable(&self.dirs.private)?;
        let lock = sys::lock::take(private, os("commit.lock"), Mutual::Exclusive)?;
        self.require_in_place()?;
        let guard = daemon::guard(self.path())?;
        let index = self.backrefs().open_or_rebuild()?;
        Ok(CommitLock { index, root: self, _lock: lock, _guard: guard })
    }

    /// A migration moves the driver's directory away; what is published there then is lost.
    fn require_in_place(&self) -> Result<()> {
        let image = self.writable(&self.dirs.image)?;
        let now = find_dir(&self.dirs.root, "image")?.map(|all| sys::meta::find(&all, os(self.driver())));
        match (sys::meta::of_fd(image)?, now.transpose()?.flatten()) {
            (mine, Some(now)) if (mine.dev, mine.ino) == (now.dev, now.ino) => Ok(()),
            _ => Err(Error::Migrated(self.path().to_owned())),
        }
    }
}
