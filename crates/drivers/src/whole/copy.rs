//! A tree, made once more: of copies or of hard links.
//!
//! Of copies: content (shared blocks where the file system can), holes, hard links, owners, modes, times,
//! and all extended attributes. Docker's copy keeps of the attributes file capabilities only (moby.md §9.2).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use sys::{AsFd, Errno, FileKind, Meta, OwnedFd, Root, dir, file, meta, xattr};

/// Makes of what is in `from` the same in the empty directory `to`, and gives `to` the attributes of `from`. With
/// `lose_xattrs`, an extended attribute that the file system does not take is left out, else it is an error. Two
/// descriptors are open for each level of the tree. Nothing is durable when this returns.
pub(crate) fn tree(from: &Root, to: &Root, lose_xattrs: bool) -> sys::Result<()> {
    make(from, to, Files::Copied, lose_xattrs)
}

/// The same, but the new tree's regular files are those of `from` (hard links); one that has as many names as it can have
/// is copied.
pub(crate) fn linked(from: &Root, to: &Root) -> sys::Result<()> {
    make(from, to, Files::Linked, false)
}

fn make(from: &Root, to: &Root, files: Files, lose_xattrs: bool) -> sys::Result<()> {
    let mut copy = Copy { to, files, lose_xattrs, links: HashMap::new(), path: PathBuf::new() };
    let mut levels = vec![Level::new(dir::reopen(from)?, dir::reopen(to)?)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.rest.pop() else {
            copy.attributes_fd(&level.from, &level.to, &level.meta)?;
            copy.path.pop();
            levels.pop();
            continue;
        };
        let meta = meta::of(&level.from, &entry.name)?;
        if meta.kind == FileKind::Dir {
            dir::mkdir(&level.to, &entry.name, 0o700)?;
            let (from, to) = (dir::open(&level.from, &entry.name)?, dir::open(&level.to, &entry.name)?);
            copy.path.push(&entry.name);
            let next = Level::new(from, to)?;
            levels.push(next);
        } else {
            copy.leaf(&level.from, &level.to, &entry.name, &meta)?;
        }
    }
    Ok(())
}

/// What becomes of regular files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    Copied,
    Linked,
}

/// A directory of two trees on the way down.
pub(crate) struct Level {
    pub(crate) from: OwnedFd,
    pub(crate) to: OwnedFd,
    /// Of the first.
    pub(crate) meta: Meta,
    /// What of the first is still to be done.
    pub(crate) rest: Vec<dir::Entry>,
}

impl Level {
    pub(crate) fn new(from: OwnedFd, to: OwnedFd) -> sys::Result<Self> {
        Ok(Self { meta: meta::of_fd(&from)?, rest: dir::list(&from)?, from, to })
    }
}

struct Copy<'a> {
    to: &'a Root,
    files: Files,
    lose_xattrs: bool,
    /// Where the copy of an inode with several names is.
    links: HashMap<(u64, u64), PathBuf>,
    /// The directory that is being copied, from the root.
    path: PathBuf,
}

impl Copy<'_> {
    fn leaf(&mut self, from: &OwnedFd, to: &OwnedFd, name: &OsStr, meta: &Meta) -> sys::Result<()> {
        if let Some(first) = self.links.get(&(meta.dev, meta.ino)) {
            let (parent, first) = self.to.parent(first)?;
            return dir::link(parent, &first, to, name);
        }
        if self.files == Files::Linked && meta.kind == FileKind::File {
            match dir::link(from, name, to, name) {
                Err(e) if e.errno == Errno::MLINK => {}
                other => return other,
            }
        }
        if meta.nlink > 1 {
            self.links.insert((meta.dev, meta.ino), self.path.join(name));
        }
        match meta.kind {
            FileKind::File => {
                let source = dir::open_file(from, name)?;
                let copy = dir::create_file(to, name, 0o600)?;
                file::copy(&source, &copy, meta.size)?;
                return self.attributes_fd(&source, &copy, meta);
            }
            FileKind::Symlink => dir::symlink(to, name, &dir::read_link(from, name)?)?,
            kind => dir::mknod(to, name, kind, 0o600, meta.rdev.0, meta.rdev.1)?,
        }
        meta::chown(to, name, meta.uid, meta.gid)?;
        for key in xattr::list(from, name)? {
            if let Some(value) = xattr::get(from, name, &key)? {
                self.taken(xattr::set(to, name, &key, &value))?;
            }
        }
        if meta.kind != FileKind::Symlink {
            meta::chmod(to, name, meta.mode)?;
        }
        meta::set_times(to, name, meta.atime, meta.mtime)
    }

    /// The owner comes first, for a change of owner takes capabilities and setuid away; the mode comes after the access
    /// control list, which it is a part of.
    fn attributes_fd(&self, from: impl AsFd, to: impl AsFd, meta: &Meta) -> sys::Result<()> {
        meta::chown_fd(&to, meta.uid, meta.gid)?;
        for key in xattr::list_fd(&from)? {
            if let Some(value) = xattr::get_fd(&from, &key)? {
                self.taken(xattr::set_fd(&to, &key, &value))?;
            }
        }
        meta::chmod_fd(&to, meta.mode)?;
        meta::set_times_fd(&to, meta.atime, meta.mtime)
    }

    /// Whether an attribute that the file system does not take matters.
    fn taken(&self, set: sys::Result<()>) -> sys::Result<()> {
        match set {
            Err(e) if self.lose_xattrs && e.errno == Errno::OPNOTSUPP => Ok(()),
            other => other,
        }
    }
}
