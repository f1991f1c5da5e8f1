//! Renames containers.

use model::{ContainerId, ContainerName};

use crate::{Engine, Error, Result};

impl Engine {
    /// Gives the container another name. Durable when this returns.
    pub fn rename(&self, container: &ContainerId, name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let name = ContainerName::parse(name.strip_prefix('/').unwrap_or(name))?;
        let document = self.store.containers().get(container)?;
        if document.name() == name.as_str() {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        let lock = self.store.commit()?;
        Ok(self.store.containers().rename(&lock, container, &name)?)
    }
}
