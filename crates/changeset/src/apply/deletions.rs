//! Deletions: kept as OverlayFS reads them, or done.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use archive::tar::Entry;
use sys::{Errno, FileKind, dir, xattr};

use super::attributes::{Late, Wanted};
use super::dirs::{Dir, Made};
use super::{Applier, EntryError};
use crate::error::{EntryFault, Error, Result, as_path};
use crate::{Whiteouts, XattrSpace, name};

impl Applier {
    /// The lower layers' `gone` is gone; what this layer has there stays, and is all that is there.
    pub(super) fn whiteout(&mut self, dir: &Dir, gone: &OsStr, entry: &Entry) -> Result<(), EntryError> {
        let real = name::join(&dir.real, gone.as_bytes());
        match self.made.get(&real) {
            Some(Made::Dir | Made::ImpliedNew) => Ok(self.make_opaque(&real)?),
            Some(Made::Implied) => {
                if self.options.whiteouts == Whiteouts::Delete {
                    self.forget_lower(&real)?;
                }
                self.made.insert(real.clone(), Made::ImpliedNew);
                Ok(self.make_opaque(&real)?)
            }
            Some(_) => Ok(()),
            None => {
                self.delete(dir, gone, entry)?;
                self.made.insert(real, Made::Whiteout);
                Ok(())
            }
        }
    }

    fn delete(&mut self, dir: &Dir, gone: &OsStr, entry: &Entry) -> Result<(), EntryError> {
        if self.options.whiteouts == Whiteouts::Delete {
            return Ok(sys::tree::remove(&dir.fd, gone)?);
        }
        match whiteout_at(&dir.fd, gone) {
            Err(e) if e.errno == Errno::EXIST => {
                sys::tree::remove(&dir.fd, gone)?;
                whiteout_at(&dir.fd, gone)?;
            }
            other => other?,
        }
        // Owner and time of a deletion are part of what a diff shows of it.
        let wanted = Wanted { xattrs: Vec::new(), ..Wanted::of(entry) };
        self.attributes.special(&dir.fd, gone, &wanted, dir.group, false)
    }

    /// This directory of the layer hides what lower layers have in it.
    pub(super) fn make_opaque(&mut self, real: &[u8]) -> Result<()> {
        if !self.opaque.insert(real.to_vec()) {
            return Ok(());
        }
        match self.options.whiteouts {
            Whiteouts::Overlay(space) => {
                let fd = self.root.dir_nofollow(as_path(real))?;
                Ok(xattr::set_fd(&fd, space.opaque(), b"y")?)
            }
            Whiteouts::Delete => self.sweep(real),
        }
    }

    /// Removes what lower layers have below `real`.
    fn sweep(&mut self, real: &[u8]) -> Result<()> {
        let mut rest = vec![real.to_vec()];
        while let Some(real) = rest.pop() {
            let fd = self.root.dir_nofollow(as_path(&real))?;
            for entry in dir::list(&fd)? {
                let child = name::join(&real, entry.name.as_bytes());
                match self.made.get(&child) {
                    None | Some(Made::Whiteout) => sys::tree::remove(&fd, &entry.name)?,
                    Some(Made::Dir | Made::ImpliedNew) => rest.push(child),
                    Some(Made::Implied) => {
                        self.forget_lower(&child)?;
                        self.made.insert(child.clone(), Made::ImpliedNew);
                        rest.push(child);
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Takes from a directory what it has from a lower layer.
    fn forget_lower(&mut self, real: &[u8]) -> sys::Result<()> {
        if let Some(late) = self.late.get_mut(real) {
            *late = Late::time(late.as_new);
        }
        let fd = self.root.dir_nofollow(as_path(real))?;
        self.attributes.strip(&fd)?;
        self.attributes.plain_dir(&fd)
    }

    /// Whether this layer leaves nothing of lower layers at `path`, whatever it has there itself.
    fn hides(&self, path: &[u8]) -> bool {
        name::ancestors(path).any(|above| {
            self.opaque.contains(above) || self.made.get(above).is_some_and(|made| !made.is_dir())
        })
    }

    /// Refuses hard links to what turned out not to be a lower layer's file.
    pub(super) fn check_links(&self) -> Result<()> {
        for link in &self.links {
            let target = link.target.as_os_str().as_bytes();
            let fault = match self.made.get(target) {
                Some(Made::Whiteout) => EntryFault::LinkToNothing(link.target.clone()),
                Some(Made::LowerLink) => continue,
                Some(_) => EntryFault::LinkToLater(link.target.clone()),
                None if self.hides(target) || self.is_missing(link) => {
                    EntryFault::LinkToNothing(link.target.clone())
                }
                None => continue,
            };
            return Err(Error::Entry { path: link.path.clone(), fault });
        }
        Ok(())
    }

    /// Whether a hard link could not be made though all lower layers are there.
    fn is_missing(&self, link: &super::LowerLink) -> bool {
        self.options.whiteouts == Whiteouts::Delete
            && self.made.get(link.path.as_os_str().as_bytes()) == Some(&Made::LowerLink)
    }

    /// What is left to do when the lower layers are there.
    pub(super) fn pending(&mut self, space: XattrSpace) -> super::Pending {
        let mut pending = super::Pending {
            space,
            links: std::mem::take(&mut self.links),
            root_opaque: self.opaque.contains(&b""[..]),
            ..super::Pending::default()
        };
        for (path, made) in &self.made {
            let list = match made {
                Made::Implied if !self.hides(path) => &mut pending.implied,
                Made::Whiteout if self.hides(path) => &mut pending.idle_whiteouts,
                Made::Whiteout => &mut pending.whiteouts,
                _ => continue,
            };
            list.push(as_path(path).to_owned());
        }
        for list in [&mut pending.implied, &mut pending.idle_whiteouts, &mut pending.whiteouts] {
            list.sort_unstable();
        }
        pending
    }
}

/// Whether OverlayFS hides the lower layers' content of this directory.
pub(crate) fn is_opaque(fd: impl sys::AsFd, space: XattrSpace) -> sys::Result<bool> {
    Ok(xattr::get_fd(fd, space.opaque())?.is_some_and(|value| value == b"y"))
}

/// Makes OverlayFS's whiteout of `name`.
pub(super) fn whiteout_at(parent: impl sys::AsFd, name: &OsStr) -> sys::Result<()> {
    dir::mknod(parent, name, FileKind::CharDevice, 0, 0, 0)
}
