//! The layers of a union, opened.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::backing::{self, At};
use crate::error::Error;

/// One layer's root directory.
#[derive(Debug)]
pub struct Layer {
    /// The root (`O_PATH`). Lower layers are reached through a read-only mount of their own, where this process may
    /// mount: whatever else goes wrong, nothing is written to them.
    pub root: OwnedFd,
    /// The device that it lies on.
    pub device: u64,
    /// The root opened for reading, and the UUID of its file system: when they are needed first.
    readable: OnceLock<Option<(OwnedFd, [u8; 16])>>,
}

impl Layer {
    /// Opens a lower layer.
    pub fn open_lower(path: &Path) -> Result<Self, Error> {
        match sys::mount::read_only_clone(path) {
            Ok(root) => Self::new(root, path),
            // Without the right to mount the file system's own permissions are all that protects the layer; we never
            // open anything in it for writing.
            Err(e) if e.errno == Errno::PERM => Self::open_upper(path),
            Err(e) => Err(Error::Layer { path: path.to_owned(), errno: e.errno }),
        }
    }

    /// Opens a layer where it is.
    pub fn open_upper(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| Error::Layer { path: path.to_owned(), errno })?;
        Self::new(root, path)
    }

    fn new(root: OwnedFd, path: &Path) -> Result<Self, Error> {
        let fail = |errno| Error::Layer { path: path.to_owned(), errno };
        let stat = At::itself(&root).stat().map_err(fail)?;
        if backing::kind(&stat) != backing::DIR {
            return Err(fail(Errno::NOTDIR));
        }
        Ok(Self { device: backing::device(&stat), root, readable: OnceLock::new() })
    }

    /// The root opened for reading, for calls that want that of a file system.
    pub fn readable(&self) -> backing::Result<&OwnedFd> {
        self.opened().map(|(root, _)| root).ok_or(Errno::ACCESS)
    }

    /// The UUID of its file system; zeros if that does not tell.
    pub fn uuid(&self) -> [u8; 16] {
        self.opened().map_or([0; 16], |(_, uuid)| *uuid)
    }

    fn opened(&self) -> Option<&(OwnedFd, [u8; 16])> {
        let open = || {
            let root = backing::open_for_listing(self.root.as_fd()).ok()?;
            let uuid = sys::handle::fs_uuid(&root).unwrap_or_default();
            Some((root, uuid))
        };
        self.readable.get_or_init(open).as_ref()
    }
}
