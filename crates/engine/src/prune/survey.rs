//! Everything in the store and what needs what, read once and without a lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{CacheId, ChainId, ContainerId, ImageId};
use store::{BuildRecord, Container, LayerRecord, MountRecord, User};

use super::BuildKit;
use crate::images::StoredImage;
use crate::remove_image::Uses;
use crate::{Engine, Result};

/// The store as it was when it was read.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Newest first.
    pub images: Vec<StoredImage>,
    /// Newest first.
    pub containers: Vec<Container>,
    pub layers: BTreeMap<ChainId, LayerRecord>,
    /// Writable layers of containers.
    pub mounts: BTreeMap<ContainerId, MountRecord>,
    /// Entries of writable layers whose container is not there.
    pub orphan_mounts: BTreeMap<ContainerId, MountRecord>,
    pub build_cache: BuildKit,
    /// What our own builds remember.
    pub builds: Vec<BuildRecord>,
    /// Records that could not be read: what they need is not known.
    pub damaged: usize,
    image_users: HashMap<ImageId, Vec<User>>,
    layer_users: HashMap<ChainId, Vec<User>>,
}

impl Survey {
    /// Reads everything, from what is used to what uses it: whatever comes to be meanwhile can only look unused
    /// if its users are younger than this reading.
    pub fn read(engine: &Engine) -> Result<Self> {
        let mut survey = Self {
            images: Vec::new(),
            containers: Vec::new(),
            layers: BTreeMap::new(),
            mounts: BTreeMap::new(),
            orphan_mounts: BTreeMap::new(),
            build_cache: BuildKit::read(engine.store.path())?,
            builds: Vec::new(),
            damaged: 0,
            image_users: HashMap::new(),
            layer_users: HashMap::new(),
        };
        survey.read_layers(engine)?;
        survey.read_mounts(engine)?;
        survey.builds = engine.store.build_cache().list()?;
        survey.images = engine.stored_images()?;
        let sound: BTreeSet<ImageId> = survey.images.iter().map(|image| image.config.id()).collect();
        for id in engine.store.images().list()?.into_iter().filter(|id| !sound.contains(id)) {
            let damaged = engine.find_sound_image(&id)?.is_none() && engine.store.images().exists(&id)?;
            survey.damaged += usize::from(damaged);
        }
        survey.containers = engine.stored_containers()?;
        survey.note_users();
        Ok(survey)
    }

    fn read_layers(&mut self, engine: &Engine) -> Result<()> {
        for chain in engine.store.layers().list()? {
            match engine.store.layers().find(&chain) {
                Ok(record) => self.layers.extend(record.map(|record| (chain, record))),
                Err(store::Error::BrokenLayer { .. }) => self.damaged += 1,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn read_mounts(&mut self, engine: &Engine) -> Result<()> {
        for id in engine.store.mounts().list()? {
            let record = match engine.store.mounts().find(&id) {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(store::Error::BrokenContainer { .. }) => {
                    self.damaged += 1;
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            let has_container = engine.store.containers().exists(&id)?;
            let mounts = if has_container { &mut self.mounts } else { &mut self.orphan_mounts };
            mounts.insert(id, record);
        }
        Ok(())
    }

    fn note_users(&mut self) {
        for image in &self.images {
            let user = User::Image(image.config.id());
            if let Some(top) = image.config.chain_id() {
                self.layer_users.entry(top).or_default().push(user);
            }
            if let Some(parent) = image.parent {
                self.image_users.entry(parent).or_default().push(user);
            }
        }
        for container in &self.containers {
            if let Some(image) = container.image() {
                self.image_users.entry(image).or_default().push(User::Container(*container.id()));
            }
        }
        for record in self.layers.values() {
            if let Some(parent) = record.parent {
                self.layer_users.entry(parent).or_default().push(User::Layer(record.chain));
            }
        }
        for (id, record) in &self.mounts {
            if let Some(parent) = record.parent {
                self.layer_users.entry(parent).or_default().push(User::Container(*id));
            }
        }
        for record in &self.builds {
            self.layer_users.entry(record.chain).or_default().push(User::Build(record.key));
        }
    }

    /// Forgets containers that are as good as removed, and what they use.
    pub fn without_containers(&mut self, gone: &[ContainerId]) {
        self.containers.retain(|container| !gone.contains(container.id()));
        self.mounts.retain(|id, _| !gone.contains(id));
        self.image_users.clear();
        self.layer_users.clear();
        self.note_users();
    }

    /// The layers of all images.
    pub fn image_layers(&self) -> BTreeSet<ChainId> {
        self.images.iter().flat_map(|image| ChainId::each(image.config.diff_ids())).collect()
    }

    /// The layers that containers stand on.
    pub fn container_layers(&self) -> BTreeSet<ChainId> {
        self.with_all_below(self.mounts.values().filter_map(|mount| mount.parent))
    }

    /// The layers that BuildKit's cache stands on, and those that our own builds remember.
    pub fn build_cache_layers(&self) -> BTreeSet<ChainId> {
        let buildkits = self.layers.keys().copied().filter(|chain| self.build_cache.holds(chain));
        self.with_all_below(buildkits.chain(self.builds.iter().map(|record| record.chain)))
    }

    /// The layers that nothing needs, each before those below it.
    pub fn unused_layers(&self) -> Vec<&LayerRecord> {
        let needed: BTreeSet<ChainId> =
            [self.image_layers(), self.container_layers(), self.build_cache_layers()]
                .into_iter()
                .flatten()
                .collect();
        let mut unused: Vec<_> =
            self.layers.values().filter(|layer| !needed.contains(&layer.chain)).collect();
        unused.sort_by_cached_key(|layer| std::cmp::Reverse(self.with_all_below([layer.chain]).len()));
        unused
    }

    /// The directories of the driver that some record names.
    pub fn named_directories(&self) -> BTreeSet<CacheId> {
        let layers = self.layers.values().map(|layer| layer.cache_id.clone());
        let mounts = self.mounts.values().chain(self.orphan_mounts.values());
        // Containers of old have no init-id on record, but may have the directory.
        let writable = mounts.flat_map(|mount| {
            [Some(mount.mount_id), Some(mount.mount_id.init()), mount.init_id]
                .into_iter()
                .flatten()
                .map(CacheId::from)
        });
        layers.chain(writable).collect()
    }

    /// Bytes in these layers, as recorded.
    pub fn size_of<'a>(&self, layers: impl IntoIterator<Item = &'a ChainId>) -> u64 {
        layers.into_iter().filter_map(|chain| self.layers.get(chain)).map(|layer| layer.size).sum()
    }

    pub fn with_all_below(&self, tops: impl IntoIterator<Item = ChainId>) -> BTreeSet<ChainId> {
        let mut all = BTreeSet::new();
        for top in tops {
            let mut next = Some(top);
            while let Some(chain) = next.filter(|chain| all.insert(*chain)) {
                next = self.layers.get(&chain).and_then(|layer| layer.parent);
            }
        }
        all
    }
}

/// For plans that are not carried out.
impl Uses for Survey {
    fn of_image(&self, id: &ImageId) -> Result<Vec<User>> {
        Ok(self.image_users.get(id).cloned().unwrap_or_default())
    }

    fn of_layer(&self, chain: &ChainId) -> Result<Vec<User>> {
        Ok(self.layer_users.get(chain).cloned().unwrap_or_default())
    }
}
