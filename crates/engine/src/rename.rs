//! Renames containers.

use model::{ContainerId, ContainerName};

use crate::{Engine, Error, Result};

impl Engine {
    /// Gives the container another name. Durable when this returns.
    pub fn rename(&self, container: &ContainerId, name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let bare = name.strip_prefix('/').unwrap_or(name);
        let name = ContainerName::parse(bare)
            .map_err(|_| refused(&model::Error::ContainerName(format!("/{bare}"))))?;
        let document = self.store.containers().get(container)?;
        if document.name() == name.with_slash() {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        let lock = self.store.commit()?;
        match self.store.containers().rename(&lock, container, &name) {
            Err(err @ store::Error::NameInUse { .. }) => Err(refused(&err)),
            renamed => Ok(renamed?),
        }
    }
}

/// Docker says what it was doing.
fn refused(cause: &dyn std::error::Error) -> Error {
    Error::conflict(format!("Error when allocating new name: {cause}"))
}
