//! Who uses images and layers: asked of the index one by one, or read of everything at once.

use std::collections::HashMap;

use model::{ChainId, ContainerId, ImageId};
use store::User;

use crate::images::{StoredImage, chains};
use crate::{Engine, Result};

/// Answers who uses what.
pub(crate) trait Uses {
    /// Images that have this one as their parent, and containers that were created from it.
    fn of_image(&self, id: &ImageId) -> Result<Vec<User>>;
    /// The layers, images and containers that stand directly on this layer.
    fn of_layer(&self, chain: &ChainId) -> Result<Vec<User>>;
}

/// For a few questions, while the commit lock is held: the index is up to date then.
impl Uses for store::Backrefs<'_> {
    fn of_image(&self, id: &ImageId) -> Result<Vec<User>> {
        Ok(store::Backrefs::of_image(self, id)?)
    }

    fn of_layer(&self, chain: &ChainId) -> Result<Vec<User>> {
        Ok(store::Backrefs::of_layer(self, chain)?)
    }
}

/// All uses in the store, read once and without a lock: for questions about everything.
#[derive(Debug, Default)]
pub(crate) struct AllUses {
    images: HashMap<ImageId, Vec<User>>,
    layers: HashMap<ChainId, Vec<User>>,
}

impl Uses for AllUses {
    fn of_image(&self, id: &ImageId) -> Result<Vec<User>> {
        Ok(self.images.get(id).cloned().unwrap_or_default())
    }

    fn of_layer(&self, chain: &ChainId) -> Result<Vec<User>> {
        Ok(self.layers.get(chain).cloned().unwrap_or_default())
    }
}

impl AllUses {
    /// Reads what layers and writable layers stand on; images and containers have been read already.
    pub fn read(engine: &Engine, images: &[StoredImage], containers: &[store::Container]) -> Result<Self> {
        let mut uses = Self::default();
        for image in images {
            let user = User::Image(image.config.id());
            uses.layer(chains(image.config.diff_ids()).last(), user);
            uses.image(image.parent, user);
        }
        for container in containers {
            uses.image(container.image(), User::Container(*container.id()));
        }
        for chain in engine.store.layers().list()? {
            match engine.store.layers().find(&chain) {
                Ok(record) => uses.layer(record.and_then(|record| record.parent), User::Layer(chain)),
                Err(store::Error::BrokenLayer { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        for id in engine.store.mounts().list()? {
            uses.layer(engine.layer_below(&id)?, User::Container(id));
        }
        Ok(uses)
    }

    fn image(&mut self, used: Option<ImageId>, user: User) {
        if let Some(used) = used {
            self.images.entry(used).or_default().push(user);
        }
    }

    fn layer(&mut self, used: Option<ChainId>, user: User) {
        if let Some(used) = used {
            self.layers.entry(used).or_default().push(user);
        }
    }
}

impl Engine {
    /// The layer that a container's writable layer stands on, if its entry can be read.
    pub(crate) fn layer_below(&self, container: &ContainerId) -> Result<Option<ChainId>> {
        match self.store.mounts().find(container) {
            Ok(record) => Ok(record.and_then(|record| record.parent)),
            Err(store::Error::BrokenContainer { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
