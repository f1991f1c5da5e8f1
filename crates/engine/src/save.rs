//! Writes images as an archive that Docker and every OCI tool load (moby.md §12.6).

use std::io::Write;

use model::progress::Progress;

use crate::{Engine, Result};

impl Engine {
    /// Writes the images with these names, once each layer. Every layer's digest is verified on the way.
    pub fn save(&self, names: &[String], out: &mut dyn Write, progress: &dyn Progress) -> Result<()> {
        todo!()
    }
}
