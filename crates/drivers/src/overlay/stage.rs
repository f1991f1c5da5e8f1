//! Layers before they exist for everybody, and after.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use changeset::{Applied, Applier, Change, ChangeKind, Lowers, Pending, Whiteouts};
use model::CacheId;
use sys::{FileKind, OwnedFd, Root, atomic, dir, lock, meta, tree};

use super::layer::{Form, LOWER_ID, Layer, ROOT, UPPER, WORK};
use super::{LegacyOverlay, NAME, merge};
use crate::driver::{Driver, LayerKind, Unpack};
use crate::whole::{copy, layer_name};
use crate::{Error, Result, Stage, aside, directories};

/// A tree to compare with: a layer's own, or one that was put together in a stage, which goes with it.
pub(super) enum Whole {
    Own(Root),
    Made(Stage, PathBuf),
}

impl Whole {
    /// The tree.
    pub(super) fn root(&self) -> Result<Root> {
        let (fd, path) = match self {
            Self::Own(root) => (dir::reopen(root)?, root.path()),
            Self::Made(stage, path) => (dir::open(stage.fd(), OsStr::new(ROOT))?, path.as_path()),
        };
        Ok(Root::from_fd(fd, path))
    }
}

impl LegacyOverlay {
    pub(super) fn prepare_layer(
        &self,
        stage: &Stage,
        id: &CacheId,
        parent: Option<&CacheId>,
        kind: LayerKind,
    ) -> Result<()> {
        if let LayerKind::Writable { size: Some(_) } = kind {
            let what = "--storage-opt is not supported for overlay";
            return Err(Error::Unsupported { driver: NAME, what });
        }
        let name = layer_name(id)?;
        if self.exists(id)? || stage.contains(id)? {
            return Err(Error::Exists(id.clone()));
        }
        let parent = parent.map(|parent| self.find(Some(stage), parent)).transpose()?;
        let made = self.make(stage, name, parent.as_ref(), kind);
        if made.is_err() {
            let _ = tree::remove(stage, name);
        }
        made
    }

    fn make(&self, stage: &Stage, name: &OsStr, parent: Option<&Layer>, kind: LayerKind) -> Result<()> {
        let fd = dir::ensure(stage.fd(), name, 0o710)?;
        let Some(parent) = parent else {
            dir::ensure(&fd, OsStr::new(ROOT), 0o755)?;
            return Ok(());
        };
        match (kind, parent.form()?) {
            (LayerKind::ReadOnly, _) => self.grow_tree(Some(stage), parent, &fd),
            (LayerKind::Writable { .. }, Form::Tree(below)) => {
                // An overlay shows its upper's root, which must not be another one because a container is made.
                let mut root = Pending::default();
                root.implied.push(PathBuf::new());
                root.settle(&make_upper(&fd, &parent.id)?, &Lowers::tree(below))?;
                Ok(())
            }
            (LayerKind::Writable { .. }, Form::Upper { upper, lower }) => {
                Ok(copy::tree(&upper, &make_upper(&fd, &lower)?, false)?)
            }
        }
    }

    /// Makes `root/` in the directory `to`: the tree that `below` shows, of hard links.
    fn grow_tree(&self, stage: Option<&Stage>, below: &Layer, to: &OwnedFd) -> Result<()> {
        let root = dir::ensure(to, OsStr::new(ROOT), 0o755)?;
        let root = Root::from_fd(root, dir::path(to).join(ROOT));
        match below.form()? {
            Form::Tree(tree) => Ok(copy::linked(&tree, &root)?),
            Form::Upper { upper, lower } => {
                copy::linked(&self.lower_tree(stage, below, &lower)?, &root)?;
                Ok(merge::lay_over(&upper, &root, self.marks())?)
            }
        }
    }

    /// The whole tree of a published layer.
    pub(super) fn whole_tree(&self, id: &CacheId) -> Result<Whole> {
        let layer = self.published(id)?;
        if let Form::Tree(root) = layer.form()? {
            return Ok(Whole::Own(root));
        }
        let stage = self.stage()?;
        self.grow_tree(None, &layer, stage.fd())?;
        let path = stage.path().join(ROOT);
        Ok(Whole::Made(stage, path))
    }

    pub(super) fn applier_of(&self, layer: &Layer, unpack: &Unpack) -> Result<Applier> {
        let (files, whiteouts) = match layer.form()? {
            Form::Tree(root) => (root, Whiteouts::Delete),
            Form::Upper { upper, .. } => (upper, Whiteouts::Overlay(self.marks())),
        };
        Ok(Applier::new(dir::reopen(files)?, unpack.options(whiteouts, self.user_namespace))?)
    }

    pub(super) fn finish_layer(&self, stage: &Stage, layer: &Layer, applied: &Applied) -> Result<u64> {
        if applied.pending.is_empty() {
            return Ok(applied.size);
        }
        Ok(match layer.form()? {
            Form::Tree(_) => applied.size,
            Form::Upper { upper, lower } => {
                let below = Lowers::tree(self.lower_tree(Some(stage), layer, &lower)?);
                applied.size + applied.pending.settle(&upper, &below)?
            }
        })
    }

    pub(super) fn publish_layers(&self, stage: &Stage, ids: &[CacheId]) -> Result<()> {
        let publish = |id: &CacheId| directories::publish(stage, &self.home, layer_name(id)?, id);
        directories::publish_all(ids, publish, || Ok(dir::sync(&self.home)?), |id| self.discard(id))
    }

    /// Puts the tree that the layer shows in the place of its upper. As soon as `root/` is there, nothing else counts.
    pub(super) fn seal_layer(&self, layer: &Layer) -> Result<()> {
        let _lock = self.lock(layer)?;
        if matches!(layer.form()?, Form::Tree(_)) {
            return Ok(());
        }
        self.end_mount(layer)?;
        let stage = self.stage()?;
        let made = self.grow_tree(None, layer, stage.fd()).and_then(|()| {
            Ok(dir::rename_noreplace(stage.fd(), OsStr::new(ROOT), &layer.fd, OsStr::new(ROOT))?)
        });
        stage.remove()?;
        made?;
        for name in [UPPER, WORK] {
            match aside::discard(&self.home, &layer.fd, OsStr::new(name)) {
                Err(Error::Sys(e)) if e.is_not_found() => {}
                other => other?,
            }
        }
        Ok(dir::unlink(&layer.fd, OsStr::new(LOWER_ID))?)
    }

    pub(super) fn discard_layer(&self, layer: &Layer) -> Result<()> {
        let _lock = lock::lock(dir::reopen(&layer.fd)?, lock::Mutual::Exclusive)?;
        self.end_mount(layer)?;
        match aside::discard(&self.home, &self.home, layer_name(&layer.id)?) {
            Err(Error::Sys(e)) if e.is_not_found() => Ok(()),
            other => other,
        }
    }
}

/// Makes what a container's layer has; returns the empty upper directory.
fn make_upper(fd: &OwnedFd, lower: &CacheId) -> Result<Root> {
    let upper = dir::ensure(fd, OsStr::new(UPPER), 0o755)?;
    dir::ensure(fd, OsStr::new(WORK), 0o700)?;
    atomic::create_unsynced(fd, OsStr::new(LOWER_ID), 0o600, lower.as_str().as_bytes())?;
    Ok(Root::from_fd(upper, dir::path(fd).join(UPPER)))
}

/// The bytes of the files that changed, each once.
pub(super) fn size_of(root: &Root, changes: &[Change]) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut total = 0;
    for change in changes.iter().filter(|change| change.kind != ChangeKind::Deleted) {
        let (dir, name) = root.parent_nofollow(change.path.strip_prefix("/").unwrap_or(&change.path))?;
        if let Some(meta) = meta::find(dir, &name)?
            && meta.kind != FileKind::Dir
            && seen.insert((meta.dev, meta.ino))
        {
            total += meta.size;
        }
    }
    Ok(total)
}
