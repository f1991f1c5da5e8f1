//! Removes containers.

use model::ContainerId;
use store::Error as StoreError;

use crate::{Engine, Error, Result};

impl Engine {
    /// Removes a container with its writable layer, whose space `reclaim` gives back. Durable when this returns.
    /// `force` removes one that is recorded as running, too, and one whose documents are damaged.
    pub fn remove_container(&self, container: &ContainerId, force: bool) -> Result<()> {
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
        }
        Ok(work.finish()?)
    }
}
