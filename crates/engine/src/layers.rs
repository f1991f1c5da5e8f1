//! New layers on their way into the store: staged by the driver and the layerdb together, published together.

use std::collections::HashMap;
use std::io::Read;

use drivers::{LayerKind, Stage, Unpack};
use model::progress::{Progress, Silent};
use model::{CacheId, ChainId, DiffId, ImageConfig, ImageId, Reference};
use store::{CommitLock, Intent, LayerRecord, Published, RemovingLayer, StagedLayer, Work};

use crate::install::{Job, Stream, Unpacked};
use crate::{Engine, Error, Result};

/// A name for a layer that we make.
pub(crate) fn new_cache_id() -> CacheId {
    CacheId::from_random(sys::process::random())
}

/// Layers that are not published yet. Dropped, they are garbage.
pub(crate) struct NewLayers<'a> {
    engine: &'a Engine,
    work: &'a Work<'a>,
    stage: Stage,
    layers: Vec<NewLayer<'a>>,
    /// Layers of the store that they were built on, as they were then.
    shared: Vec<LayerRecord>,
}

/// One layer, complete but not published.
pub(crate) struct NewLayer<'a> {
    staged: StagedLayer<'a>,
    record: LayerRecord,
}

impl<'a> NewLayer<'a> {
    /// Completes the layerdb's part.
    pub fn finish(mut staged: StagedLayer<'a>, record: LayerRecord) -> Result<Self> {
        staged.finish(record.clone())?;
        Ok(Self { staged, record })
    }
}

impl<'a> NewLayers<'a> {
    /// Where the driver makes them.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Notes what a crash would leave behind. Before the first layer is published.
    pub fn note(&self, layers: impl Iterator<Item = (CacheId, ChainId)>) -> Result<()> {
        let intents: Vec<Intent> =
            layers.map(|(cache_id, chain)| Intent::Layer { cache_id, chain: Some(chain) }).collect();
        if !intents.is_empty() {
            self.work.note(&intents)?;
        }
        Ok(())
    }

    /// Says which layers of the store the new ones, or the images on them, build on.
    pub fn share(&mut self, layers: impl IntoIterator<Item = LayerRecord>) {
        self.shared.extend(layers);
    }

    /// Begins the layerdb's part of a layer.
    pub fn record(&self) -> Result<StagedLayer<'a>> {
        Ok(self.engine.store.layers().stage(self.work)?)
    }

    /// Unpacks `input` as a layer on top of `parent`, a layer of the store, and adds it. An archive without entries
    /// makes no layer: `None`.
    pub fn unpack(
        &mut self,
        name: &str,
        input: Box<dyn Read + Send>,
        len: Option<u64>,
        parent: Option<&LayerRecord>,
        progress: &dyn Progress,
    ) -> Result<Option<DiffId>> {
        self.share(parent.cloned());
        let made = self.make(name, input, len, parent, progress, false)?;
        Ok(made.map(|record| record.diff))
    }

    /// As [`unpack`](Self::unpack), on top of a layer of the store or of one of these layers. An archive without entries
    /// makes a layer, too.
    pub fn stack(
        &mut self,
        name: &str,
        input: Box<dyn Read + Send>,
        parent: Option<&LayerRecord>,
    ) -> Result<LayerRecord> {
        let is_new = |parent: &&LayerRecord| self.layers.iter().any(|new| new.record.chain == parent.chain);
        if let Some(parent) = parent.filter(|parent| !is_new(parent)) {
            self.share([parent.clone()]);
        }
        let made = self.make(name, input, None, parent, &Silent, true)?;
        made.ok_or_else(|| Error::invalid(format!("layer {name} is missing")))
    }

    fn make(
        &mut self,
        name: &str,
        input: Box<dyn Read + Send>,
        len: Option<u64>,
        parent: Option<&LayerRecord>,
        progress: &dyn Progress,
        keep_empty: bool,
    ) -> Result<Option<LayerRecord>> {
        let id = new_cache_id();
        self.engine.driver.prepare(&self.stage, &id, parent.map(|p| &p.cache_id), LayerKind::ReadOnly)?;
        let staged = self.record()?;
        let (archive, record) = (&Stream::new(input), staged.tar_split()?);
        let job = Job { name, item: None, archive, len, cache_id: &id, expected: None, record };
        let Unpacked { diff_id, applied } = self.engine.unpack(&self.stage, job, progress)?;
        if diff_id == DiffId::EMPTY && !keep_empty {
            return Ok(None);
        }
        let size = self.engine.driver.finish(&self.stage, &id, applied)?;
        let parent = parent.map(|p| p.chain);
        let chain = ChainId::extend(parent.as_ref(), &diff_id);
        self.note(std::iter::once((id.clone(), chain)))?;
        let record = LayerRecord { chain, diff: diff_id, parent, cache_id: id, size };
        self.push(NewLayer::finish(staged, record.clone())?);
        Ok(Some(record))
    }

    /// Adds a complete layer; parents come first.
    pub fn push(&mut self, layer: NewLayer<'a>) {
        self.layers.push(layer);
    }

    /// Makes all of it durable: the one sync of a load.
    pub fn sync(&self) -> Result<()> {
        self.engine.driver.sync_stage(&self.stage)?;
        if sys::meta::of_fd(&self.stage)?.dev != sys::meta::of_fd(self.engine.store.fd())?.dev {
            self.engine.store.sync()?;
        }
        Ok(())
    }
}

impl Engine {
    /// Makes a writable layer that belongs to no container, on top of `below`. It is noted: unless something comes to
    /// name it, a crash leaves garbage.
    pub(crate) fn writable_layer(&self, work: &Work<'_>, below: Option<&CacheId>) -> Result<CacheId> {
        let id = new_cache_id();
        work.note(&[Intent::Layer { cache_id: id.clone(), chain: None }])?;
        let stage = self.driver.stage()?;
        self.driver.prepare(&stage, &id, below, LayerKind::Writable { size: None })?;
        self.driver.publish(&stage, std::slice::from_ref(&id))?;
        stage.remove()?;
        Ok(id)
    }

    /// Begins a set of new layers.
    pub(crate) fn new_layers<'a>(&'a self, work: &'a Work<'a>) -> Result<NewLayers<'a>> {
        Ok(NewLayers {
            engine: self,
            work,
            stage: self.driver.stage()?,
            layers: Vec::new(),
            shared: Vec::new(),
        })
    }

    /// Publishes synced layers, the driver's part before the record that names it. If a layer of the store that they
    /// build on has been removed meanwhile, [`Error::LayerVanished`].
    ///
    /// A layer that another process published first is dropped. What stands on it, or on a shared layer that was
    /// removed and loaded again, gets the other's as parent.
    pub(crate) fn publish_layers(&self, lock: &CommitLock<'_>, new: NewLayers<'_>) -> Result<()> {
        let NewLayers { stage, layers, shared, .. } = new;
        let mut wanted = Vec::new();
        // Layers whose place in the driver is another than when those above them were prepared.
        let mut moved: HashMap<ChainId, CacheId> = HashMap::new();
        for before in shared {
            match self.store.layers().find(&before.chain) {
                Ok(Some(now)) if now.cache_id == before.cache_id => {}
                Ok(Some(now)) => drop(moved.insert(now.chain, now.cache_id)),
                Ok(None) | Err(store::Error::BrokenLayer { .. }) => {
                    return Err(Error::LayerVanished(before.chain));
                }
                Err(e) => return Err(e.into()),
            }
        }
        for layer in layers {
            let record = &layer.record;
            match self.store.layers().find(&record.chain) {
                Ok(Some(theirs)) if self.is_whole(&theirs)? => {
                    drop(moved.insert(record.chain, theirs.cache_id))
                }
                Ok(_) | Err(store::Error::BrokenLayer { .. }) => {
                    let parent = record.parent.and_then(|parent| moved.get(&parent));
                    if let Some(parent) = parent
                        && self.driver.capabilities().independent_layers
                    {
                        self.driver.rebase(&stage, &record.cache_id, parent)?;
                        moved.insert(record.chain, record.cache_id.clone());
                    }
                    wanted.push(layer);
                }
                Err(e) => return Err(e.into()),
            }
        }
        let ids: Vec<CacheId> = wanted.iter().map(|layer| layer.record.cache_id.clone()).collect();
        self.driver.publish(&stage, &ids)?;
        let mut replaced = Vec::new();
        for layer in wanted {
            // A damaged layer of that name has to make room. Its files stay: layers on top of it may be linked to them
            // until `check --repair` links these to the new ones and sweeps the old.
            if let Published::Replaced(_) = self.store.layers().publish(lock, layer.staged)? {
                replaced.push(layer.record.chain);
            }
        }
        self.store.layers().sync()?;
        for chain in replaced {
            self.clear_suspect(&chain)?;
        }
        Ok(stage.remove()?)
    }
}

impl Engine {
    /// Publishes a new image: its layers, its configuration, what `mark` adds to its metadata, its name. Durable when
    /// this returns.
    pub(crate) fn publish_image(
        &self,
        work: &Work<'_>,
        layers: NewLayers<'_>,
        image: &ImageConfig,
        name: Option<&Reference>,
        mark: impl FnOnce(&CommitLock<'_>, &ImageId) -> Result<()>,
    ) -> Result<ImageId> {
        let staged = self.store.images().stage(work, image.bytes().to_vec())?;
        layers.sync()?;
        let lock = self.store.commit()?;
        self.publish_layers(&lock, layers)?;
        self.note_images(&lock, work, &[image.id()])?;
        let id = self.store.images().publish(&lock, staged)?;
        mark(&lock, &id)?;
        self.store.images().set_last_updated(&lock, &id, crate::now())?;
        if let Some(name) = name {
            self.store.references().update(&lock, |names| names.tag(name, id).map(drop))?;
        }
        Ok(id)
    }

    /// Notes images that are about to be published and are new, so that a crash leaves none without its names.
    pub(crate) fn note_images(
        &self,
        _lock: &CommitLock<'_>,
        work: &Work<'_>,
        images: &[ImageId],
    ) -> Result<()> {
        let mut new = Vec::new();
        for id in images {
            if !self.store.images().exists(id)? {
                new.push(Intent::Image { id: *id });
            }
        }
        Ok(work.note(&new)?)
    }

    /// What a failure to build on layers of the store means while others remove layers: that one of them is gone, or
    /// is another directory now, if that is so.
    pub(crate) fn or_vanished<'a>(
        &self,
        shared: impl IntoIterator<Item = &'a LayerRecord>,
        error: Error,
    ) -> Error {
        for before in shared {
            let now = self.store.layers().find(&before.chain);
            if !matches!(now, Ok(Some(now)) if now.cache_id == before.cache_id) {
                return Error::LayerVanished(before.chain);
            }
        }
        error
    }

    /// What unpacking an archive may do.
    pub(crate) fn unpack_options(&self) -> Unpack {
        Unpack { limits: self.limits.apply, strict_xattrs: false }
    }

    /// Takes layers that nothing uses any more out of the store, and those below them. Their files go to the trash.
    /// Answers with the chains, the topmost first.
    pub(crate) fn release_layers(&self, lock: &CommitLock<'_>, tops: &[ChainId]) -> Result<Vec<ChainId>> {
        let removing = self.take_unneeded(lock, tops)?;
        let released = removing.iter().map(|layer| layer.chain).collect();
        self.discard_layers(removing)?;
        Ok(released)
    }

    /// Discards the files of a layer that has no name any more.
    pub(crate) fn finish_removal(&self, layer: RemovingLayer) -> Result<()> {
        self.discard_layers(vec![layer])
    }
}
