//! Names and IDs that users type.

use model::{AnyReference, ContainerId, ImageId, Reference};

use crate::{Engine, Error, Result};

impl Engine {
    /// The image that `name` means, in Docker's order: a whole ID, a name, the start of an ID.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], several IDs that start so.
    pub fn find_image(&self, name: &str) -> Result<ImageId> {
        let missing = || Error::NoSuchImage(name.to_owned());
        match Reference::parse_any(name) {
            Ok(AnyReference::Id(id)) => self.store.images().exists(&id)?.then_some(id).ok_or_else(missing),
            Ok(AnyReference::Named(reference)) => {
                if let Some(id) = self.store.references().read()?.get(&reference) {
                    return Ok(id);
                }
                if reference.digest().is_none()
                    && let Some(id) = self.store.images().find_by_prefix(name)?
                {
                    return Ok(id);
                }
                Err(Error::NoSuchImage(reference.with_default_tag().familiar()))
            }
            // Not a name, but it may be the start of an ID that is written with `sha256:`.
            Err(e) => self.store.images().find_by_prefix(name)?.ok_or_else(|| Error::from(e)),
        }
    }

    /// The container that `name` means, in Docker's order: a whole ID, a name, the start of an ID.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], several IDs that start so.
    pub fn find_container(&self, name: &str) -> Result<ContainerId> {
        let found = self.store.containers().resolve(name)?;
        found.ok_or_else(|| Error::NoSuchContainer(name.to_owned()))
    }

    /// What a failure to look at a container means while others remove containers: that it is gone, if it is.
    pub(crate) fn or_gone(&self, container: &ContainerId, error: Error) -> Error {
        match self.store.containers().exists(container) {
            Ok(false) => Error::NoSuchContainer(container.to_string()),
            _ => error,
        }
    }
}
