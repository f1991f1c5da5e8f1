//! Lists images.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::{ChainId, ImageConfig, ImageId, Reference, Timestamp};

use crate::{Engine, Result};

/// What `images` shows of an image.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// Its ID.
    pub id: ImageId,
    /// The image that it was built on, if that is known here.
    pub parent: Option<ImageId>,
    /// Its names with tags, in Docker's order.
    pub tags: Vec<Reference>,
    /// Its names with digests, in Docker's order.
    pub digests: Vec<Reference>,
    /// When it was made; absent in some reproducible images.
    pub created: Option<Timestamp>,
    /// Bytes in all its layers, as recorded when they were unpacked. Layers that are missing or damaged count nothing.
    pub size: u64,
    /// Bytes in layers that other images have, too; counted by `system df` only.
    pub shared_size: Option<u64>,
    /// How many containers use it; counted by `system df` only.
    pub containers: Option<usize>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// The images, newest first. Without `all`, images that have no name and are the parent of another are left out.
    ///
    /// Takes no lock: images that come and go meanwhile are in the list or not. Images whose configuration is damaged
    /// are left out as by Docker; [`check`](Engine::check) names them.
    pub fn list_images(&self, all: bool) -> Result<Vec<ImageSummary>> {
        let images = self.stored_images()?;
        let parents = parents(&images);
        let mut sizes = LayerSizes::new(&self.store);
        let mut listed = Vec::with_capacity(images.len());
        for image in images.into_iter().filter(|image| all || image.is_listed(&parents)) {
            let chain = sizes.chain(image.config.diff_ids())?;
            if !chain.complete && !self.store.images().exists(&image.config.id())? {
                continue; // removed since its configuration was read
            }
            listed.push(image.summary(chain.bytes));
        }
        Ok(listed)
    }

    /// What is stored of every sound image, newest first, those of one instant by ID.
    pub(crate) fn stored_images(&self) -> Result<Vec<StoredImage>> {
        let mut images = Vec::new();
        for id in self.store.images().list()? {
            if let Some(config) = self.find_sound_image(&id)? {
                images.push(StoredImage {
                    parent: self.store.images().parent(&id)?,
                    names: Vec::new(),
                    config,
                });
            }
        }
        // The names are read last: an image that came to be while we looked has its names by then.
        let mut names = self.store.references().read()?.by_image();
        for image in &mut images {
            image.names = names.remove(&image.config.id()).unwrap_or_default();
            in_dockers_order(&mut image.names);
        }
        images.sort_by_key(|image| (std::cmp::Reverse(image.created()), image.config.id()));
        Ok(images)
    }

    /// An image's configuration; `None` if it is not there or damaged.
    pub(crate) fn find_sound_image(&self, id: &ImageId) -> Result<Option<ImageConfig>> {
        match self.store.images().find(id) {
            Err(store::Error::BrokenImage { .. }) => Ok(None),
            other => Ok(other?),
        }
    }
}

/// What the store has of one image.
#[derive(Debug, Clone)]
pub(crate) struct StoredImage {
    pub config: ImageConfig,
    pub parent: Option<ImageId>,
    pub names: Vec<Reference>,
}

impl StoredImage {
    /// When it was made; one that does not say so counts as the oldest.
    pub fn created(&self) -> Timestamp {
        self.config.view().created.unwrap_or(Timestamp::ZERO)
    }

    /// Docker's rule of what is listed without `--all`: images with a name, and images that nothing was built on.
    pub fn is_listed(&self, parents: &HashSet<ImageId>) -> bool {
        !self.names.is_empty() || !parents.contains(&self.config.id())
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        self.config.view().config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default()
    }

    pub fn summary(self, size: u64) -> ImageSummary {
        let labels = self.labels();
        let (digests, tags) = self.names.into_iter().partition(|name| name.digest().is_some());
        ImageSummary {
            id: self.config.id(),
            parent: self.parent,
            tags,
            digests,
            created: self.config.view().created,
            size,
            shared_size: None,
            containers: None,
            labels,
        }
    }
}

/// The images that others were built on.
pub(crate) fn parents(images: &[StoredImage]) -> HashSet<ImageId> {
    images.iter().filter_map(|image| image.parent).collect()
}

/// Docker sorts an image's names by their canonical text.
pub(crate) fn in_dockers_order(names: &mut [Reference]) {
    names.sort_by_cached_key(Reference::canonical);
}

/// Recorded sizes of layers, each read once.
pub(crate) struct LayerSizes<'a> {
    store: &'a store::DataRoot,
    own: HashMap<ChainId, Option<u64>>,
    sums: HashMap<ChainId, ChainSize>,
}

/// The size of a layer and all below it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChainSize {
    pub bytes: u64,
    /// No layer is missing or damaged.
    pub complete: bool,
}

impl ChainSize {
    const EMPTY: Self = Self { bytes: 0, complete: true };
}

impl<'a> LayerSizes<'a> {
    pub fn new(store: &'a store::DataRoot) -> Self {
        Self { store, own: HashMap::new(), sums: HashMap::new() }
    }

    /// The size of one layer alone; `None` if it is missing or damaged.
    pub fn layer(&mut self, chain: &ChainId) -> Result<Option<u64>> {
        if let Some(known) = self.own.get(chain) {
            return Ok(*known);
        }
        let size = match self.store.layers().find(chain) {
            Err(store::Error::BrokenLayer { .. }) => None,
            other => other?.map(|record| record.size),
        };
        self.own.insert(*chain, size);
        Ok(size)
    }

    /// The size of the layers of an image, given lowest first.
    pub fn chain(&mut self, layers: &[model::DiffId]) -> Result<ChainSize> {
        let mut sum = ChainSize::EMPTY;
        for chain in ChainId::each(layers) {
            sum = self.add(sum, &chain)?;
        }
        Ok(sum)
    }

    /// The size of the layer `top` and of those that the records name below it. Nothing is below a damaged layer.
    pub fn below(&mut self, top: &ChainId) -> Result<ChainSize> {
        let mut unknown = Vec::new();
        let mut next = Some(*top);
        let mut sum = ChainSize::EMPTY;
        while let Some(chain) = next {
            if let Some(known) = self.sums.get(&chain) {
                sum = *known;
                break;
            }
            unknown.push(chain);
            next = match self.store.layers().find(&chain) {
                Ok(Some(record)) => {
                    self.own.insert(chain, Some(record.size));
                    record.parent
                }
                Ok(None) | Err(store::Error::BrokenLayer { .. }) => {
                    self.own.insert(chain, None);
                    None
                }
                Err(e) => return Err(e.into()),
            };
        }
        for chain in unknown.iter().rev() {
            sum = self.add(sum, chain)?;
            self.sums.insert(*chain, sum);
        }
        Ok(sum)
    }

    fn add(&mut self, below: ChainSize, layer: &ChainId) -> Result<ChainSize> {
        Ok(match self.layer(layer)? {
            Some(bytes) => ChainSize { bytes: below.bytes + bytes, ..below },
            None => ChainSize { complete: false, ..below },
        })
    }
}
