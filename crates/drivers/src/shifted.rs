//! Layers whose owners on the disk are not those that containers see (`userns-remap`, moby.md §2).

use std::path::Path;

use sys::idmap::Shift;
use sys::{AsFd, Errno, OwnedFd, Root, meta};

use crate::{Error, Result};

/// A driver's home, shown with the owners that containers see.
#[derive(Debug)]
pub(crate) struct Shifted {
    home: Root,
    root: (u32, u32),
}

impl Shifted {
    /// Shows the home at `path`. One mount for all layers, so that links between them can be made.
    ///
    /// # Errors
    /// [`Error::NoShift`] where the kernel or the file system cannot.
    pub fn open(shift: &Shift, path: &Path) -> Result<Self> {
        let home = shift.show(path).map_err(|error| match error.errno {
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => Error::NoShift {
                path: path.to_owned(),
                kernel: sys::process::kernel_release(),
                filesystem: crate::backing::name(path).unwrap_or("<unknown>"),
            },
            _ => error.into(),
        })?;
        Ok(Self { home: Root::from_fd(home, path), root: shift.map().root() })
    }

    /// Opens a directory of the home by its path.
    pub fn show(&self, path: &Path) -> Result<OwnedFd> {
        let below = path.strip_prefix(self.home.path()).unwrap_or(path);
        Ok(self.home.dir_nofollow(below)?)
    }

    /// Gives a directory to user and group 0 of containers.
    pub fn give(&self, dir: impl AsFd) -> Result<()> {
        Ok(meta::chown_fd(dir, self.root.0, self.root.1)?)
    }

    /// Lets group 0 of containers pass through a directory of root's.
    pub fn let_pass(&self, dir: impl AsFd) -> Result<()> {
        let now = meta::of_fd(&dir)?;
        if now.gid == self.root.1 { Ok(()) } else { Ok(meta::chown_fd(dir, now.uid, self.root.1)?) }
    }
}
