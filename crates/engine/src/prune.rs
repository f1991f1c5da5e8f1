//! Removes what is not used.

use model::{ContainerId, Timestamp};

use crate::remove_image::Removed;
use crate::{Engine, Result};

/// What to remove.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// Images that no container uses, not only those without a name.
    pub all: bool,
    /// Say what would go, and leave it.
    pub dry_run: bool,
    /// Only what is older.
    pub until: Option<Timestamp>,
    /// Only what has all these labels (`key` or `key=value`).
    pub labels: Vec<String>,
    /// Only what has none of these labels.
    pub labels_not: Vec<String>,
}

/// What was removed.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Containers.
    pub containers: Vec<ContainerId>,
    /// Names, images and layer chains.
    pub images: Vec<Removed>,
    /// Things that nothing can use: paths relative to the data root.
    pub garbage: Vec<String>,
    /// Bytes given back.
    pub reclaimed: u64,
}

impl Engine {
    /// Removes images that nothing uses.
    pub fn prune_images(&self, options: &PruneOptions) -> Result<Pruned> {
        todo!()
    }

    /// Removes containers that do not run.
    pub fn prune_containers(&self, options: &PruneOptions) -> Result<Pruned> {
        todo!()
    }

    /// Removes containers that do not run, images that nothing uses, and garbage.
    pub fn system_prune(&self, options: &PruneOptions) -> Result<Pruned> {
        todo!()
    }
}
