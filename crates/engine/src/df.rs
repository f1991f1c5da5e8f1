//! What takes the space (`system df`).
//!
//! The numbers of images, containers and volumes are Docker's. Three are better (moby.md §12.4): layers that only
//! containers keep count, what can be reclaimed is what really goes if the unused images go, and garbage is shown.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use model::{ChainId, ImageId};
use store::Container;

use crate::containers::ContainerSummary;
use crate::images::ImageSummary;
use crate::prune::Survey;
use crate::{Engine, Result};

/// What takes the space.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Images, with shared sizes and numbers of containers.
    pub images: Vec<ImageSummary>,
    /// Bytes in all layers that images or containers use, each once.
    pub layers_size: u64,
    /// Of these, bytes in layers that containers stand on. The rest is what goes if all unused images go.
    pub layers_active: u64,
    /// Containers with sizes.
    pub containers: Vec<ContainerSummary>,
    /// Volumes of the data root: name, links, bytes.
    pub volumes: Vec<VolumeUsage>,
    /// Layers that only builds remember, caches of `RUN`, and BuildKit's snapshots that no image or container uses;
    /// these only `docker builder prune` removes.
    pub build_cache: BuildCacheUsage,
    /// Compressed blobs that pulls kept.
    pub blobs: BlobUsage,
    /// Bytes of layers that no image, container or build cache uses, of interrupted downloads, of kept blobs whose
    /// layers are gone: what `system prune` finds and Docker does not.
    pub garbage: u64,
}

/// A volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeUsage {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where its content is.
    pub mountpoint: PathBuf,
    /// How many containers use it.
    pub links: usize,
    /// Bytes in it.
    pub size: u64,
}

/// Compressed blobs that pulls kept (`--keep-blobs`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlobUsage {
    /// Blobs.
    pub count: usize,
    /// Bytes in them.
    pub size: u64,
}

/// What builds keep for the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildCacheUsage {
    /// Layers, caches and snapshots.
    pub snapshots: usize,
    /// Bytes in them.
    pub size: u64,
}

impl Engine {
    /// Adds up what takes the space. Takes no lock; a load that is going on can look like garbage.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let directories = self.driver.list()?;
        let survey = Survey::read(self)?;
        let garbage = self.find_garbage(&survey, &directories)?;
        let of_containers = survey.container_layers();
        let mut blobs = self.store.blobs().list()?;
        blobs.retain(|(digest, _)| !garbage.has_blob(digest));
        let mut used = survey.image_layers();
        used.extend(&of_containers);
        Ok(DiskUsage {
            images: images(&survey),
            layers_size: survey.size_of(&used),
            layers_active: survey.size_of(&of_containers),
            containers: self.summarize(&survey.containers)?,
            volumes: self.volume_usage()?,
            build_cache: self.build_cache_usage(&survey, &directories)?,
            blobs: BlobUsage { count: blobs.len(), size: blobs.iter().map(|(_, size)| size).sum() },
            garbage: garbage.size,
        })
    }

    /// The volumes, sorted by name.
    fn volume_usage(&self) -> Result<Vec<VolumeUsage>> {
        let users = self.volume_users()?;
        let usage = |volume: store::Volume| {
            let links = users.of.get(volume.name.as_str()).map_or(0, Vec::len);
            let size = sys::tree::size(self.store.volumes().data(&volume.name)?)?;
            Ok(VolumeUsage {
                mountpoint: self.store.volumes().path(&volume.name),
                name: volume.name.to_string(),
                labels: volume.labels.unwrap_or_default(),
                links,
                size,
            })
        };
        let volumes = match self.store.volumes().list() {
            Err(store::Error::BrokenFile { .. }) => self.store.volumes().list_bare()?,
            other => other?,
        };
        volumes.into_iter().map(usage).collect()
    }

    fn build_cache_usage(&self, survey: &Survey, directories: &[model::CacheId]) -> Result<BuildCacheUsage> {
        let mut held = survey.build_cache_layers();
        for used in survey.image_layers().iter().chain(&survey.container_layers()) {
            held.remove(used);
        }
        let (mounts, mounted) = self.cache_mounts_usage()?;
        let (count, size) = (held.len() + mounts, survey.size_of(&held) + mounted);
        let mut usage = BuildCacheUsage { snapshots: count, size };
        let named = survey.named_directories();
        for id in directories.iter().filter(|id| !named.contains(id) && survey.build_cache.may_own(id)) {
            usage.snapshots += 1;
            usage.size += self.directory_size(id)?;
        }
        Ok(usage)
    }
}

/// Docker's rule of what is listed, with shared sizes: a layer is shared if more than one listed image has it.
fn images(survey: &Survey) -> Vec<ImageSummary> {
    let parents = crate::images::parents(&survey.images);
    let listed: Vec<_> = survey.images.iter().filter(|image| image.is_listed(&parents)).collect();
    let mut owners: HashMap<ChainId, usize> = HashMap::new();
    for chain in listed.iter().flat_map(|image| ChainId::each(image.config.diff_ids())) {
        *owners.entry(chain).or_default() += 1;
    }
    let mut containers: HashMap<ImageId, usize> = HashMap::new();
    for image in survey.containers.iter().filter_map(Container::image) {
        *containers.entry(image).or_default() += 1;
    }
    let summary = |image: &&crate::images::StoredImage| {
        let chains: Vec<ChainId> = ChainId::each(image.config.diff_ids()).collect();
        let mut summary = (*image).clone().summary(survey.size_of(&chains));
        summary.shared_size =
            Some(survey.size_of(chains.iter().filter(|chain| owners.get(chain) > Some(&1))));
        summary.containers = Some(containers.get(&summary.id).copied().unwrap_or_default());
        summary
    };
    listed.iter().map(summary).collect()
}
