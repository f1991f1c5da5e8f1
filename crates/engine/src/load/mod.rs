//! Loads images from archives and OCI layouts.
//!
//! Read the documents, unpack the layers that the store lacks into a stage of the driver (all at once where the driver
//! can), verify each digest, sync once, publish: layers, images, names. Until the last step nobody sees anything, and
//! a failure leaves nothing but garbage.

mod images;
mod pipeline;
mod source;
mod unpack;

use std::collections::BTreeMap;

use model::progress::{Phase, Progress};
use model::{CacheId, ChainId, DiffId, ImageId, Platform, Reference};
use store::{LayerRecord, Work};

use crate::layers::{NewLayer, NewLayers};
use crate::{Engine, Error, Result};

use images::{Image, Layer};
pub use source::Input;
pub(crate) use source::{Source, open_stream};
pub(crate) use unpack::{Job, Unpacked};

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Which image of an index for several platforms; the one for this machine if absent.
    pub platform: Option<Platform>,
}

/// An image that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its ID.
    pub image: ImageId,
    /// Its names in the archive; they are its names now.
    pub references: Vec<Reference>,
    /// Those that were another image's names before.
    pub renamed: Vec<(Reference, ImageId)>,
}

/// How often a load starts again because somebody removed a layer that it wanted to share.
const ATTEMPTS: usize = 5;

impl Engine {
    /// Loads all images of `input`. When this returns they are durable.
    ///
    /// # Errors
    /// Nothing of the input is in the store then.
    pub fn load(&self, input: Input, options: &LoadOptions, progress: &dyn Progress) -> Result<Vec<Loaded>> {
        self.attempt(|| self.load_input(input, options, progress))
    }

    fn load_input(
        &self,
        input: Input,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        let work = self.store.begin()?;
        let source = Source::open(input, &|| Ok(work.scratch()?), &self.limits.decompress, progress)?;
        let images = images::find(&source, options.platform.as_ref())?;
        for image in &images {
            image.config.validate()?;
        }
        for _ in 1..ATTEMPTS {
            match self.load_images(&work, &images, progress) {
                Err(Error::LayerVanished(_)) => {}
                Ok(loaded) => {
                    work.finish()?;
                    return Ok(loaded);
                }
                Err(e) => return Err(e),
            }
        }
        let loaded = self.load_images(&work, &images, progress)?;
        work.finish()?;
        Ok(loaded)
    }

    fn load_images(&self, work: &Work<'_>, images: &[Image], progress: &dyn Progress) -> Result<Vec<Loaded>> {
        let plan = self.plan(images)?;
        let mut layers = self.new_layers(work)?;
        let unpacked = self.unpack_plan(&mut layers, &plan, progress);
        unpacked.map_err(|e| self.or_vanished(plan.shared.values(), e))?;
        progress.start("layers", Phase::Syncing, None);
        let staged = images
            .iter()
            .map(|image| Ok(self.store.images().stage(work, image.config.bytes().to_vec())?))
            .collect::<Result<Vec<_>>>()?;
        layers.sync()?;
        progress.finish("layers");

        let lock = self.store.commit()?;
        layers.share(plan.shared.into_values());
        self.publish_layers(&lock, layers)?;
        let ids: Vec<ImageId> = images.iter().map(|image| image.config.id()).collect();
        self.note_images(&lock, work, &ids)?;
        let mut loaded = Vec::new();
        for (image, staged) in images.iter().zip(staged) {
            self.store.images().publish(&lock, staged)?;
            loaded.push(Loaded {
                image: image.config.id(),
                references: image.references.clone(),
                renamed: Vec::new(),
            });
        }
        self.store.references().update(&lock, |names| {
            for loaded in &mut loaded {
                for reference in &loaded.references {
                    let before = names.tag(reference, loaded.image)?.filter(|id| *id != loaded.image);
                    loaded.renamed.extend(before.map(|id| (reference.clone(), id)));
                }
            }
            Ok(())
        })?;
        Ok(loaded)
    }

    /// Decides which layers are shared with the store and which are unpacked, each chain once, parents first.
    fn plan<'a>(&self, images: &'a [Image]) -> Result<Plan<'a>> {
        let mut plan = Plan::default();
        for image in images {
            let diffs = image.config.diff_ids();
            let mut parent: Option<ChainId> = None;
            for ((chain, diff), layer) in ChainId::each(diffs).zip(diffs).zip(&image.layers) {
                let known = plan.shared.contains_key(&chain) || plan.new.iter().any(|new| new.chain == chain);
                if !known {
                    match self.sound_layer(&chain)? {
                        Some(record) => drop(plan.shared.insert(chain, record)),
                        None => plan.new.push(PlannedLayer { chain, parent, diff: *diff, layer }),
                    }
                }
                parent = Some(chain);
            }
        }
        Ok(plan)
    }

    /// A layer of the store that can be shared: its record can be read, its files are there, and no check has found
    /// them changed. Any other is unpacked again, which heals it.
    fn sound_layer(&self, chain: &ChainId) -> Result<Option<LayerRecord>> {
        match self.store.layers().find(chain) {
            Ok(Some(record)) if self.is_whole(&record)? => Ok(Some(record)),
            Ok(_) | Err(store::Error::BrokenLayer { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Unpacks the new layers of `plan` into `layers`.
    fn unpack_plan(
        &self,
        layers: &mut NewLayers<'_>,
        plan: &Plan<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let ids: Vec<CacheId> = plan.new.iter().map(|_| crate::layers::new_cache_id()).collect();
        let mut cache_ids: BTreeMap<ChainId, CacheId> =
            plan.shared.iter().map(|(chain, record)| (*chain, record.cache_id.clone())).collect();
        cache_ids.extend(plan.new.iter().zip(&ids).map(|(new, id)| (new.chain, id.clone())));
        layers.note(plan.new.iter().zip(&ids).map(|(new, id)| (id.clone(), new.chain)))?;
        let parent_of = |new: &PlannedLayer<'_>| new.parent.and_then(|chain| cache_ids.get(&chain));

        let batch = if self.driver.capabilities().independent_layers { plan.new.len().max(1) } else { 1 };
        for (news, ids) in plan.new.chunks(batch).zip(ids.chunks(batch)) {
            let mut jobs = Vec::new();
            let mut records = Vec::new();
            for (new, id) in news.iter().zip(ids) {
                self.driver.prepare(layers.stage(), id, parent_of(new), drivers::LayerKind::ReadOnly)?;
                let record = layers.record()?;
                jobs.push(Job {
                    name: &new.layer.name,
                    input: Box::new(new.layer.blob.reader()),
                    len: Some(new.layer.blob.len),
                    cache_id: id,
                    expected: Some(new.diff),
                    record: record.tar_split()?,
                });
                records.push(record);
            }
            let unpacked = self.unpack_all(layers.stage(), jobs, progress)?;
            for (((new, id), Unpacked { diff_id, applied }), record) in
                news.iter().zip(ids).zip(unpacked).zip(records)
            {
                let finished = self.driver.finish(layers.stage(), id, applied);
                let size = finished.map_err(|e| Error::from(e).in_layer(&new.layer.name))?;
                let cache_id = id.clone();
                let entry =
                    LayerRecord { chain: new.chain, diff: diff_id, parent: new.parent, cache_id, size };
                layers.push(NewLayer::finish(record, entry)?);
            }
        }
        Ok(())
    }
}

/// What a load has to do.
#[derive(Default)]
struct Plan<'a> {
    /// Layers that the store has.
    shared: BTreeMap<ChainId, LayerRecord>,
    /// Layers to unpack, parents first.
    new: Vec<PlannedLayer<'a>>,
}

struct PlannedLayer<'a> {
    chain: ChainId,
    parent: Option<ChainId>,
    diff: DiffId,
    layer: &'a Layer,
}
