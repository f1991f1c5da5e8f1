//! What can only be done to a layer's directory when the lower layers are complete.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sys::{AsFd, FileKind, Meta, OwnedFd, Root, dir, file, meta, xattr};

use crate::error::{EntryFault, Error, Result};
use crate::lowers::{Found, Lowers};
use crate::{Whiteouts, XattrSpace};

/// A hard link to a file that only a lower layer has. Both paths are from the layer's root, without links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerLink {
    /// The new name.
    pub path: PathBuf,
    /// The lower layer's file.
    pub target: PathBuf,
}

/// What is left to do on a directory that holds one layer only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// How deletions are kept.
    pub kept: Whiteouts,
    /// Hard links to lower layers' files, in the order of the archive.
    pub links: Vec<LowerLink>,
    /// Directories without an entry of their own, which are to be like the lower layers'. `""` is the root.
    pub implied: Vec<PathBuf>,
    /// Whiteouts, which are dropped where no lower layer has what they delete: in a directory that only one layer has,
    /// OverlayFS lists them as names that cannot be looked up.
    pub whiteouts: Vec<PathBuf>,
    /// Whiteouts in directories that hide everything anyway.
    pub idle_whiteouts: Vec<PathBuf>,
    /// Whether the root hides all of the lower layers. OverlayFS does not look at the mark of a root.
    pub root_opaque: bool,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            kept: Whiteouts::Overlay(XattrSpace::Trusted),
            links: Vec::new(),
            implied: Vec::new(),
            whiteouts: Vec::new(),
            idle_whiteouts: Vec::new(),
            root_opaque: false,
        }
    }
}

impl Pending {
    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        *self == Self { kept: self.kept, ..Self::default() }
    }

    /// Completes the layer in `target`, whose lower layers are `lowers`, complete themselves: copies up what hard links
    /// lead to, as the kernel does; gives directories the attributes that they have below; drops deletions of nothing;
    /// deletes one by one what an opaque root hides. Returns by how many bytes the layer grew. Doing it again does no harm. Nothing is durable.
    pub fn settle(&self, target: &Root, lowers: &Lowers) -> Result<u64> {
        let mut grown = 0;
        for link in &self.links {
            grown += settle_link(target, lowers, link)?;
        }
        for path in &self.idle_whiteouts {
            drop_whiteout(target, path)?;
        }
        for path in &self.whiteouts {
            if lowers.lookup(path)?.is_none() {
                drop_whiteout(target, path)?;
            }
        }
        for path in &self.implied {
            if let Some(found) = lowers.lookup(path)?
                && found.meta.kind == FileKind::Dir
            {
                let from = lowers.root(found.layer).dir_nofollow(path)?;
                copy_dir_attributes(&from, &found.meta, &target.dir_nofollow(path)?)?;
            }
        }
        if self.root_opaque {
            delete_all(target, lowers, self.kept)?;
        }
        Ok(grown)
    }
}

fn settle_link(target: &Root, lowers: &Lowers, link: &LowerLink) -> Result<u64> {
    let fault = |fault: fn(PathBuf) -> EntryFault| Error::Entry {
        path: link.path.clone(),
        fault: fault(link.target.clone()),
    };
    let mut grown = 0;
    let from = match find_nofollow(target, &link.target)? {
        Some(found) if found.is_whiteout() => return Err(fault(EntryFault::LinkToNothing)),
        Some(found) if found.kind == FileKind::Dir => return Err(fault(EntryFault::LinkToDirectory)),
        Some(_) => target.parent_nofollow(&link.target)?,
        None => {
            let found = lowers.lookup(&link.target)?.ok_or_else(|| fault(EntryFault::LinkToNothing))?;
            if found.meta.kind == FileKind::Dir {
                return Err(fault(EntryFault::LinkToDirectory));
            }
            grown = if matches!(found.meta.kind, FileKind::File | FileKind::Symlink) {
                found.meta.size
            } else {
                0
            };
            copy_up(target, lowers, &link.target, &found)?
        }
    };
    let (parent, name) = target.parent_nofollow(&link.path)?;
    keeping_times(&parent, || match dir::link(&from.0, &from.1, &parent, &name) {
        Err(e) if e.is_exists() => Ok(()),
        other => other,
    })?;
    Ok(grown)
}

fn drop_whiteout(target: &Root, path: &Path) -> Result<()> {
    let (parent, name) = target.parent_nofollow(path)?;
    if meta::find(&parent, &name)?.is_some_and(|found| found.is_whiteout()) {
        keeping_times(&parent, || dir::unlink(&parent, &name))?;
    }
    Ok(())
}

/// What a layer itself has at `path`.
fn find_nofollow(root: &Root, path: &Path) -> Result<Option<Meta>> {
    match root.parent_nofollow(path) {
        Ok((parent, name)) => Ok(meta::find(&parent, &name)?),
        Err(e) if super::files::is_no_dir(&e) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Copies a lower layer's non-directory to the same path in `target`, with the directories that lead there.
fn copy_up(
    target: &Root,
    lowers: &Lowers,
    path: &Path,
    found: &Found,
) -> Result<(OwnedFd, std::ffi::OsString)> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
    above.reverse();
    for dir_path in above {
        let (parent, name) = target.parent_nofollow(dir_path)?;
        if meta::find(&parent, &name)?.is_none()
            && let Some(lower) = lowers.lookup(dir_path)?
        {
            keeping_times(&parent, || dir::mkdir(&parent, &name, 0o755))?;
            let from = lowers.root(lower.layer).dir_nofollow(dir_path)?;
            copy_dir_attributes(&from, &lower.meta, &dir::open(&parent, &name)?)?;
        }
    }
    let (from, from_name) = lowers.root(found.layer).parent_nofollow(path)?;
    let (to, name) = target.parent_nofollow(path)?;
    keeping_times(&to, || copy_file(&from, &from_name, &found.meta, &to, &name))?;
    Ok((to, name))
}

/// Copies one non-directory with all that is to be known of it.
fn copy_file(from: &OwnedFd, from_name: &OsStr, meta: &Meta, to: &OwnedFd, name: &OsStr) -> sys::Result<()> {
    match meta.kind {
        FileKind::File => {
            let source = dir::open_file(from, from_name)?;
            let copy = dir::create_file(to, name, meta.mode)?;
            file::copy(&source, &copy, meta.size)?;
        }
        FileKind::Symlink => dir::symlink(to, name, &dir::read_link(from, from_name)?)?,
        kind => dir::mknod(to, name, kind, meta.mode, meta.rdev.0, meta.rdev.1)?,
    }
    meta::chown(to, name, meta.uid, meta.gid)?;
    for key in xattr::list(from, from_name)? {
        if !xattr::is_overlay(&key)
            && let Some(value) = xattr::get(from, from_name, &key)?
        {
            tolerate(xattr::set(to, name, &key, &value))?;
        }
    }
    if meta.kind != FileKind::Symlink {
        meta::chmod(to, name, meta.mode)?;
    }
    meta::set_times(to, name, meta.atime, meta.mtime)
}

/// Makes a directory like another one, except for its content.
fn copy_dir_attributes(from: &OwnedFd, wanted: &Meta, to: &OwnedFd) -> sys::Result<()> {
    let now = meta::of_fd(to)?;
    if (now.uid, now.gid) != (wanted.uid, wanted.gid) {
        meta::chown_fd(to, wanted.uid, wanted.gid)?;
    }
    let mut acl = false;
    for key in xattr::list_fd(from)? {
        if !xattr::is_overlay(&key)
            && let Some(value) = xattr::get_fd(from, &key)?
        {
            acl = true;
            tolerate(xattr::set_fd(to, &key, &value))?;
        }
    }
    if acl || now.mode != wanted.mode {
        meta::chmod_fd(to, wanted.mode)?;
    }
    meta::set_times_fd(to, wanted.mtime, wanted.mtime)
}

/// An attribute that was read from one layer can still be refused in another: `security.*` by a security module, all
/// of them by another file system.
fn tolerate(result: sys::Result<()>) -> sys::Result<()> {
    match result {
        Err(e) if matches!(e.errno, sys::Errno::OPNOTSUPP | sys::Errno::PERM) => Ok(()),
        other => other,
    }
}

/// Runs `change` on what is in a directory, and gives the directory its time back.
fn keeping_times(dir: impl AsFd, change: impl FnOnce() -> sys::Result<()>) -> sys::Result<()> {
    let before = meta::of_fd(&dir)?;
    change()?;
    meta::set_times_fd(&dir, before.atime, before.mtime)
}

/// Deletes one by one what the lower layers have in their root.
fn delete_all(target: &Root, lowers: &Lowers, kept: Whiteouts) -> Result<()> {
    let root = target.dir_nofollow(Path::new(""))?;
    let before = meta::of_fd(&root)?;
    for (name, found) in lowers.list(Path::new(""))? {
        match meta::find(&root, &name)? {
            None => drop(kept.delete(&root, &name)?),
            Some(own) if own.kind == FileKind::Dir && found.meta.kind == FileKind::Dir => {
                let fd = dir::open(&root, &name)?;
                keeping_times(&fd, || kept.make_opaque(&fd))?;
            }
            Some(_) => {}
        }
    }
    Ok(meta::set_times_fd(&root, before.atime, before.mtime)?)
}
