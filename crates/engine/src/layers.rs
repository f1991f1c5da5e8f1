//! New layers on their way into the store: staged by the driver and the layerdb together, published together.

use std::collections::HashMap;

use model::{CacheId, ChainId};
use store::{CommitLock, Intent, LayerRecord, Published, StagedLayer, Work};

use drivers::Stage;

use crate::{Engine, Error, Result};

/// A name for a layer that we make.
pub(crate) fn new_cache_id() -> CacheId {
    CacheId::from_random(sys::process::random())
}

/// Layers that are not published yet. Dropped, they are garbage; [`NewLayers::discard`] gives the space back at once.
pub(crate) struct NewLayers<'a> {
    engine: &'a Engine,
    work: &'a Work<'a>,
    stage: Stage,
    layers: Vec<NewLayer<'a>>,
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

    /// Begins the layerdb's part of a layer.
    pub fn record(&self) -> Result<StagedLayer<'a>> {
        Ok(self.engine.store.layers().stage(self.work)?)
    }

    /// Adds a complete layer; parents come first.
    pub fn push(&mut self, layer: NewLayer<'a>) {
        self.layers.push(layer);
    }

    /// Makes all of it durable: the one sync of a load.
    pub fn sync(&self) -> Result<()> {
        sys::dir::sync_fs(&self.stage)?;
        if sys::meta::of_fd(&self.stage)?.dev != sys::meta::of_fd(self.engine.store.fd())?.dev {
            self.engine.store.sync()?;
        }
        Ok(())
    }
}

impl Engine {
    /// Begins a set of new layers.
    pub(crate) fn new_layers<'a>(&'a self, work: &'a Work<'a>) -> Result<NewLayers<'a>> {
        Ok(NewLayers { engine: self, work, stage: self.driver.stage()?, layers: Vec::new() })
    }

    /// Publishes synced layers, the driver's part before the record that names it. `shared` are the layers of the
    /// store that they, or the images on them, build on: if one has been removed meanwhile,
    /// [`Error::LayerVanished`].
    ///
    /// A layer that another process published first is dropped, and those on top of it get the other's as parent.
    pub(crate) fn publish_layers(
        &self,
        lock: &CommitLock<'_>,
        new: NewLayers<'_>,
        shared: &[ChainId],
    ) -> Result<()> {
        for chain in shared {
            if !self.store.layers().exists(chain)? {
                return Err(Error::LayerVanished(*chain));
            }
        }
        let NewLayers { stage, layers, .. } = new;
        let mut wanted = Vec::new();
        // Layers whose place in the driver is another than when those above them were prepared.
        let mut moved: HashMap<ChainId, CacheId> = HashMap::new();
        for layer in layers {
            let record = &layer.record;
            match self.store.layers().find(&record.chain) {
                Ok(Some(theirs)) => drop(moved.insert(record.chain, theirs.cache_id)),
                Ok(None) | Err(store::Error::BrokenLayer { .. }) => {
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
        for layer in wanted {
            // Under the lock nobody can have been faster; a damaged entry's files are swept by `check --repair`.
            match self.store.layers().publish(lock, layer.staged)? {
                Published::New | Published::Replaced(_) => {}
                Published::Already(_) => self.driver.discard(&layer.record.cache_id)?,
            }
        }
        self.store.layers().sync()?;
        Ok(stage.remove()?)
    }
}
