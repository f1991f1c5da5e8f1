//! Deletions: kept as marks, or done.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use archive::tar::Entry;
use sys::dir;

use super::attributes::{Late, Wanted};
use super::dirs::{Dir, Made};
use super::{Applier, EntryError};
use crate::error::{EntryFault, Error, Result, as_path};
use crate::{Whiteouts, name};

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
        match self.options.whiteouts.delete(&dir.fd, gone)? {
            Some(mark) => {
                // Owner and time of a deletion are part of what a diff shows of it.
                let wanted = Wanted { xattrs: Vec::new(), ..Wanted::of(entry) };
                self.attributes.special(&dir.fd, &mark, &wanted, dir.group, false)
            }
            None => Ok(()),
        }
    }

    /// This directory of the layer hides what lower layers have in it.
    pub(super) fn make_opaque(&mut self, real: &[u8]) -> Result<()> {
        if !self.opaque.insert(real.to_vec()) {
            return Ok(());
        }
        match self.options.whiteouts {
            Whiteouts::Delete => self.sweep(real),
            kept => Ok(kept.make_opaque(self.root.dir_nofollow(as_path(real))?)?),
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
    pub(super) fn pending(&mut self) -> super::Pending {
        let mut pending = super::Pending {
            kept: self.options.whiteouts,
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
