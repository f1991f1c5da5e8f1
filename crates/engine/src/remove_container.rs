//! Removes containers.

use model::ContainerId;
use store::{Error as StoreError, Intent};

use crate::{Engine, Error, Result};

impl Engine {
    /// Removes a container with its writable layer, whose space `reclaim` gives back. Durable when this returns.
    /// `force` kills one that runs, and removes one whose documents are damaged, too.
    pub fn remove_container(&self, container: &ContainerId, force: bool) -> Result<()> {
        self.remove_container_and(container, force, false)
    }

    /// As [`remove_container`](Self::remove_container), and with it those of its volumes that nobody named and no other
    /// container uses.
    pub fn remove_container_with_volumes(&self, container: &ContainerId, force: bool) -> Result<()> {
        self.remove_container_and(container, force, true)
    }

    fn remove_container_and(&self, container: &ContainerId, force: bool, volumes: bool) -> Result<()> {
        let claim = self.claim_to_remove(container, force)?;
        let claim = claim.ok_or_else(|| self.refuse_running(container))?;
        let removed = self.remove_claimed(container, force, volumes);
        drop(claim);
        removed
    }

    fn refuse_running(&self, container: &ContainerId) -> Error {
        let document = self.store.containers().get(container);
        let name = document.map_or_else(|_| container.to_string(), |document| document.name().to_owned());
        Error::conflict(format!(
            "cannot remove container \"{name}\": container is running: stop the container before removing or force remove"
        ))
    }

    /// As [`remove_container`](Self::remove_container), of a container whose lock the caller holds; with its volumes that
    /// nobody named, if `volumes` says so.
    pub(crate) fn remove_claimed(&self, container: &ContainerId, force: bool, volumes: bool) -> Result<()> {
        match self.store.containers().get(container) {
            // Docker's own, which its daemon left when it was killed.
            Ok(document) if document.state().running && !force => {
                return Err(self.refuse_running(container));
            }
            Ok(_) => {}
            Err(StoreError::BrokenContainer { .. }) if force => {}
            Err(e) => return Err(e.into()),
        }
        let volumes = match self.anonymous_volumes(container) {
            _ if !volumes => Vec::new(),
            Err(Error::Store(StoreError::BrokenContainer { .. })) if force => Vec::new(),
            other => other?,
        };
        self.store.running().remove(container)?;
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
            self.remove_unused_volumes(&lock, &work, &volumes)?;
        }
        Ok(work.finish()?)
    }
}
