//! Who is affected by a damage, and what images say of their layers.

use std::collections::{BTreeMap, BTreeSet};

use model::{ChainId, ContainerId, DiffId, ImageId};

use crate::{Engine, Result};

/// What users know their things by.
#[derive(Debug, Default)]
pub(super) struct Affected {
    images: BTreeMap<ImageId, Vec<String>>,
    containers: BTreeMap<ContainerId, String>,
    by_image: BTreeMap<ImageId, BTreeSet<String>>,
    by_layer: BTreeMap<ChainId, BTreeSet<String>>,
    /// What images say of layers: the digest, and the layer below.
    known: BTreeMap<ChainId, (DiffId, Option<ChainId>)>,
}

impl Affected {
    /// Reads images, containers and layers, as far as they can be read.
    pub fn read(engine: &Engine) -> Result<Self> {
        let mut affected = Self::default();
        let mut parents = affected.read_images(engine)?;
        for chain in engine.store.layers().list()? {
            if let Some(parent) = sound(engine.store.layers().find(&chain))?.and_then(|record| record.parent)
            {
                parents.insert(chain, parent);
            }
        }
        affected.read_containers(engine, &parents)?;
        Ok(affected)
    }

    /// Answers with the parents of the images' layers.
    fn read_images(&mut self, engine: &Engine) -> Result<BTreeMap<ChainId, ChainId>> {
        let names = match engine.store.references().read() {
            Err(store::Error::BrokenFile { .. }) => store::Repositories::default(),
            other => other?,
        };
        let names = names.by_image();
        let mut parents = BTreeMap::new();
        for id in engine.store.images().list()? {
            let mut labels: Vec<String> = names
                .get(&id)
                .into_iter()
                .flatten()
                .map(|name| format!("image {}", name.familiar()))
                .collect();
            if labels.is_empty() {
                labels.push(format!("image {}", id.short()));
            }
            if let Some(config) = sound(engine.store.images().find(&id))? {
                let mut below = None;
                for (chain, diff) in ChainId::each(config.diff_ids()).zip(config.diff_ids()) {
                    self.by_layer.entry(chain).or_default().extend(labels.iter().cloned());
                    self.known.insert(chain, (*diff, below));
                    parents.extend(below.map(|below| (chain, below)));
                    below = Some(chain);
                }
            }
            self.images.insert(id, labels);
        }
        Ok(parents)
    }

    fn read_containers(&mut self, engine: &Engine, parents: &BTreeMap<ChainId, ChainId>) -> Result<()> {
        for id in engine.store.containers().list()? {
            let document = sound(engine.store.containers().find(&id))?;
            let name = document.as_ref().map(|document| document.name().trim_start_matches('/').to_owned());
            let label = format!("container {}", name.unwrap_or_else(|| id.short()));
            if let Some(image) = document.and_then(|document| document.image()) {
                self.by_image.entry(image).or_default().insert(label.clone());
            }
            let mut next = sound(engine.store.mounts().find(&id))?.and_then(|mount| mount.parent);
            while let Some(chain) = next {
                self.by_layer.entry(chain).or_default().insert(label.clone());
                next = parents.get(&chain).copied();
            }
            self.containers.insert(id, label);
        }
        Ok(())
    }

    /// Who stands on a layer.
    pub fn by_layer(&self, chain: &ChainId) -> Vec<String> {
        self.by_layer.get(chain).into_iter().flatten().cloned().collect()
    }

    /// The image itself, and the containers that were created from it.
    pub fn by_image(&self, id: &ImageId) -> Vec<String> {
        let names = self.images.get(id).into_iter().flatten();
        names.chain(self.by_image.get(id).into_iter().flatten()).cloned().collect()
    }

    /// The container itself, if there is one.
    pub fn by_container(&self, id: &ContainerId) -> Vec<String> {
        self.containers.get(id).into_iter().cloned().collect()
    }

    /// The digest and the parent of a layer, if an image names it.
    pub fn known(&self, chain: &ChainId) -> Option<(DiffId, Option<ChainId>)> {
        self.known.get(chain).copied()
    }

    /// How many images and containers there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.images.len(), self.containers.len())
    }
}

/// What is damaged counts as absent: it is a finding of its own.
pub(super) fn sound<T>(result: store::Result<Option<T>>) -> Result<Option<T>> {
    use store::Error::{BrokenContainer, BrokenImage, BrokenLayer};
    match result {
        Err(BrokenLayer { .. } | BrokenImage { .. } | BrokenContainer { .. }) => Ok(None),
        other => Ok(other?),
    }
}
