//! Copies of small files.

use std::ffi::OsStr;

use sys::{FileKind, OwnedFd, dir, meta};

use crate::error::Result;

/// Copies `name`, a file or a directory with all that is in it, in the place of what has this name in `to`. Modes are
/// kept, times are not. What is not there is no error.
pub(super) fn replace(from: &OwnedFd, to: &OwnedFd, name: &OsStr) -> Result<()> {
    let Some(found) = meta::find(from, name)? else { return Ok(()) };
    sys::tree::remove(to, name)?;
    copy(from, to, name, &found)
}

/// The directories of the store are a few levels deep.
fn copy(from: &OwnedFd, to: &OwnedFd, name: &OsStr, found: &meta::Meta) -> Result<()> {
    match found.kind {
        FileKind::Dir => {
            let (from, to) = (dir::open(from, name)?, dir::ensure(to, name, found.mode)?);
            for entry in dir::list(&from)? {
                let found = meta::of(&from, &entry.name)?;
                copy(&from, &to, &entry.name, &found)?;
            }
            Ok(())
        }
        FileKind::File => {
            let bytes = sys::atomic::read(from, name)?;
            Ok(sys::atomic::create_unsynced(to, name, found.mode, &bytes).map(drop)?)
        }
        // Nothing that a store has.
        _ => Ok(()),
    }
}
