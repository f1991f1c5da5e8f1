//! Names for images.

use model::{ImageId, Reference};

use crate::{Engine, Result, now};

impl Engine {
    /// Gives the image a name, which another image loses if it had it. Durable when this returns.
    ///
    /// Without a tag the name is `…:latest`. A name that the image has already only brings its time up to date.
    ///
    /// # Errors
    /// For a name with a digest, and for a repository called `sha256`, in Docker's words.
    pub fn tag(&self, image: &ImageId, name: &Reference) -> Result<()> {
        let lock = self.store.commit()?;
        // Under the lock, so that no image gets a name after it was removed.
        self.store.images().get(image)?;
        self.store.references().update(&lock, |names| names.tag(name, *image))?;
        Ok(self.store.images().set_last_updated(&lock, image, now())?)
    }
}
