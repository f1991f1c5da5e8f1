//! Making whiteouts and opaque directories: as the kernel's overlay makes them; as AUFS spells them ([`crate::aufs`]) where
//! the upper layer's file system refuses devices or the kernel's attributes (an overlay, a network file system), or where
//! the upper layer is to be an AUFS's (`aufs_upper`).
//!
//! In an AUFS a whiteout hides what its own directory has under the name, too. So one that is made goes before what it
//! replaces, and one that is taken away after what comes: at every moment the name shows what it did or what it will.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use rustix::fs::{self as rfs, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::aufs;
use crate::backing::{At, Result};
use crate::marks;
use crate::union::Union;

impl Union {
    /// Hides a name that the upper directory does not have.
    pub(crate) fn put_whiteout(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        if self.options.aufs_upper {
            return self.put_aufs_whiteout(dir, name);
        }
        match self.work()?.link_whiteout(dir, name) {
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL) => self.put_aufs_whiteout(dir, name),
            other => other,
        }
    }

    /// Removes what the upper directory has under a name, and hides what is below.
    pub(crate) fn replace_by_whiteout(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        let work = self.work()?;
        let replaced = match self.options.aufs_upper {
            true => Err(Errno::OPNOTSUPP),
            false => work.replace_by_whiteout(dir, name),
        };
        match replaced {
            Ok(aside) => work.discard(&aside),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL) => {
                // First what hides, then what is to go: a crash in between changes nothing that shows.
                self.put_aufs_whiteout(dir, name)?;
                let aside = work.name();
                rfs::renameat(dir, name, &work.dir, &aside)?;
                work.discard(&aside);
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Lets nothing show through a directory of the upper layer.
    pub(crate) fn make_opaque(&self, dir: At<'_>) -> Result<()> {
        let marked = match self.options.aufs_upper {
            true => Err(Errno::OPNOTSUPP),
            false => marks::set(dir, &self.marks.opaque, b"y"),
        };
        match marked {
            Err(Errno::PERM | Errno::OPNOTSUPP) if self.options.aufs_whiteouts => {
                let inode = dir.pin()?;
                put_empty(&inode, OsStr::new(aufs::OPAQUE))
            }
            other => other,
        }
    }

    /// Takes away the whiteout of a name that the upper directory has now.
    pub(crate) fn unhide(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        match aufs::hiding(name).filter(|_| self.options.aufs_upper) {
            None => Ok(()),
            Some(whiteout) => match rfs::unlinkat(dir, whiteout, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                other => other,
            },
        }
    }

    fn put_aufs_whiteout(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        match aufs::hiding(name) {
            Some(whiteout) if self.options.aufs_whiteouts => put_empty(dir, &whiteout),
            Some(_) => Err(Errno::PERM),
            None => Err(Errno::NAMETOOLONG),
        }
    }
}

/// With the mode of AUFS's own.
fn put_empty(dir: &OwnedFd, name: &OsStr) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rfs::openat(dir, name, flags, Mode::from_raw_mode(0o444)).map(drop)
}
