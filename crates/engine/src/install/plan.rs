//! Which layers are shared with the store and which are unpacked.

use std::collections::BTreeMap;

use model::progress::Progress;
use model::{CacheId, ChainId, DiffId};
use store::LayerRecord;

use super::unpack::{Job, Unpacked};
use super::{Image, Layer};
use crate::layers::{NewLayer, NewLayers};
use crate::{Engine, Error, Result};

/// What an installation has to do.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// Layers that the store has.
    pub shared: BTreeMap<ChainId, LayerRecord>,
    /// Layers to unpack, parents first.
    pub new: Vec<PlannedLayer<'a>>,
}

/// A layer to unpack.
pub(crate) struct PlannedLayer<'a> {
    pub chain: ChainId,
    pub parent: Option<ChainId>,
    pub diff: DiffId,
    pub layer: &'a Layer,
}

impl Engine {
    /// Decides which layers are shared and which are unpacked, each chain once, parents first.
    pub(crate) fn plan<'a>(&self, images: &'a [Image]) -> Result<Plan<'a>> {
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
    pub(crate) fn sound_layer(&self, chain: &ChainId) -> Result<Option<LayerRecord>> {
        match self.store.layers().find(chain) {
            Ok(Some(record)) if self.is_whole(&record)? => Ok(Some(record)),
            Ok(_) | Err(store::Error::BrokenLayer { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// How many layers are unpacked at once.
    pub(crate) fn unpacking_at_once(&self) -> usize {
        if self.driver.capabilities().independent_layers { self.threads } else { 1 }
    }

    /// Unpacks the new layers of `plan` into `layers`.
    pub(super) fn unpack_plan(
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
                    item: new.layer.item.as_deref(),
                    archive: &*new.layer.archive,
                    len: Some(new.layer.len),
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
