//! Names for images.

use model::{ImageId, Reference};

use crate::{Engine, Result};

impl Engine {
    /// Gives the image a name, which another image loses if it had it. Durable when this returns.
    pub fn tag(&self, image: &ImageId, name: &Reference) -> Result<()> {
        todo!()
    }
}
