//! The merged view of a stack of layers, read without a mount.
//!
//! The rules are OverlayFS's (kernel Documentation/filesystems/overlayfs.rst): the nearest layer that has a name
//! decides; directories merge until one is opaque or a non-directory hides the rest; a whiteout ends the search. No
//! symbolic link is followed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use sys::{FileKind, Meta, OwnedFd, Root, dir, meta};

use crate::Marks;
use crate::error::Result;
use crate::marks::{Role, Said};

/// Layers below another one.
#[derive(Debug, Default)]
pub struct Lowers {
    /// Nearest first.
    layers: Vec<Root>,
    /// Which marks count; `None` if the only layer is a whole tree.
    marks: Option<Marks>,
}

/// What the merged view has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The layer that decides, from 0, the nearest.
    pub layer: usize,
    /// Attributes there.
    pub meta: Meta,
    /// Of a directory: all layers that it is merged of, the nearest first.
    pub parts: Vec<usize>,
}

impl Lowers {
    /// The `diff` directories of layers, the nearest first.
    pub fn new(layers: Vec<Root>, marks: impl Into<Marks>) -> Self {
        Self { layers, marks: Some(marks.into()) }
    }

    /// One tree that is whole, without whiteouts.
    pub fn tree(root: Root) -> Self {
        Self { layers: vec![root], marks: None }
    }

    /// The root of a layer, from 0, the nearest.
    pub fn root(&self, layer: usize) -> &Root {
        &self.layers[layer]
    }

    /// Looks `path` up from the root; `None` if there is nothing, or something on the way is no directory. `""` is the
    /// root, whose attributes are the nearest layer's.
    pub fn lookup(&self, path: &Path) -> Result<Option<Found>> {
        let Some(mut found) = self.top()? else { return Ok(None) };
        let mut at = PathBuf::new();
        for component in path.components() {
            let name = match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => name,
                Component::ParentDir | Component::Prefix(_) => return Ok(None),
            };
            if found.meta.kind != FileKind::Dir {
                return Ok(None);
            }
            match self.open(&at, &found.parts)?.find(name)? {
                Some(next) => found = next,
                None => return Ok(None),
            }
            at.push(name);
        }
        Ok(Some(found))
    }

    /// What the merged view has in the directory `path`; nothing if it is none.
    pub fn list(&self, path: &Path) -> Result<BTreeMap<OsString, Found>> {
        match self.lookup(path)? {
            Some(found) if found.meta.kind == FileKind::Dir => self.open(path, &found.parts)?.list(),
            _ => Ok(BTreeMap::new()),
        }
    }

    /// The root as a directory of all layers: OverlayFS merges them whether they are marked opaque or not.
    pub(crate) fn top(&self) -> Result<Option<Found>> {
        let Some(first) = self.layers.first() else { return Ok(None) };
        let meta = meta::of_fd(first)?;
        Ok(Some(Found { layer: 0, meta, parts: (0..self.layers.len()).collect() }))
    }

    /// Opens the directory `path` in those layers that it is merged of.
    pub(crate) fn open(&self, path: &Path, parts: &[usize]) -> Result<MergedDir> {
        let open = |layer: &usize| Ok((*layer, self.layers[*layer].dir_nofollow(path)?));
        Ok(MergedDir { marks: self.marks, parts: parts.iter().map(open).collect::<Result<_>>()? })
    }
}

/// An open directory of the merged view.
#[derive(Debug)]
pub(crate) struct MergedDir {
    marks: Option<Marks>,
    parts: Vec<(usize, OwnedFd)>,
}

impl MergedDir {
    /// Looks up one name.
    pub fn find(&self, name: &OsStr) -> Result<Option<Found>> {
        if self.marks.is_some_and(|marks| !matches!(marks.role(Path::new(name)), Role::File)) {
            return Ok(None);
        }
        let mut found: Option<Found> = None;
        for (layer, fd) in &self.parts {
            let said = self.look(fd, name)?;
            if let Some(meta) = said.own {
                let is_dir = meta.kind == FileKind::Dir;
                match &mut found {
                    Some(_) if !is_dir => break,
                    Some(found) => found.parts.push(*layer),
                    None => {
                        let parts = if is_dir { vec![*layer] } else { Vec::new() };
                        found = Some(Found { layer: *layer, meta, parts });
                    }
                }
                if !is_dir || self.is_opaque(fd, name)? {
                    break;
                }
            }
            if said.deletes {
                break;
            }
        }
        Ok(found)
    }

    fn look(&self, fd: &OwnedFd, name: &OsStr) -> Result<Said> {
        Ok(match self.marks {
            Some(marks) => marks.look(fd, name)?,
            None => Said { own: meta::find(fd, name)?, deletes: false },
        })
    }

    fn is_opaque(&self, fd: &OwnedFd, name: &OsStr) -> Result<bool> {
        match self.marks {
            Some(marks) => Ok(marks.is_opaque(dir::open(fd, name)?)?),
            None => Ok(false),
        }
    }

    /// All names that are there.
    pub fn list(&self) -> Result<BTreeMap<OsString, Found>> {
        let mut names = BTreeSet::new();
        for (_, fd) in &self.parts {
            names.extend(dir::list(fd)?.into_iter().map(|entry| entry.name));
        }
        let mut all = BTreeMap::new();
        for name in names {
            if let Some(found) = self.find(&name)? {
                all.insert(name, found);
            }
        }
        Ok(all)
    }

    /// The directory in the layer that decides about `found`.
    pub fn part(&self, layer: usize) -> Option<&OwnedFd> {
        self.parts.iter().find(|(part, _)| *part == layer).map(|(_, fd)| fd)
    }
}
