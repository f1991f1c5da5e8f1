//! Loads images from archives, OCI layouts and skopeo's directories: reads the documents, and has what they describe installed.

mod images;
mod source;

use model::progress::Progress;
use model::{ImageId, Platform, Reference};

use crate::install::Installed;
use crate::{Engine, Result};

pub use source::Input;
pub(crate) use source::{Blob, Source, open_stream};

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Which image of an index for several platforms; the one for this machine if absent.
    pub platform: Option<Platform>,
    /// Of several images, the one of this name: a name with tag, or what the annotation
    /// `org.opencontainers.image.ref.name` says.
    pub image: Option<String>,
}

/// An image that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its ID.
    pub image: ImageId,
    /// Its names in the archive; they are its names now.
    pub references: Vec<Reference>,
    /// Those that were another image's names before.
    pub renamed: Vec<(Reference, ImageId)>,
}

impl Engine {
    /// Loads all images of `input`. When this returns they are durable.
    ///
    /// # Errors
    /// Nothing of the input is in the store then.
    pub fn load(&self, input: Input, options: &LoadOptions, progress: &dyn Progress) -> Result<Vec<Loaded>> {
        self.attempt(|| self.load_input(input, options, progress))
    }

    fn load_input(
        &self,
        input: Input,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        let work = self.store.begin()?;
        let source = Source::open(input, &|| Ok(work.scratch()?), &self.limits.decompress, progress)?;
        let images = images::find(&source, options)?;
        for image in &images {
            image.config.validate()?;
        }
        let installed = self.install(&work, &images, progress)?;
        work.finish()?;
        Ok(installed.into_iter().map(Loaded::from).collect())
    }
}

impl From<Installed> for Loaded {
    fn from(installed: Installed) -> Self {
        let Installed { image, names } = installed;
        let before = |(name, before): &(Reference, Option<ImageId>)| {
            before.filter(|id| *id != image).map(|id| (name.clone(), id))
        };
        let renamed = names.iter().filter_map(before).collect();
        Self { image, references: names.into_iter().map(|(name, _)| name).collect(), renamed }
    }
}
