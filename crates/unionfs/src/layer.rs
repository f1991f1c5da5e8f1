//! The layers of a union, opened.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::backing::{self, At};
use crate::error::Error;

/// One layer's root directory.
#[derive(Debug)]
pub struct Layer {
    /// The root, open for reading. Lower layers are reached through a read-only mount of their own, where this process
    /// may mount: whatever else goes wrong, nothing is written to them.
    pub root: OwnedFd,
    /// The device that it lies on.
    pub device: u64,
    /// The UUID of its file system; zeros if that does not tell.
    pub uuid: [u8; 16],
}

impl Layer {
    /// Opens a lower layer.
    pub fn open_lower(path: &Path) -> Result<Self, Error> {
        match sys::mount::read_only_clone(path) {
            Ok(root) => Self::new(root, path),
            // Without the right to mount the file system's own permissions are all that protects the layer; we never
            // open anything in it for writing.
            Err(e) if e.errno == rustix::io::Errno::PERM => Self::open_upper(path),
            Err(e) => Err(Error::Layer { path: path.to_owned(), errno: e.errno }),
        }
    }

    /// Opens a layer where it is.
    pub fn open_upper(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| Error::Layer { path: path.to_owned(), errno })?;
        Self::new(root, path)
    }

    fn new(root: OwnedFd, path: &Path) -> Result<Self, Error> {
        let stat =
            At::itself(&root).stat().map_err(|errno| Error::Layer { path: path.to_owned(), errno })?;
        let uuid = sys::handle::fs_uuid(root.as_fd()).unwrap_or_default();
        Ok(Self { device: backing::device(&stat), root, uuid })
    }
}
