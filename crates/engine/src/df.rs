//! What takes the space (`system df`).

use crate::containers::ContainerSummary;
use crate::images::ImageSummary;
use crate::{Engine, Result};

/// What takes the space.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Images, with shared sizes and numbers of containers.
    pub images: Vec<ImageSummary>,
    /// Bytes in all layers that images use, each once.
    pub layers_size: u64,
    /// Containers with sizes.
    pub containers: Vec<ContainerSummary>,
    /// Volumes of the data root: name, links, bytes.
    pub volumes: Vec<VolumeUsage>,
    /// Bytes of layers that no image, container or build cache uses: what `system prune` finds and Docker does not.
    pub garbage: u64,
}

/// A volume.
#[derive(Debug, Clone)]
pub struct VolumeUsage {
    /// Its name.
    pub name: String,
    /// How many containers use it.
    pub links: usize,
    /// Bytes in it.
    pub size: u64,
}

impl Engine {
    /// Adds up what takes the space.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        todo!()
    }
}
