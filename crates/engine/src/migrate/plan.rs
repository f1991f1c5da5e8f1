//! What is to be moved.

use std::collections::BTreeMap;

use model::{ChainId, ContainerId, ImageId};
use store::{LayerRecord, MountRecord};

use crate::{Engine, Error, Result};

/// What a store has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Layers that something needs, each after those below it.
    pub layers: Vec<LayerRecord>,
    /// Images.
    pub images: Vec<ImageId>,
    /// Containers.
    pub containers: Vec<Planned>,
    /// Who needs a layer, to be named if it cannot be moved.
    needed_by: BTreeMap<ChainId, String>,
}

/// A container to move.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub id: ContainerId,
    pub mount: MountRecord,
    /// The driver's size limit of its writable layer, in bytes.
    pub size: Option<u64>,
}

impl Plan {
    /// Reads the store.
    ///
    /// # Errors
    /// Damage, which has to be repaired first: what is not understood cannot be moved.
    pub fn read(engine: &Engine) -> Result<Self> {
        let mut plan = Self::default();
        plan.read_images(engine).map_err(repair_first)?;
        plan.read_containers(engine).map_err(repair_first)?;
        plan.read_builds(engine)?;
        Ok(plan)
    }

    fn read_images(&mut self, engine: &Engine) -> Result<()> {
        // A damaged file of names is damaged for the new driver, too.
        let names = engine.store.references().read()?.by_image();
        for id in engine.store.images().list()? {
            let image = engine.store.images().get(&id)?;
            let name = names.get(&id).and_then(|names| names.first());
            let name = name.map_or_else(|| id.short(), |name| name.familiar());
            self.need(engine, image.chain_id(), &format!("image {name}"))?;
            self.images.push(id);
        }
        Ok(())
    }

    fn read_containers(&mut self, engine: &Engine) -> Result<()> {
        for id in engine.store.containers().list()? {
            let mount = engine.store.mounts().find(&id);
            let container = match engine.store.containers().find(&id) {
                // Whose it is, nobody knows but its entry in the layerdb.
                Err(store::Error::BrokenContainer { .. }) if matches!(mount, Ok(None)) => continue,
                other => other?,
            };
            let Some(container) = container.filter(|c| c.driver() == engine.store.driver()) else { continue };
            // Without one, it has nothing to move.
            let Some(mount) = mount? else { continue };
            let name = container.name().trim_start_matches('/').to_owned();
            self.need(engine, mount.parent, &format!("container {name}"))?;
            let size = crate::create::size_option(&engine.store.containers().host_config(&id)?.view()?)?;
            self.containers.push(Planned { id, mount, size });
        }
        Ok(())
    }

    /// Steps of builds whose layers are not there any more are carried out again.
    fn read_builds(&mut self, engine: &Engine) -> Result<()> {
        for record in engine.store.build_cache().list()? {
            if engine.store.layers().chain(&record.chain).is_ok() {
                self.need(engine, Some(record.chain), "the build cache")?;
            }
        }
        Ok(())
    }

    fn need(&mut self, engine: &Engine, top: Option<ChainId>, who: &str) -> Result<()> {
        let mut new = Vec::new();
        let mut next = top;
        while let Some(chain) = next.filter(|chain| !self.needed_by.contains_key(chain)) {
            let record = engine.store.layers().get(&chain)?;
            next = record.parent;
            self.needed_by.insert(chain, who.to_owned());
            new.push(record);
        }
        self.layers.extend(new.into_iter().rev());
        Ok(())
    }

    /// The error of a layer that could not be moved, with who needs it.
    pub fn blame(&self, layer: &LayerRecord, error: Error) -> Error {
        let who = self.needed_by.get(&layer.chain).map_or("nobody", String::as_str);
        if error.is_full() {
            return error.in_layer(&layer.diff.short());
        }
        Error::Damaged(format!(
            "layer {} of {who} cannot be moved: {error}. Nothing has changed: see `layercake check`, or remove {who}",
            layer.diff.short()
        ))
    }

    /// Whether the layer is one of these.
    pub fn has(&self, chain: &ChainId) -> bool {
        self.needed_by.contains_key(chain)
    }
}

impl Planned {
    /// The error of a container that could not be moved.
    pub fn blame(&self, error: Error) -> Error {
        if error.is_full() {
            return error;
        }
        Error::Damaged(format!("container {} cannot be moved: {error}. Nothing has changed", self.id.short()))
    }
}

fn repair_first(error: Error) -> Error {
    match error {
        Error::Store(
            store::Error::NoLayer(_)
            | store::Error::BrokenLayer { .. }
            | store::Error::BrokenImage { .. }
            | store::Error::BrokenContainer { .. }
            | store::Error::BrokenFile { .. },
        ) => Error::Damaged(format!("{error}: run `layercake check --repair` before the migration")),
        other => other,
    }
}
