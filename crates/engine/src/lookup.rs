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

    /// Does something with a container. If that fails because somebody removed the container meanwhile, that is the
    /// error.
    pub(crate) fn with_container<T>(
        &self,
        container: &ContainerId,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        act().map_err(|error| match self.store.containers().exists(container) {
            Ok(false) => Error::NoSuchContainer(container.to_string()),
            _ => error,
        })
    }

    /// As [`with_container`](Self::with_container), with an image.
    pub(crate) fn with_image<T>(&self, image: &ImageId, act: impl FnOnce() -> Result<T>) -> Result<T> {
        act().map_err(|error| match self.store.images().exists(image) {
            Ok(false) => Error::NoSuchImage(image.to_string()),
            _ => error,
        })
    }
}
