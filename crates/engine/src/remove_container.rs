//! Removes containers.

use model::{ContainerId, VolumeName};
use store::{Error as StoreError, Intent};

use crate::{Engine, Error, Result};

impl Engine {
    /// Removes a container with its writable layer, whose space `reclaim` gives back. Durable when this returns.
    /// `force` removes one that is recorded as running, too, and one whose documents are damaged.
    pub fn remove_container(&self, container: &ContainerId, force: bool) -> Result<()> {
        self.remove_container_and(container, force, &[])
    }

    /// As [`remove_container`](Self::remove_container), and with it those of its volumes that nobody named and no other
    /// container uses.
    pub fn remove_container_with_volumes(&self, container: &ContainerId, force: bool) -> Result<()> {
        let volumes = match self.anonymous_volumes(container) {
            Err(Error::Store(StoreError::BrokenContainer { .. })) if force => Vec::new(),
            other => other?,
        };
        self.remove_container_and(container, force, &volumes)
    }

    fn remove_container_and(
        &self,
        container: &ContainerId,
        force: bool,
        volumes: &[VolumeName],
    ) -> Result<()> {
        match self.store.containers().get(container) {
            Ok(document) if document.state().running && !force => {
                return Err(Error::conflict(format!(
                    "cannot remove container \"{}\": container is running: stop the container before removing or force remove",
                    document.name()
                )));
            }
            Ok(_) => {}
            Err(StoreError::BrokenContainer { .. }) if force => {}
            Err(e) => return Err(e.into()),
        }
        let work = self.store.begin()?;
        let intents: Vec<Intent> =
            volumes.iter().map(|name| Intent::Volume { container: *container, name: name.clone() }).collect();
        if !intents.is_empty() {
            work.note(&intents)?;
        }
        {
            let lock = self.store.commit()?;
            let mount = self.store.mounts().find(container)?;
            self.store.containers().remove(&lock, &work, container)?;
            if let Some(mount) = mount {
                self.store.mounts().remove(&lock, &work, container)?;
                self.driver.discard(&mount.mount_id.into())?;
                if let Some(init) = &mount.init_id {
                    self.driver.discard(&(*init).into())?;
                }
                self.driver.sync()?;
                self.store.sizes().forget(&mount.mount_id)?;
                self.release_layers(&lock, mount.parent.as_slice())?;
            }
            self.remove_unused_volumes(&lock, &work, volumes)?;
        }
        Ok(work.finish()?)
    }
}
