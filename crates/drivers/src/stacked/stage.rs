//! Layers before they exist for everybody, and after.

use std::ffi::OsStr;
use std::path::PathBuf;

use changeset::{Applied, Applier, Lowers, Pending};
use model::{CacheId, LinkId};
use sys::{OwnedFd, Root, atomic, dir, lock, tree};

use super::layer::{self, DIFF, LINK, LOWER, Layer, WORK};
use super::{Stacked, Union, layer_name};
use crate::driver::{Driver, LayerKind, Unpack};
use crate::quota::Limits;
use crate::{Error, Result, Stage, aside, directories};

impl<U: Union> Stacked<U> {
    pub(super) fn prepare_layer(
        &self,
        stage: &Stage,
        id: &CacheId,
        parent: Option<&CacheId>,
        kind: LayerKind,
    ) -> Result<()> {
        let limit = self.limit_of(kind)?;
        let name = layer_name(id)?;
        if self.exists(id)? || stage.contains(id)? {
            return Err(Error::Exists(id.clone()));
        }
        let parent = parent.map(|parent| self.find(Some(stage), parent)).transpose()?;
        let lower = parent.as_ref().map(|parent| self.lower_above(parent)).transpose()?;
        let made = self.make(stage, name, lower.as_deref(), limit).and_then(|link| {
            stage.note_link(link, id);
            match &parent {
                Some(parent) => self.inherit_root(&self.staged(stage, id)?, parent),
                None => Ok(()),
            }
        });
        if made.is_err() {
            let _ = tree::remove(stage, name);
        }
        made?;
        parent.map_or(Ok(()), |parent| self.commit_if_staged(stage, &parent))
    }

    /// Gives the new layer's root the attributes of its parent's: a union shows those of the nearest layer, and a
    /// tree's root must not become another one because a container is made. (Docker makes it 0755 root always.)
    fn inherit_root(&self, layer: &Layer, parent: &Layer) -> Result<()> {
        let mut root = Pending::default();
        root.implied.push(PathBuf::new());
        root.settle(&layer.root()?, &Lowers::new(vec![parent.root()?], self.union.marks()))?;
        Ok(())
    }

    /// Makes the layer's directory, and gives it a short name.
    fn make(
        &self,
        stage: &Stage,
        name: &OsStr,
        lower: Option<&[LinkId]>,
        limit: Option<(&Limits, u64)>,
    ) -> Result<LinkId> {
        let fd = dir::ensure(stage.fd(), name, 0o710)?;
        self.make_limited(&fd, lower.is_some(), limit)?;
        if let Some(shifted) = &self.shifted {
            shifted.let_pass(&fd)?;
            shifted.give(dir::open(&fd, OsStr::new(DIFF))?)?;
        }
        let link = LinkId::from_random(sys::process::random());
        atomic::create_unsynced(&fd, OsStr::new(LINK), 0o644, link.to_string().as_bytes())?;
        if let Some(lower) = lower {
            self.ensure_work(&fd)?;
            atomic::create_unsynced(&fd, OsStr::new(LOWER), 0o644, layer::lower_text(lower).as_bytes())?;
        }
        Ok(link)
    }

    /// Makes the directory that the union works in.
    fn ensure_work(&self, layer: &OwnedFd) -> Result<()> {
        let work = dir::ensure(layer, OsStr::new(WORK), U::WORK_MODE)?;
        self.shifted.as_ref().map_or(Ok(()), |shifted| shifted.give(&work))
    }

    /// The lowers of a layer on top of `parent`.
    pub(super) fn lower_above(&self, parent: &Layer) -> Result<Vec<LinkId>> {
        let mut links = vec![parent.link()?];
        links.extend(parent.lower()?.unwrap_or_default());
        if links.len() > self.max_lowers { Err(Error::TooDeep) } else { Ok(links) }
    }

    /// Marks a staged parent at once; a published one is marked when its child is published.
    fn commit_if_staged(&self, stage: &Stage, parent: &Layer) -> Result<()> {
        if stage.contains(&parent.id)? { parent.commit() } else { Ok(()) }
    }

    pub(super) fn rebase_layer(&self, stage: &Stage, id: &CacheId, parent: &CacheId) -> Result<()> {
        let staged = self.staged(stage, id)?;
        let parent = self.find(Some(stage), parent)?;
        let lower = self.lower_above(&parent)?;
        self.ensure_work(&staged.fd)?;
        atomic::write(&staged.fd, OsStr::new(LOWER), 0o644, layer::lower_text(&lower).as_bytes())?;
        self.commit_if_staged(stage, &parent)
    }

    pub(super) fn applier_of(&self, stage: &Stage, id: &CacheId, unpack: &Unpack) -> Result<Applier> {
        let diff = dir::reopen(self.staged(stage, id)?.root()?)?;
        Ok(Applier::new(diff, unpack.options(self.union.whiteouts(), self.user_namespace))?)
    }

    pub(super) fn finish_layer(&self, stage: &Stage, id: &CacheId, applied: Applied) -> Result<u64> {
        if applied.pending.is_empty() {
            return Ok(applied.size);
        }
        let layer = self.staged(stage, id)?;
        let lowers = self.lowers_of(Some(stage), &layer)?;
        Ok(applied.size + applied.pending.settle(&layer.root()?, &lowers)?)
    }

    pub(super) fn publish_layers(&self, stage: &Stage, ids: &[CacheId]) -> Result<()> {
        // The names of the layers, then the short ones: a short name is of no use without its layer.
        let sync = || Ok(dir::sync(&self.home).and_then(|()| dir::sync(&self.links))?);
        directories::publish_all(ids, |id| self.publish_one(stage, id), sync, |id| self.discard(id))
    }

    fn publish_one(&self, stage: &Stage, id: &CacheId) -> Result<()> {
        let name = layer_name(id)?;
        let layer = self.staged(stage, id)?;
        let link = layer.link()?;
        if let Some(parent) = layer.lower()?.unwrap_or_default().first() {
            self.published(&self.lower_id(Some(stage), &layer, *parent)?)?.commit()?;
        }
        match dir::rename_noreplace(stage, name, &self.home, name) {
            Err(e) if e.is_exists() => return Err(Error::Exists(id.clone())),
            other => other?,
        }
        let linked = dir::symlink(&self.links, OsStr::new(&link.to_string()), OsStr::new(&layer::target(id)));
        if linked.is_err() {
            let _ = dir::rename_noreplace(&self.home, name, stage, name);
        }
        Ok(linked?)
    }

    pub(super) fn discard_layer(&self, layer: &Layer) -> Result<()> {
        let _lock = lock::lock(dir::reopen(&layer.fd)?, lock::Mutual::Exclusive)?;
        self.end_mount(layer)?;
        // Another layer's short name stays, whatever this layer's `link` says.
        if let Ok(link) = layer.find_link()?
            && self.resolve(&link)?.as_ref() == Some(&layer.id)
        {
            dir::unlink(&self.links, OsStr::new(&link.to_string()))?;
        }
        match aside::discard(&self.home, &self.home, layer_name(&layer.id)?) {
            Err(Error::Sys(e)) if e.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// What a layer is on top of, for reading.
    pub(super) fn lowers_of(&self, stage: Option<&Stage>, layer: &Layer) -> Result<Lowers> {
        Ok(Lowers::new(self.lower_roots(stage, layer)?, self.union.marks()))
    }

    /// A layer on top of its lowers, for reading.
    pub(super) fn view_of(&self, stage: Option<&Stage>, layer: &Layer) -> Result<Lowers> {
        let mut roots = vec![layer.root()?];
        roots.extend(self.lower_roots(stage, layer)?);
        Ok(Lowers::new(roots, self.union.marks()))
    }

    fn lower_roots(&self, stage: Option<&Stage>, layer: &Layer) -> Result<Vec<Root>> {
        let lowers = self.lowers(stage, layer)?;
        lowers.iter().map(|(_, id)| self.find(stage, id)?.root()).collect()
    }
}
