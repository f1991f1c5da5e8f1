//! Locks between processes: flock(2), which goes with the descriptor, so a killed holder leaves none behind.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::{self as rfs, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{At, Error, Result};
use crate::{AsFd, OwnedFd};

/// A lock that is held until this is dropped.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct Lock {
    _fd: OwnedFd,
}

/// How a lock is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutual {
    /// Others may share it.
    Shared,
    /// Nobody else holds it.
    Exclusive,
}

/// Opens the lock file `name`, creating it (0600), and waits for the lock.
pub fn take(parent: impl AsFd, name: &OsStr, mutual: Mutual) -> Result<Lock> {
    lock(open(&parent, name)?, mutual)
}

/// Waits for the lock on an open directory or file.
pub fn lock(fd: OwnedFd, mutual: Mutual) -> Result<Lock> {
    loop {
        match rfs::flock(&fd, operation(mutual, false)) {
            Ok(()) => return Ok(Lock { _fd: fd }),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).at_fd("lock", &fd),
        }
    }
}

/// As [`take`], but gives `None` at once if somebody holds it.
pub fn try_take(parent: impl AsFd, name: &OsStr, mutual: Mutual) -> Result<Option<Lock>> {
    try_lock(open(&parent, name)?, mutual)
}

/// Takes the lock of a file that is there already, or says `None` if somebody holds it. Never creates the file.
pub fn try_existing(path: &Path, mutual: Mutual) -> Result<Option<Lock>> {
    let fd = rfs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at("open", path)?;
    try_lock(fd, mutual)
}

/// Takes the lock on an open directory or file, or says `None` if somebody holds it.
pub fn try_lock(fd: OwnedFd, mutual: Mutual) -> Result<Option<Lock>> {
    match rfs::flock(&fd, operation(mutual, true)) {
        Ok(()) => Ok(Some(Lock { _fd: fd })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(Error::new("lock", crate::error::path_of(&fd), e)),
    }
}

fn open(parent: impl AsFd, name: &OsStr) -> Result<OwnedFd> {
    let name = crate::dir::component("open lock", &parent, name)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rfs::openat(&parent, name, flags, Mode::from_raw_mode(0o600)).at_name("open lock", &parent, name)
}

fn operation(mutual: Mutual, at_once: bool) -> FlockOperation {
    match (mutual, at_once) {
        (Mutual::Shared, false) => FlockOperation::LockShared,
        (Mutual::Exclusive, false) => FlockOperation::LockExclusive,
        (Mutual::Shared, true) => FlockOperation::NonBlockingLockShared,
        (Mutual::Exclusive, true) => FlockOperation::NonBlockingLockExclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_as_long_as_the_lock_lives() {
        let tmp = tempfile::tempdir().unwrap();
        let open = || crate::dir::open_path(tmp.path()).unwrap();
        let held = lock(open(), Mutual::Exclusive).unwrap();
        assert!(try_lock(open(), Mutual::Shared).unwrap().is_none());
        drop(held);
        let _shared = lock(open(), Mutual::Shared).unwrap();
        assert!(try_lock(open(), Mutual::Shared).unwrap().is_some());
        assert!(try_lock(open(), Mutual::Exclusive).unwrap().is_none());
    }
}
