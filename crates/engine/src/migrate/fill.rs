//! Moves one layer after the other.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use archive::tar;
use changeset::regenerate::regenerate;
use changeset::{Applied, ApplyLimits, Donor, Lowers, Pending};
use drivers::{LayerKind, Stage, Unpack};
use model::progress::{Phase, Progress};
use model::{CacheId, ChainId, Digest};
use store::{Intent, LayerRecord, RemovingLayer, Work};

use super::Content;
use super::plan::{Plan, Planned};
use crate::hashing::pass_on;
use crate::install::Tee;
use crate::layers::NewLayer;
use crate::{Engine, Error, Result};

/// From one store to the other.
pub(super) struct Mover<'a> {
    source: &'a Engine,
    target: &'a Engine,
    work: &'a Work<'a>,
    progress: &'a dyn Progress,
    /// What was done so far.
    pub content: Content,
    sockets: u64,
    unlimited: u64,
    lost_xattrs: BTreeMap<String, u64>,
}

impl<'a> Mover<'a> {
    pub fn new(
        source: &'a Engine,
        target: &'a Engine,
        work: &'a Work<'a>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            source,
            target,
            work,
            progress,
            content: Content::default(),
            sockets: 0,
            unlimited: 0,
            lost_xattrs: BTreeMap::new(),
        }
    }

    /// Moves an image's layer, whose parent is there. Durable when this returns.
    pub fn layer(&mut self, record: &LayerRecord) -> Result<()> {
        let item = record.diff.short();
        if self.target.sound_layer(&record.chain)?.is_some() {
            self.progress.status(&item, "Already moved");
            return Ok(());
        }
        let id = &record.cache_id;
        self.target.driver.discard(id)?;
        let parent = self.below(record.parent.as_ref())?;
        let mut new = self.target.new_layers(self.work)?;
        self.target.driver.prepare(new.stage(), id, parent.as_ref(), LayerKind::ReadOnly)?;
        let staged = new.record()?;
        self.progress.start(&item, Phase::Unpacking, Some(record.size));
        let root = self.source.driver.layer_root(id)?;
        let tar_split = self.source.tar_split(record)?;
        let (found, applied) = self.fill(new.stage(), id, &item, staged.tar_split()?, |out| {
            Ok(regenerate(tar_split, &root, out)?)
        })?;
        let size = self.target.driver.finish(new.stage(), id, applied)?;
        self.verify(new.stage(), id, &item, staged.read_tar_split()?, &found)?;
        // The target gives what the source gave; this says that it is the layer.
        if found != *record.diff.digest() {
            return Err(Error::Damaged(format!("its content has the digest {found}")));
        }
        new.push(NewLayer::finish(staged, LayerRecord { size, ..record.clone() })?);
        new.sync()?;
        let lock = self.target.store.commit()?;
        self.target.publish_layers(&lock, new)?;
        self.progress.finish(&item);
        Ok(())
    }

    /// Moves a container's writable layers, in the place of what an earlier attempt has moved.
    pub fn container(&mut self, container: &Planned) -> Result<()> {
        let Planned { id, mount, size } = container;
        let item = id.short();
        let (top, init) = (CacheId::from(mount.mount_id), mount.init_id.map(CacheId::from));
        let layers: Vec<CacheId> = init.iter().cloned().chain([top]).collect();
        self.progress.start(&item, Phase::Unpacking, None);
        self.work.note(&[Intent::Mount { container: *id, mount_id: mount.mount_id }])?;
        {
            let lock = self.target.store.commit()?;
            self.target.store.mounts().remove(&lock, self.work, id)?;
        }
        layers.iter().rev().try_for_each(|layer| self.target.driver.discard(layer))?;
        let stage = self.target.driver.stage()?;
        let quota = self.target.driver.capabilities().quota;
        self.unlimited += u64::from(size.is_some_and(|size| size > 0) && !quota);
        let mut parent = self.below(mount.parent.as_ref())?;
        for layer in &layers {
            let kind = LayerKind::Writable { size: size.filter(|size| quota && *size > 0) };
            self.target.driver.prepare(&stage, layer, parent.as_ref(), kind)?;
            self.writable(&stage, layer, parent.as_ref(), &item)?;
            parent = Some(layer.clone());
        }
        let staged = self.target.store.mounts().stage(self.work, id, mount.clone())?;
        self.target.driver.sync_stage(&stage)?;
        self.target.store.sync()?;
        let lock = self.target.store.commit()?;
        self.target.driver.publish(&stage, &layers)?;
        self.target.store.mounts().publish(&lock, staged)?;
        stage.remove()?;
        self.progress.finish(&item);
        Ok(())
    }

    /// Moves what one writable layer changes in its parent.
    fn writable(&mut self, stage: &Stage, id: &CacheId, parent: Option<&CacheId>, item: &str) -> Result<()> {
        let source = &self.source.driver;
        let mut record = self.work.scratch()?;
        let writer = record.try_clone().map_err(Error::io("open", "a layer's record"))?;
        let mut sockets = 0;
        let (found, applied) = self.fill(stage, id, item, writer, |out| {
            sockets = source.diff(id, parent, out)?.sockets;
            Ok(())
        })?;
        self.sockets += sockets;
        self.target.driver.finish(stage, id, applied)?;
        record.rewind().map_err(Error::io("read", "a layer's record"))?;
        self.verify(stage, id, item, record, &found)?;
        // A difference says nothing of the root itself.
        let root = Pending { implied: vec![std::path::PathBuf::new()], ..Pending::default() };
        let lowers = Lowers::tree(source.layer_root(id)?);
        root.settle(&self.target.driver.staged_root(stage, id)?, &lowers)?;
        Ok(())
    }

    /// Unpacks what `produce` writes into a staged layer, and answers with its digest. `record` gets what brings it back.
    fn fill(
        &mut self,
        stage: &Stage,
        id: &CacheId,
        item: &str,
        record: impl Write,
        produce: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    ) -> Result<(Digest, Applied)> {
        let mut applier = self.target.driver.applier(stage, id, &unpack())?;
        applier.take_from(Donor::new(self.source.driver.layer_root(id)?));
        let mut layer = Tee::new(applier, record);
        let mut parser = tar::Parser::new(tar_limits());
        let digest = pass_on(produce, |piece| {
            self.progress.advance(item, piece.len() as u64);
            parser.push(piece, &mut layer)
        })?;
        parser.finish(&mut layer)?;
        let applied = layer.finish()?;
        self.content.linked += applied.taken.linked;
        self.content.cloned += applied.taken.cloned;
        self.content.written += applied.size.saturating_sub(applied.taken.linked + applied.taken.cloned);
        for (key, files) in &applied.unsupported_xattrs {
            *self.lost_xattrs.entry(key.clone()).or_default() += files;
        }
        Ok((digest, applied))
    }

    /// Puts the archive together from where it is now, and compares.
    fn verify(
        &self,
        stage: &Stage,
        id: &CacheId,
        item: &str,
        record: std::fs::File,
        expected: &Digest,
    ) -> Result<()> {
        self.progress.start(item, Phase::Verifying, None);
        let root = self.target.driver.staged_root(stage, id)?;
        let record = archive::tar_split::gunzip(record);
        let found = pass_on(
            |out| Ok(regenerate(record, &root, out)?),
            |piece| {
                self.progress.advance(item, piece.len() as u64);
                Ok(())
            },
        )?;
        if found == *expected {
            return Ok(());
        }
        Err(Error::Damaged(format!("moved, its content has the digest {found} instead of {expected}")))
    }

    /// The new driver's layer of this chain: it has the name that it had.
    fn below(&self, chain: Option<&ChainId>) -> Result<Option<CacheId>> {
        Ok(chain
            .map(|chain| self.target.store.layers().get(chain))
            .transpose()?
            .map(|record| record.cache_id))
    }

    /// Removes what an earlier attempt has moved and is not in the store any more.
    pub fn drop_surplus(&self, plan: &Plan) -> Result<()> {
        let store = &self.target.store;
        let lock = store.commit()?;
        let mut named: Vec<CacheId> = plan.layers.iter().map(|layer| layer.cache_id.clone()).collect();
        for container in &plan.containers {
            named.push(container.mount.mount_id.into());
            named.extend(container.mount.init_id.map(CacheId::from));
        }
        for id in store.mounts().list()? {
            if !plan.containers.iter().any(|container| container.id == id) {
                store.mounts().remove(&lock, self.work, &id)?;
            }
        }
        let gone: Vec<ChainId> =
            store.layers().list()?.into_iter().filter(|chain| !plan.has(chain)).collect();
        let removing: Vec<RemovingLayer> = store.layers().begin_remove(&lock, &gone)?;
        self.target.discard_layers(removing)?;
        for id in self.target.driver.list()?.iter().filter(|id| !named.contains(id)) {
            self.target.driver.discard(id)?;
        }
        self.target.driver.sync()?;
        self.target.driver.sweep()?;
        Ok(())
    }

    /// What could not be moved as it was.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.sockets > 0 {
            warnings.push(format!("{} sockets of stopped containers were left out", self.sockets));
        }
        if self.unlimited > 0 {
            let name = self.target.driver.name();
            warnings.push(format!(
                "{name} does not limit the size of {} containers that had a limit",
                self.unlimited
            ));
        }
        for (key, files) in &self.lost_xattrs {
            warnings.push(format!("{files} files lost the attribute {key}, which the file system refuses"));
        }
        warnings
    }
}

/// What is in the store was let in before, by whatever limits there were.
fn unpack() -> Unpack {
    Unpack { limits: ApplyLimits { entries: u64::MAX, bytes: u64::MAX }, strict_xattrs: false }
}

fn tar_limits() -> tar::Limits {
    tar::Limits { pax_bytes: 1 << 30, long_name_bytes: 1 << 20, sparse_extents: u64::MAX }
}
