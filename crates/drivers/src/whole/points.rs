//! Where trees are mounted that are file systems of their own: a directory of the home, with one for each layer.

use std::ffi::OsStr;
use std::path::PathBuf;

use model::CacheId;
use sys::mount::{Detached, Mounted};
use sys::{Errno, OwnedFd, dir};

use super::Home;
use crate::Result;

/// The directory of mount points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MountPoints<'a> {
    home: &'a Home,
    name: &'static str,
}

/// How a mount ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There was none.
    Absent,
    /// Nobody used it.
    Unused,
    /// Somebody did, and keeps the tree until he lets go.
    InUse,
}

impl<'a> MountPoints<'a> {
    /// The directory `name` of the home, made when it is needed.
    pub(crate) fn new(home: &'a Home, name: &'static str) -> Self {
        Self { home, name }
    }

    /// Where a layer is, or would be, mounted.
    pub(crate) fn path(self, id: &CacheId) -> PathBuf {
        self.home.path.join(self.name).join(id.as_str())
    }

    /// What is mounted for a layer in the namespace of this thread.
    pub(crate) fn mounted(self, id: &CacheId) -> Result<Option<Mounted>> {
        match self.dir()? {
            Some(dir) => Ok(sys::mount::at(&dir, OsStr::new(id.as_str()))?),
            None => Ok(None),
        }
    }

    /// Hangs a layer's file system on its mount point.
    pub(crate) fn attach(self, id: &CacheId, mount: Detached) -> Result<()> {
        let dir = dir::ensure(&self.home.fd, OsStr::new(self.name), 0o755)?;
        dir::ensure(&dir, OsStr::new(id.as_str()), 0o755)?;
        Ok(mount.attach(&self.path(id))?)
    }

    /// Unmounts a layer, and removes its mount point.
    pub(crate) fn end(self, id: &CacheId) -> Result<Ended> {
        let Some(dir) = self.dir()? else { return Ok(Ended::Absent) };
        let (name, point) = (OsStr::new(id.as_str()), self.path(id));
        let ended = match sys::mount::at(&dir, name)? {
            None => Ended::Absent,
            Some(_) => match sys::mount::unmount(&point) {
                Err(e) if e.errno == Errno::BUSY => sys::mount::detach(&point).map(|()| Ended::InUse)?,
                other => other.map(|()| Ended::Unused)?,
            },
        };
        match dir::rmdir(&dir, name) {
            // Mounted elsewhere, or somebody has put files there: it does no harm.
            Err(e) if !matches!(e.errno, Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => Err(e.into()),
            _ => Ok(ended),
        }
    }

    fn dir(self) -> Result<Option<OwnedFd>> {
        match dir::open(&self.home.fd, OsStr::new(self.name)) {
            Ok(dir) => Ok(Some(dir)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
