//! Mounts containers and shows what changed in them.

use std::path::PathBuf;

use changeset::Change;
pub use drivers::Access;
use model::{CacheId, ContainerId};
use store::MountRecord;

use crate::{Engine, Error, Result};

impl Engine {
    /// Makes the container's tree available and returns its path. The mount outlives this process. Mounting what is
    /// mounted returns the same path again.
    pub fn mount(&self, container: &ContainerId, access: Access) -> Result<PathBuf> {
        self.with_container(container, || {
            let mount = self.store.mounts().get(container)?;
            // A damaged document is no reason not to look at the files.
            let found = self.store.containers().get(container).ok();
            let label = found.as_ref().map_or("", store::Container::mount_label);
            Ok(self.driver.mount_labeled(&mount.mount_id.into(), access, label)?)
        })
    }

    /// Ends the mount; says whether there was one. That of a container that runs is its monitor's.
    pub fn unmount(&self, container: &ContainerId) -> Result<bool> {
        if self.is_running(container)? {
            return Err(Error::conflict(format!(
                "container {container} is running: stop it before unmounting"
            )));
        }
        self.with_container(container, || {
            Ok(self.driver.unmount(&self.store.mounts().get(container)?.mount_id.into())?)
        })
    }

    /// The containers that are mounted in this mount namespace.
    pub fn mounts(&self) -> Result<Vec<(ContainerId, PathBuf)>> {
        let mut mounts = Vec::new();
        for container in self.store.mounts().list()? {
            let Some(record) = self.store.mounts().find(&container)? else { continue };
            if let Some(path) = self.driver.mounted(&record.mount_id.into())? {
                mounts.push((container, path));
            }
        }
        Ok(mounts)
    }

    /// What the container changed in its image, sorted by path. Reads the writable layer only.
    pub fn diff(&self, container: &ContainerId) -> Result<Vec<Change>> {
        self.with_container(container, || {
            let mount = self.store.mounts().get(container)?;
            let parent = self.mount_parent(&mount)?;
            Ok(self.driver.changes(&mount.mount_id.into(), parent.as_ref())?)
        })
    }

    /// The driver's layer below a writable layer: its init layer, else the image's topmost.
    pub(crate) fn mount_parent(&self, mount: &MountRecord) -> Result<Option<CacheId>> {
        if let Some(init) = &mount.init_id {
            return Ok(Some((*init).into()));
        }
        let top = mount.parent.map(|chain| self.store.layers().get(&chain)).transpose()?;
        Ok(top.map(|layer| layer.cache_id))
    }
}
