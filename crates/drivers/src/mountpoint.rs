//! The place where a layer's tree is mounted, and what is on it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use model::CacheId;
use sys::{Errno, OwnedFd};

use crate::driver::Access;
use crate::{Error, Result};

/// A directory that one layer's tree is mounted on.
#[derive(Debug)]
pub(crate) struct MountPoint<'a> {
    /// The directory that it is in.
    pub dir: &'a OwnedFd,
    /// Its name there.
    pub name: &'a OsStr,
    /// Its path.
    pub path: PathBuf,
}

/// What is on a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing, or there is no mount point.
    Free,
    /// A mount.
    Mounted {
        /// Whether it refuses writes.
        read_only: bool,
    },
    /// A mount whose server died.
    Dead,
}

/// What came of an unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There was no mount.
    Free,
    /// Nobody works on the layer any more.
    Settled,
    /// The name is free, but a process still works in the tree.
    Lingers,
}

impl MountPoint<'_> {
    /// What is mounted here in the namespace of this thread.
    pub fn state(&self) -> Result<State> {
        match sys::mount::at(self.dir, self.name) {
            Ok(None) => Ok(State::Free),
            Ok(Some(mounted)) => Ok(State::Mounted { read_only: mounted.read_only }),
            Err(e) if e.errno == Errno::NOTCONN => Ok(State::Dead),
            Err(e) => Err(e.into()),
        }
    }

    /// The path of the mount, if there is one.
    pub fn mounted(&self) -> Result<Option<PathBuf>> {
        Ok((self.state()? != State::Free).then(|| self.path.clone()))
    }

    /// Whether the mount that is there will do for this access; a dead one is taken away first.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] if it is for reading only.
    pub fn serves(&self, id: &CacheId, access: Access) -> Result<bool> {
        match self.state()? {
            State::Mounted { read_only: true } if access == Access::Write => {
                Err(Error::ReadOnly { id: id.clone(), why: "it is mounted for reading" })
            }
            State::Mounted { .. } => Ok(true),
            State::Dead => sys::mount::detach(&self.path).map(|()| false).map_err(Error::from),
            State::Free => Ok(false),
        }
    }

    /// Unmounts; if a process works in the tree, the name is free all the same. `has_ended` waits for what an unmount
    /// leaves behind, and says whether it is gone.
    pub fn end(&self, has_ended: impl FnOnce() -> Result<bool>) -> Result<Ended> {
        let settled = match self.state()? {
            State::Free => return Ok(Ended::Free),
            State::Dead => detach(&self.path).map(|()| true)?,
            State::Mounted { read_only } => match sys::mount::unmount(&self.path) {
                Err(e) if e.errno == Errno::BUSY => detach(&self.path).map(|()| read_only)?,
                other => other.map_err(Error::from).and_then(|()| has_ended())?,
            },
        };
        Ok(if settled { Ended::Settled } else { Ended::Lingers })
    }
}

fn detach(path: &Path) -> Result<()> {
    Ok(sys::mount::detach(path)?)
}
