//! What takes the space (`system df`).
//!
//! The numbers of images, containers and volumes are Docker's. Three are better (moby.md §12.4): layers that only
//! containers keep count, what can be reclaimed is what really goes if the unused images go, and garbage is shown.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use model::{ChainId, ImageId};
use store::Container;

use crate::containers::{ContainerSummary, mount_points};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeUsage {
    /// Its name.
    pub name: String,
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
            volumes: volumes(self.store.path(), &survey.containers)?,
            build_cache: self.build_cache_usage(&survey, &directories)?,
            blobs: BlobUsage { count: blobs.len(), size: blobs.iter().map(|(_, size)| size).sum() },
            garbage: garbage.size,
        })
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

/// The local volumes: directories below `volumes/` with a `_data` in them, sorted by name.
fn volumes(root: &Path, containers: &[Container]) -> Result<Vec<VolumeUsage>> {
    let all = match sys::dir::open_path(&root.join("volumes")) {
        Ok(all) => all,
        Err(e) if e.is_not_found() => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let mut links: BTreeMap<&str, usize> = BTreeMap::new();
    for mount in containers.iter().flat_map(mount_points).filter(|mount| mount.driver == "local") {
        *links.entry(mount.name).or_default() += 1;
    }
    let mut volumes = Vec::new();
    for entry in sys::dir::list_sorted(&all)? {
        let Ok(name) = entry.name.into_string() else { continue };
        let data =
            sys::dir::open(&all, name.as_ref()).and_then(|volume| sys::dir::open(volume, "_data".as_ref()));
        // A file, something else, or gone by now.
        let Ok(data) = data else { continue };
        let links = links.get(&*name).copied().unwrap_or_default();
        volumes.push(VolumeUsage { name, links, size: sys::tree::size(data)? });
    }
    Ok(volumes)
}
