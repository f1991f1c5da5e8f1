//! A walk through a tree, depth first and by the names' bytes, without following a link.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::{FileKind, Meta, OwnedFd, Root, dir, meta};

use crate::error::Result;

/// One step of a walk.
#[derive(Debug)]
pub(crate) struct Step {
    /// Path from the root, without a leading slash.
    pub path: PathBuf,
    /// The directory that it is in.
    pub parent: Arc<OwnedFd>,
    pub name: OsString,
    pub meta: Meta,
}

/// Walks a tree. Holds one directory open, and the names of those on the way to it.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    root: &'a Root,
    levels: Vec<Level>,
    open: Option<(PathBuf, Arc<OwnedFd>)>,
}

#[derive(Debug)]
struct Level {
    path: PathBuf,
    names: std::vec::IntoIter<dir::Entry>,
}

impl<'a> Walk<'a> {
    /// A walk of all below `root`, not of `root` itself.
    pub fn new(root: &'a Root) -> Result<Self> {
        let mut walk = Self { root, levels: Vec::new(), open: None };
        walk.enter(PathBuf::new())?;
        Ok(walk)
    }

    /// The next step. A directory comes before what is in it. What vanished meanwhile is passed over.
    pub fn next(&mut self) -> Result<Option<Step>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(entry) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            let above = level.path.clone();
            let parent = self.open(&above)?;
            let Some(meta) = meta::find(&parent, &entry.name)? else { continue };
            let path = above.join(&entry.name);
            if meta.kind == FileKind::Dir {
                self.enter(path.clone())?;
            }
            return Ok(Some(Step { path, parent, name: entry.name, meta }));
        }
        Ok(None)
    }

    fn enter(&mut self, path: PathBuf) -> Result<()> {
        let fd = self.open(&path)?;
        let names = dir::list_sorted(&fd)?.into_iter();
        self.levels.push(Level { path, names });
        Ok(())
    }

    fn open(&mut self, path: &Path) -> Result<Arc<OwnedFd>> {
        match &self.open {
            Some((open, fd)) if open == path => Ok(Arc::clone(fd)),
            _ => {
                let fd = Arc::new(self.root.dir_nofollow(path)?);
                self.open = Some((path.to_owned(), Arc::clone(&fd)));
                Ok(fd)
            }
        }
    }
}
