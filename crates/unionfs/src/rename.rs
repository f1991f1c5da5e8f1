//! Rename (union-fs.md rules 32 to 36). What moves is copied up first; then one rename in the upper layer moves it, and
//! leaves a whiteout behind where lower layers have the old name.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{self as rfs, AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::backing::{At, Result};
use crate::copy_up::{Data, link_nameless};
use crate::lookup::{Found, FoundDir, Origin};
use crate::marks;
use crate::node::Node;
use crate::union::Union;

/// The longest redirect that the kernel follows by default.
const REDIRECT_MAX: usize = 256;

/// One end of a rename.
struct End<'a> {
    parent: &'a Arc<Node>,
    name: &'a OsStr,
    /// The parent's part in the upper layer.
    dir: Arc<OwnedFd>,
    /// Whether lower layers show the name.
    below: bool,
    /// Whether the parent merges lower layers at all.
    merged: bool,
}

/// A node that must not go while it is worked on, whatever the kernel forgets.
struct Kept<'a> {
    union: &'a Union,
    node: Arc<Node>,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.union.forget(self.node.id, 1);
    }
}

impl Union {
    /// Gives something another name, or exchanges two names (`EXCHANGE`); `NOREPLACE` refuses to replace.
    ///
    /// # Errors
    /// `EXDEV`: a directory of a lower layer, without `redirect_dir=on`. `EINVAL`: `WHITEOUT`, which is the union's own.
    pub fn rename(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        new_parent: &Arc<Node>,
        new_name: &OsStr,
        flags: RenameFlags,
    ) -> Result<()> {
        if flags.contains(RenameFlags::WHITEOUT) {
            return Err(Errno::INVAL);
        }
        self.check_name(new_name)?;
        self.work()?;
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        let (stack, new_stack) = (parent.stack()?, new_parent.stack()?);
        let source = self.find(&stack, name)?.ok_or(Errno::NOENT)?;
        let target = self.find(&new_stack, new_name)?;
        match &target {
            None if exchange => return Err(Errno::NOENT),
            Some(_) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EXIST),
            _ => {}
        }
        self.may_move(&source)?;
        match &target {
            Some(target) if exchange => self.may_move(target)?,
            Some(Found::Dir(dir)) if self.shows_anything(&dir.stack)? => return Err(Errno::NOTEMPTY),
            _ => {}
        }
        let moved = self.keep(parent, name, source)?;
        self.copy_up(&moved.node, Data::All)?;
        let from = self.end(parent, name)?;
        let to = self.end(new_parent, new_name)?;
        let (_here, _there) = (parent.dir()?.changing(), new_parent.dir()?.changing());
        self.link_up(&moved.node, &from)?;
        if exchange {
            let other = self.keep(new_parent, new_name, target.ok_or(Errno::NOENT)?)?;
            self.copy_up(&other.node, Data::All)?;
            self.link_up(&other.node, &to)?;
            self.prepare_dir(&moved.node, &from, &to)?;
            self.prepare_dir(&other.node, &to, &from)?;
            rfs::renameat_with(&from.dir, name, &to.dir, new_name, RenameFlags::EXCHANGE)?;
            self.arrive(&other.node, &to, &from)?;
            return self.arrive(&moved.node, &from, &to);
        }
        self.prepare_dir(&moved.node, &from, &to)?;
        match &target {
            Some(Found::Other(found)) => {
                self.losing(new_parent, new_name, found, || self.move_over(&moved.node, &from, &to))?;
            }
            Some(Found::Dir(found)) => {
                self.empty(found, &to)?;
                self.move_over(&moved.node, &from, &to)?;
                self.lost_dir(found);
            }
            None => self.move_over(&moved.node, &from, &to)?,
        }
        self.arrive(&moved.node, &from, &to)
    }

    /// Whether a directory may move: one of lower layers only if it can remember where it was.
    fn may_move(&self, found: &Found) -> Result<()> {
        match found {
            Found::Dir(dir) if !self.is_pure(dir) && !self.options.redirect_dir.makes() => Err(Errno::XDEV),
            _ => Ok(()),
        }
    }

    /// Whether a directory is in the upper layer only.
    fn is_pure(&self, dir: &FoundDir) -> bool {
        self.below_upper(&dir.stack).is_empty()
    }

    fn keep(&self, parent: &Arc<Node>, name: &OsStr, found: Found) -> Result<Kept<'_>> {
        Ok(Kept { union: self, node: self.node_of(parent, name, found, Origin::Marked, 1)?.0 })
    }

    fn end<'a>(&self, parent: &'a Arc<Node>, name: &'a OsStr) -> Result<End<'a>> {
        let dir = self.upper_dir(parent)?;
        let stack = parent.stack()?;
        let below = self.below_upper(&stack);
        Ok(End { parent, name, dir, below: self.shows(below, name)?, merged: !below.is_empty() })
    }

    /// Gives an inode that was copied up under another of its names this one too, in the upper layer.
    fn link_up(&self, node: &Arc<Node>, end: &End<'_>) -> Result<()> {
        match At::child(&end.dir, end.name).stat() {
            Err(Errno::NOENT) if !node.is_dir() => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
        let inode = node.with(|at| at.pin())?;
        let extra = self.extra_names(At::itself(&inode))?.unwrap_or(0);
        link_nameless(&inode, &end.dir, end.name)?;
        self.set_extra_names(At::itself(&inode), extra - 1)
    }

    /// Marks a directory that is about to move, so that it shows the same in its new place.
    fn prepare_dir(&self, node: &Arc<Node>, from: &End<'_>, to: &End<'_>) -> Result<()> {
        if !node.is_dir() {
            return Ok(());
        }
        let stack = node.stack()?;
        let upper = self.upper_of(&stack).ok_or(Errno::XDEV)?;
        if self.below_upper(&stack).is_empty() {
            // What the new parent's lower layers have under the new name must not show in it (rule 34).
            return if to.merged { self.make_opaque(At::itself(&upper)) } else { Ok(()) };
        }
        let inside = from.parent.id == to.parent.id;
        let known = At::itself(&upper).xattr_vec(&self.marks.redirect)?;
        if known.is_some_and(|redirect| inside || redirect.starts_with(b"/")) {
            return Ok(());
        }
        let redirect = if inside { from.name.as_bytes().to_vec() } else { self.path_below(node)? };
        if redirect.len() > REDIRECT_MAX {
            return Err(Errno::XDEV);
        }
        marks::set(At::itself(&upper), &self.marks.redirect, &redirect).map_err(|_| Errno::XDEV)
    }

    /// The path of a directory in the layers below: its names and its ancestors', each as it was before it moved.
    fn path_below(&self, node: &Arc<Node>) -> Result<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut node = Arc::clone(node);
        loop {
            let (parent, name) = {
                let place = node.place();
                (place.parent.clone(), place.name.as_bytes().to_vec())
            };
            let Some(parent) = parent else { break };
            let redirect = match self.upper_of(&*node.stack()?) {
                Some(upper) => At::itself(&upper).xattr_vec(&self.marks.redirect)?,
                None => None,
            };
            let name = redirect.unwrap_or(name);
            let absolute = name.starts_with(b"/");
            names.push(name);
            if absolute {
                break;
            }
            node = parent;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            if !name.starts_with(b"/") {
                path.push(b'/');
            }
            path.extend(name);
        }
        Ok(path)
    }

    /// Moves, over whatever the upper layer has in the new place: nothing, a whiteout, a file or an empty directory.
    fn move_over(&self, node: &Node, from: &End<'_>, to: &End<'_>) -> Result<()> {
        if self.options.aufs_upper {
            if from.below {
                self.put_whiteout(&from.dir, from.name)?;
            }
            rfs::renameat(&from.dir, from.name, &to.dir, to.name).or_else(|e| {
                self.unhide(&from.dir, from.name)?;
                Err(e)
            })?;
            return self.unhide(&to.dir, to.name);
        }
        if node.is_dir() && self.is_hidden(&to.dir, to.name)? {
            // A directory cannot replace a device: they change places.
            rfs::renameat_with(&from.dir, from.name, &to.dir, to.name, RenameFlags::EXCHANGE)?;
            return if from.below { Ok(()) } else { rfs::unlinkat(&from.dir, from.name, AtFlags::empty()) };
        }
        if !from.below {
            return rfs::renameat(&from.dir, from.name, &to.dir, to.name);
        }
        match rfs::renameat_with(&from.dir, from.name, &to.dir, to.name, RenameFlags::WHITEOUT) {
            Err(Errno::INVAL | Errno::PERM) => {
                rfs::renameat(&from.dir, from.name, &to.dir, to.name)?;
                self.put_whiteout(&from.dir, from.name)
            }
            other => other,
        }
    }

    /// Takes the whiteouts out of the upper part of a directory that shows nothing and is to be replaced: an empty one
    /// that hides the same takes its place.
    fn empty(&self, found: &FoundDir, to: &End<'_>) -> Result<()> {
        let Some(upper) = self.upper_of(&found.stack) else { return Ok(()) };
        if sys::dir::list(&upper).map_err(|e| e.errno)?.is_empty() {
            return Ok(());
        }
        if self.options.aufs_upper {
            // An empty directory cannot hide anything; a whiteout can.
            return self.replace_by_whiteout(&to.dir, to.name);
        }
        let work = self.work()?;
        let temp = work.name();
        rfs::mkdirat(&work.dir, &temp, rfs::Mode::RWXU)?;
        let made = crate::backing::open_dir(std::os::fd::AsFd::as_fd(&work.dir), &temp)
            .and_then(|dir| self.make_opaque(At::itself(&dir)))
            .and_then(|()| rfs::renameat_with(&work.dir, &temp, &to.dir, to.name, RenameFlags::EXCHANGE));
        work.discard(&temp);
        made
    }

    /// Notes that something has its new name.
    fn arrive(&self, node: &Arc<Node>, from: &End<'_>, to: &End<'_>) -> Result<()> {
        if from.parent.id != to.parent.id
            && from.parent.dir()?.impure.load(std::sync::atomic::Ordering::Relaxed)
        {
            self.mark_impure(to.parent, &to.dir)?;
        }
        let known = node.is_dir() || node.place().is_at(from.parent, from.name);
        if known {
            node.move_to(to.parent, OsString::from(to.name));
        }
        Ok(())
    }
}
