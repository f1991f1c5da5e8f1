//! Removing: a name of the upper layer goes, and a whiteout hides what lower layers have under it (union-fs.md rules
//! 13, 16, 18, 52).

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{self as rfs, AtFlags};
use rustix::io::Errno;

use crate::backing::{At, Result};
use crate::lookup::{Found, FoundDir, FoundOther, key_of};
use crate::node::Node;
use crate::union::Union;

impl Union {
    /// Removes a name of anything but a directory.
    pub fn unlink(&self, parent: &Arc<Node>, name: &OsStr) -> Result<()> {
        let stack = parent.stack()?;
        let found = match self.find(&stack, name)?.ok_or(Errno::NOENT)? {
            Found::Other(found) => found,
            Found::Dir(_) => return Err(Errno::ISDIR),
        };
        let dir = self.upper_dir(parent)?;
        let _changing = parent.dir()?.changing();
        let below = self.shows(self.below_upper(&stack), name)?;
        self.losing(parent, name, &found, || {
            match (self.in_upper(&found), below) {
                (true, true) => self.replace_by_whiteout(&dir, name)?,
                (true, false) => rfs::unlinkat(&dir, name, AtFlags::empty())?,
                (false, _) => self.put_whiteout(&dir, name)?,
            }
            Ok(())
        })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOTEMPTY`: something shows in it.
    pub fn rmdir(&self, parent: &Arc<Node>, name: &OsStr) -> Result<()> {
        let stack = parent.stack()?;
        let found = match self.find(&stack, name)?.ok_or(Errno::NOENT)? {
            Found::Dir(found) => found,
            Found::Other(_) => return Err(Errno::NOTDIR),
        };
        if self.shows_anything(&found.stack)? {
            return Err(Errno::NOTEMPTY);
        }
        let dir = self.upper_dir(parent)?;
        let _changing = parent.dir()?.changing();
        let below = self.shows(self.below_upper(&stack), name)?;
        match (self.upper_of(&found.stack).is_some(), below) {
            (true, true) => self.replace_by_whiteout(&dir, name)?,
            (true, false) => self.remove_dir(&dir, name)?,
            (false, _) => self.put_whiteout(&dir, name)?,
        }
        self.lost_dir(&found);
        Ok(())
    }

    /// Removes a directory of the upper layer that holds nothing but whiteouts.
    fn remove_dir(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        match rfs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let work = self.work()?;
                let aside = work.name();
                rfs::renameat(dir, name, &work.dir, &aside)?;
                work.discard(&aside);
                Ok(())
            }
            other => other,
        }
    }

    /// A directory lost its name.
    pub(crate) fn lost_dir(&self, found: &FoundDir) {
        if let Some(node) = self.table.find(key_of(&found.stat)) {
            node.place().gone = true;
            self.table.unkey(&node);
        }
    }

    /// Whether the name is in the upper directory itself, not only its copy in the index.
    pub(crate) fn in_upper(&self, found: &FoundOther) -> bool {
        self.is_upper(found.layer) && found.indexed.is_none()
    }

    /// Takes a name from an inode by `remove`. Whoever still has it open goes on with it (rule 52).
    pub(crate) fn losing(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        found: &FoundOther,
        remove: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let node = self.table.find(key_of(&found.stat));
        let copy = match (
            &node,
            self.is_upper(found.layer) && (found.stat.stx_nlink > 1 || found.indexed.is_some()),
        ) {
            (None, true) => self.inode_of(parent, name, found)?,
            _ => None,
        };
        let mut extra = None;
        if let Some(node) = &node {
            // Held while the name goes, so that nobody is told of an inode that cannot be found for a moment.
            let mut place = node.place();
            if place.counted {
                extra = place.with(|at| self.extra_names(at))?;
            }
            if place.is_at(parent, name) {
                place.hold()?;
            }
            remove()?;
        } else {
            if let Some(copy) = &copy {
                extra = self.extra_names(At::itself(copy))?;
            }
            remove()?;
        }
        // How many names are left: links in the upper file system, and names that only lower layers have.
        let left = match (self.is_upper(found.layer), self.in_upper(found)) {
            (true, true) => i64::from(found.stat.stx_nlink) - 1 + extra.unwrap_or(0),
            (true, false) => i64::from(found.stat.stx_nlink) + extra.unwrap_or(0) - 1,
            (false, _) => i64::from(found.stat.stx_nlink) - 1,
        };
        if let (Some(extra), Some(at)) =
            (extra, node.as_ref().map(|node| node.with(|at| at.pin())).or(copy.map(Ok)))
        {
            let inode = at?;
            if left <= 0 {
                self.index_remove(At::itself(&inode))?;
            } else if !self.in_upper(found) {
                self.set_extra_names(At::itself(&inode), extra - 1)?;
            }
        }
        if let Some(node) = node {
            let mut place = node.place();
            place.gone |= left <= 0;
            place.adrift = left > 0 && place.is_at(parent, name);
            if left <= 0 {
                self.table.unkey(&node);
            }
        }
        Ok(())
    }

    fn inode_of(&self, parent: &Node, name: &OsStr, found: &FoundOther) -> Result<Option<OwnedFd>> {
        if let Some(copy) = &found.indexed {
            return At::itself(copy).pin().map(Some);
        }
        let stack = parent.stack()?;
        let part = stack.part(found.layer).ok_or(Errno::STALE)?;
        At::child(&part.dir, name).pin().map(Some)
    }
}
