//! Finding the directory that an entry goes into.

use std::sync::Arc;

use archive::tar::Entry;
use sys::{FileKind, OwnedFd, Root, dir, meta};

use super::attributes::{Late, stamp};
use super::{Applier, EntryError};
use crate::error::{EntryFault, as_path};
use crate::name;

/// What this layer has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// A directory with an entry of its own.
    Dir,
    /// A directory that an entry below it needs; the lower layers say what it is like.
    Implied,
    /// The same where this layer deletes theirs.
    ImpliedNew,
    Symlink,
    /// A hard link that waits for the lower layers, or for the error that there is no such file.
    LowerLink,
    /// A device that was left out, or a hard link to one.
    Skipped,
    /// Any other non-directory.
    Other,
    /// Nothing, and the lower layers' is gone.
    Whiteout,
}

impl Made {
    pub(super) fn is_dir(self) -> bool {
        matches!(self, Self::Dir | Self::Implied | Self::ImpliedNew)
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir {
    /// The path that led to it.
    lexical: Vec<u8>,
    /// The same without links.
    pub real: Vec<u8>,
    pub fd: OwnedFd,
    /// What is made in it belongs to this group, because it has the setgid bit.
    pub group: Option<u32>,
}

impl Dir {
    pub(super) fn open(root: &Root, lexical: &[u8], real: &[u8]) -> sys::Result<Self> {
        let fd = root.dir_nofollow(as_path(real))?;
        let meta = meta::of_fd(&fd)?;
        let group = (meta.mode & 0o2000 != 0).then_some(meta.gid);
        Ok(Self { lexical: lexical.to_vec(), real: real.to_vec(), fd, group })
    }
}

/// Directories that are held open at a time, nearest ancestors first to stay.
const MAX_OPEN: usize = 32;

/// Whether `path` is `ancestor` or below it; both are cleaned.
fn is_within(path: &[u8], ancestor: &[u8]) -> bool {
    match path.strip_prefix(ancestor) {
        Some(rest) => ancestor.is_empty() || rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}

impl Applier {
    /// The directory that holds the last component of `path`, made if need be on behalf of `entry`.
    pub(super) fn parent(&mut self, path: &[u8], entry: &Entry) -> Result<Arc<Dir>, EntryError> {
        let (parent, _) = name::split(path);
        while let Some(top) = self.open.last() {
            if top.lexical == parent {
                return Ok(Arc::clone(top));
            }
            if is_within(parent, &top.lexical) || self.open.len() == 1 {
                break;
            }
            self.open.pop();
        }
        let real = match self.made.get(parent) {
            // The keys are paths without links: this one leads there directly.
            Some(made) if made.is_dir() => parent.to_vec(),
            _ => self.walk(parent, entry)?,
        };
        let dir = Arc::new(Dir::open(&self.root, parent, &real)?);
        if self.open.len() == MAX_OPEN {
            self.open.remove(1);
        }
        self.open.push(Arc::clone(&dir));
        Ok(dir)
    }

    /// Goes down to the directory `lexical` from the root, makes what is missing, and gives its path without links.
    fn walk(&mut self, lexical: &[u8], entry: &Entry) -> Result<Vec<u8>, EntryError> {
        let mut real = Vec::new();
        for part in lexical.split(|b| *b == b'/') {
            let next = name::join(&real, part);
            real = match self.made.get(&next) {
                Some(made) if made.is_dir() => next,
                Some(Made::Symlink) => self.follow(&next)?,
                Some(Made::Whiteout) | None => {
                    self.make_implied(&real, &next, entry)?;
                    next
                }
                Some(_) => return Err(EntryFault::NotADirectory(as_path(&next).to_owned()).into()),
            };
        }
        Ok(real)
    }

    /// Where a link of this layer leads, if that is a directory of this layer.
    pub(super) fn follow(&self, link: &[u8]) -> Result<Vec<u8>, EntryError> {
        use std::os::unix::ffi::OsStrExt;
        let dangling = || EntryFault::DanglingParent(as_path(link).to_owned());
        let target = match self.root.resolve(as_path(link)) {
            Err(e) if matches!(e.errno, sys::Errno::NOENT | sys::Errno::LOOP | sys::Errno::NOTDIR) => {
                return Err(dangling().into());
            }
            other => other?,
        };
        let target = target.as_os_str().as_bytes();
        match self.made.get(target) {
            Some(made) if made.is_dir() => Ok(target.to_vec()),
            _ => Err(dangling().into()),
        }
    }

    /// Has the directory `real` in its parent, for want of an entry of its own.
    fn make_implied(&mut self, parent: &[u8], real: &[u8], entry: &Entry) -> Result<(), EntryError> {
        let parent = self.root.dir_nofollow(as_path(parent))?;
        let (_, name) = name::split(real);
        if self.made.get(real) == Some(&Made::Whiteout) {
            self.options.whiteouts.undelete(&parent, name)?;
        }
        let late = match meta::find(&parent, name)? {
            Some(found) if found.kind == FileKind::Dir => {
                let fd = dir::open(&parent, name)?;
                self.attributes.borrow_dir(&fd, &found, stamp(entry.mtime))?
            }
            found => {
                if found.is_some() {
                    sys::tree::remove(&parent, name)?;
                }
                dir::mkdir(&parent, name, 0o755)?;
                self.attributes.plain_dir(&dir::open(&parent, name)?)?;
                Late::time(stamp(entry.mtime))
            }
        };
        self.late.insert(real.to_vec(), late);
        if self.made.insert(real.to_vec(), Made::Implied) == Some(Made::Whiteout) {
            self.made.insert(real.to_vec(), Made::ImpliedNew);
            self.make_opaque(real)?;
        }
        Ok(())
    }

    /// Notes what the root is to get back, before the layer changes it.
    pub(super) fn touch_root(&mut self) -> sys::Result<()> {
        let fd = &self.open[0].fd;
        let meta = meta::of_fd(fd)?;
        let late = self.attributes.borrow_dir(fd, &meta, meta.mtime)?;
        self.late.insert(Vec::new(), late);
        Ok(())
    }
}
