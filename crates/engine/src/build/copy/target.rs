//! Where copied files come to lie: the rules of BuildKit's `COPY`, worked out on the tree of the layers below, which is
//! read as it lies.
//!
//! A directory merges with one that is there and gives it its attributes, but for the destination itself, which keeps its
//! own. A file replaces a file or a link. Neither replaces the other kind. What is missing above the destination is made,
//! with the owner and mode that the flags ask for, else 0755 of root.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use changeset::Found;
use sys::{FileKind, Meta, Time};

use super::owner::Owner;
use crate::copy::{Nowhere, Tree};
use crate::{Error, Result};

/// A file for the new layer.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub content: Content,
    pub kind: FileKind,
    pub mode: u32,
    pub owner: Owner,
    pub mtime: Time,
}

/// Where a file's content is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// It is a directory that the step makes.
    New,
    /// Something in the tree that is copied from, by its path without links.
    Tree { path: PathBuf, found: Found },
    /// Text of the Dockerfile.
    Bytes(Arc<[u8]>),
    /// A file that was fetched, and its length in bytes.
    Spooled(Arc<std::fs::File>, u64),
}

/// What the new layer gets, by path in the image, parents first.
#[derive(Debug)]
pub(super) struct Target<'a> {
    below: Option<&'a Tree>,
    /// What directories get that the step makes.
    made: (Owner, u32, Time),
    /// What the layers below have in the directories that were asked for; `None` for what is no directory there.
    listed: HashMap<PathBuf, Option<BTreeMap<OsString, Found>>>,
    pub items: BTreeMap<PathBuf, Item>,
}

impl<'a> Target<'a> {
    /// Nothing yet, on top of this tree.
    pub fn new(below: Option<&'a Tree>, owner: Owner, mode: u32, time: Time) -> Self {
        Self { below, made: (owner, mode, time), listed: HashMap::new(), items: BTreeMap::new() }
    }

    /// Where `path` really is, all links followed, and whether it is a directory there; `None` if nothing is there.
    pub fn find(&self, path: &Path) -> Result<(PathBuf, Option<bool>)> {
        let Some(below) = self.below else { return Ok((plain(path), None)) };
        match below.find(path, true)? {
            Ok(place) => {
                let is_dir = place.is_dir();
                Ok((place.path, Some(is_dir)))
            }
            Err(Nowhere::Missing(path)) => Ok((plain(&path), None)),
            Err(Nowhere::NotDirectory) => {
                Err(Error::invalid(format!("cannot copy to non-directory: {}", path.display())))
            }
            Err(Nowhere::Loop) => {
                Err(Error::invalid(format!("{}: too many levels of symbolic links", path.display())))
            }
        }
    }

    /// The directory `path`, made with its parents if it is not there; where it really is.
    pub fn directory(&mut self, path: &Path) -> Result<PathBuf> {
        let (path, is_dir) = self.find(path)?;
        if is_dir == Some(false) {
            return Err(Error::invalid(format!("cannot copy to non-directory: /{}", path.display())));
        }
        if is_dir.is_none() {
            self.make_missing(&path)?;
        }
        Ok(path)
    }

    /// Makes what is missing of the directory `path`, which has no links in it.
    fn make_missing(&mut self, path: &Path) -> Result<()> {
        let mut at = PathBuf::new();
        for component in path.components() {
            at.push(component);
            match self.kind_of(&at)? {
                Some(FileKind::Dir) => {}
                Some(_) => {
                    return Err(Error::invalid(format!("cannot copy to non-directory: /{}", at.display())));
                }
                None => {
                    let (owner, mode, mtime) = self.made;
                    let made = Item { content: Content::New, kind: FileKind::Dir, mode, owner, mtime };
                    self.items.insert(at.clone(), made);
                }
            }
        }
        Ok(())
    }

    /// Adds a file whose directory is there already, or in the new layer.
    pub fn put(&mut self, path: PathBuf, item: Item) -> Result<()> {
        match (self.kind_of(&path)?, item.kind) {
            (Some(FileKind::Dir), FileKind::Dir) | (None, _) => {}
            (Some(FileKind::Dir), _) => {
                let why = format!("cannot replace to directory /{} with file", path.display());
                return Err(Error::invalid(why));
            }
            (Some(_), FileKind::Dir) => {
                return Err(Error::invalid(format!("cannot copy to non-directory: /{}", path.display())));
            }
            (Some(_), _) => {}
        }
        self.items.insert(path, item);
        Ok(())
    }

    /// What is at a path without links, in the new layer or below it.
    pub fn kind_of(&mut self, path: &Path) -> Result<Option<FileKind>> {
        if let Some(item) = self.items.get(path) {
            return Ok(Some(item.kind));
        }
        Ok(self.meta_below(path)?.map(|meta| meta.kind))
    }

    /// Attributes of what the layers below have at a path without links.
    pub fn meta_below(&mut self, path: &Path) -> Result<Option<Meta>> {
        let Some(below) = self.below else { return Ok(None) };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(below.layers().lookup(Path::new(""))?.map(|found| found.meta));
        };
        if !self.listed.contains_key(parent) {
            let is_dir = below.layers().lookup(parent)?.is_some_and(|found| found.meta.kind == FileKind::Dir);
            let list = if is_dir { Some(below.layers().list(parent)?) } else { None };
            self.listed.insert(parent.to_owned(), list);
        }
        let listed = self.listed.get(parent).and_then(Option::as_ref);
        Ok(listed.and_then(|list| list.get(name)).map(|found| found.meta))
    }
}

/// A path below the root, `.` and `..` worked out by the letter.
pub(in crate::build) fn plain(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}
