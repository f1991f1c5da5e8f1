//! Steps that earlier builds carried out.

use model::{ChainId, Digest, ImageConfig, Timestamp};
use store::LayerRecord;

use crate::{Engine, Error, Result};

/// A step that was found.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub layer: LayerRecord,
    pub created: Timestamp,
}

/// Images whose steps may be taken (`--cache-from`).
#[derive(Debug, Default)]
pub(super) struct CacheFrom(Vec<ImageConfig>);

impl CacheFrom {
    /// The layer that a step of one of the images made on top of `below`, by the step's line in the history. What the
    /// step has read is not known: it is for steps that read nothing but the tree.
    pub fn find(&self, engine: &Engine, below: Option<&ChainId>, created_by: &str) -> Result<Option<Hit>> {
        for image in &self.0 {
            let chains = ChainId::each(image.diff_ids());
            let made = image.history_with_layers().filter(|(_, layer)| layer.is_some());
            let mut parent = None;
            for ((step, _), chain) in made.zip(chains) {
                if parent.as_ref() == below && step.created_by == created_by {
                    let created = step.created.unwrap_or(Timestamp::EPOCH);
                    return Ok(engine.sound_layer(&chain)?.map(|layer| Hit { layer, created }));
                }
                parent = Some(chain);
            }
        }
        Ok(None)
    }
}

impl Engine {
    /// Reads the images that may be taken from; those that are not here are passed over, as by Docker.
    pub(super) fn cache_from(&self, names: &[String]) -> Result<CacheFrom> {
        let mut images = Vec::new();
        for name in names {
            match self.find_image(name) {
                Ok(id) => images.extend(self.find_sound_image(&id)?),
                Err(Error::NoSuchImage(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(CacheFrom(images))
    }

    /// The layer that a step with this key made on top of `below`, if it is still there, and whole.
    pub(super) fn find_step(&self, key: &Digest, below: Option<&ChainId>) -> Result<Option<Hit>> {
        let cache = self.store.build_cache();
        let Some(record) = cache.find(key)? else { return Ok(None) };
        let layer = self.sound_layer(&record.chain)?;
        let Some(layer) = layer.filter(|layer| layer.parent.as_ref() == below) else { return Ok(None) };
        cache.touch(key, crate::now())?;
        Ok(Some(Hit { layer, created: record.created }))
    }
}
