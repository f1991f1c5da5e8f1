//! A directory in which each layer is a directory of its own name.

use std::path::{Path, PathBuf};

use model::CacheId;
use sys::{OwnedFd, Root, dir};

use super::{Home, Place, Source, layer_name};
use crate::{Error, Result, Stage, aside, directories};

/// Where trees stand that are directories of the data root: `vfs/dir`, `btrfs/subvolumes`. In a stage they stand under
/// the same names, so publishing is a rename.
#[derive(Debug)]
pub(crate) struct Shelf {
    dir: OwnedFd,
    path: PathBuf,
}

impl Shelf {
    /// Opens the directory `name` in the home, and makes it (0710) if it is not there.
    pub(crate) fn open(home: &Home, name: &str) -> Result<Self> {
        Ok(Self { dir: dir::ensure(&home.fd, name.as_ref(), 0o710)?, path: home.path.join(name) })
    }

    /// The directory.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.dir
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// As [`Snapshots::root`](super::Snapshots::root).
    pub(crate) fn root(&self, place: Place<'_>, id: &CacheId) -> Result<Option<Root>> {
        let (parent, path): (&OwnedFd, &Path) = match place {
            Place::Staged(stage) => (stage.fd(), stage.path()),
            Place::Published => (&self.dir, &self.path),
        };
        let name = layer_name(id)?;
        match dir::open(parent, name) {
            Ok(fd) => Ok(Some(Root::from_fd(fd, path.join(name)))),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The root of what a tree is made of.
    pub(crate) fn source(&self, from: &Source<'_>) -> Result<Root> {
        self.root(from.place, from.id)?.ok_or_else(|| Error::NoLayer(from.id.clone()))
    }

    /// As [`Snapshots::publish`](super::Snapshots::publish).
    pub(crate) fn publish(&self, stage: &Stage, id: &CacheId) -> Result<()> {
        directories::publish(stage, &self.dir, layer_name(id)?, id)
    }

    /// As [`Snapshots::list`](super::Snapshots::list).
    pub(crate) fn list(&self) -> Result<Vec<CacheId>> {
        directories::list(&self.dir, |id| layer_name(id).is_ok())
    }

    /// As [`Snapshots::discard`](super::Snapshots::discard).
    pub(crate) fn discard(&self, home: &Home, id: &CacheId) -> Result<()> {
        match aside::discard(&home.fd, &self.dir, layer_name(id)?) {
            Err(Error::Sys(e)) if e.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// As [`Snapshots::sync`](super::Snapshots::sync).
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(dir::sync(&self.dir)?)
    }
}
