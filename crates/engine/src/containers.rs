//! Lists containers (`ps`).

use std::collections::BTreeMap;

use model::{ContainerId, ImageId, Timestamp};

use crate::{Engine, Result};

/// What `ps` shows of a container.
#[derive(Debug, Clone)]
pub struct ContainerSummary {
    /// Its ID.
    pub id: ContainerId,
    /// Its names, without the slash.
    pub names: Vec<String>,
    /// The image as the user named it; its short ID if that name is another image's by now.
    pub image: String,
    /// The image.
    pub image_id: Option<ImageId>,
    /// The command with its arguments, separated by spaces.
    pub command: String,
    /// When it was created.
    pub created: Timestamp,
    /// One word: `created`, `running`, `exited`, `dead`, …
    pub state: String,
    /// What people read: `Exited (0) 2 hours ago`.
    pub status: String,
    /// The exit code of its last run.
    pub exit_code: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Names of volumes and sources of bind mounts.
    pub mounts: Vec<String>,
    /// How many of the mounts are local volumes.
    pub local_volumes: usize,
    /// Names of its networks.
    pub networks: Vec<String>,
    /// Bytes in the writable layer, if sizes were asked for.
    pub size_rw: Option<u64>,
    /// Bytes in the writable layer and all the image's layers, if sizes were asked for.
    pub size_root_fs: Option<u64>,
}

/// Which containers to list.
#[derive(Debug, Clone, Default)]
pub struct ListContainers {
    /// Those that do not run, too.
    pub all: bool,
    /// With sizes.
    pub size: bool,
}

impl Engine {
    /// The containers, newest first. A size is worked out only where the writable layer changed since it was last.
    pub fn list_containers(&self, options: &ListContainers) -> Result<Vec<ContainerSummary>> {
        todo!()
    }
}
