//! Puts described images into the store: what `load` and `pull` have in common.
//!
//! An image comes as its configuration and its layers, each with a way to open its archive. Layers that the store has
//! are shared, the others are unpacked into a stage of the driver (all at once where the driver can) and verified.
//! Then one sync, and everything is published: layers, images, names. Until the last step nobody sees anything, and a
//! failure leaves nothing but garbage.

mod pipeline;
mod plan;
mod publish;
mod unpack;

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use model::progress::{Phase, Progress};
use model::{ImageConfig, ImageId, Reference};
use store::{V2Metadata, Work};

use crate::{Engine, Error, Result};

pub(crate) use unpack::{Job, Tee, Unpacked};

/// An image to install. Nothing of it is trusted but its configuration.
#[derive(Clone)]
pub(crate) struct Image {
    pub config: ImageConfig,
    /// As many as the configuration has DiffIDs, lowest first.
    pub layers: Vec<Layer>,
    /// Tags and digest references.
    pub names: Vec<Reference>,
}

/// One layer of an [`Image`].
#[derive(Clone)]
pub(crate) struct Layer {
    /// What messages call it.
    pub name: String,
    /// What progress calls it; the DiffID's twelve digits if absent.
    pub item: Option<String>,
    /// Length of the archive in bytes, compressed or not.
    pub len: u64,
    pub archive: Arc<dyn Archive>,
    /// Where in a registry it was seen, to be written down.
    pub seen: Option<V2Metadata>,
}

/// Where the archive of a layer comes from.
pub(crate) trait Archive: Send + Sync {
    /// Reads the archive from its start.
    fn open(&self) -> Result<Box<dyn Read + Send>>;

    /// Why the layer really could not be unpacked, where unpacking has only seen a consequence.
    fn judge(&self, error: Error) -> Error {
        error
    }
}

/// An archive that can be read once.
pub(crate) struct Stream(Mutex<Option<Box<dyn Read + Send>>>);

impl Stream {
    pub fn new(input: Box<dyn Read + Send>) -> Self {
        Self(Mutex::new(Some(input)))
    }
}

impl Archive for Stream {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        let input = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        input.ok_or_else(|| Error::invalid("a stream can be read only once"))
    }
}

/// An image that was installed.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub image: ImageId,
    /// Its new names, each with the image that it named before.
    pub names: Vec<(Reference, Option<ImageId>)>,
}

/// How often an installation starts again because somebody removed a layer that it wanted to share.
pub(crate) const ATTEMPTS: usize = 5;

impl Engine {
    /// Installs all images; durable when this returns.
    ///
    /// # Errors
    /// Nothing of the images is in the store then.
    pub(crate) fn install(
        &self,
        work: &Work<'_>,
        images: &[Image],
        progress: &dyn Progress,
    ) -> Result<Vec<Installed>> {
        let mut attempt = 1;
        loop {
            match self.install_once(work, images, progress, || Ok(())) {
                Err(Error::LayerVanished(_)) if attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }

    /// As [`install`](Self::install), with one attempt: [`Error::LayerVanished`] if a shared layer was removed meanwhile.
    /// `before_sync` is called when all layers are unpacked and verified, before they are made durable.
    pub(crate) fn install_once(
        &self,
        work: &Work<'_>,
        images: &[Image],
        progress: &dyn Progress,
        before_sync: impl FnOnce() -> Result<()>,
    ) -> Result<Vec<Installed>> {
        let plan = self.plan(images)?;
        let mut layers = self.new_layers(work)?;
        let unpacked = self.unpack_plan(&mut layers, &plan, progress);
        unpacked.map_err(|e| self.or_vanished(plan.shared.values(), e))?;
        before_sync()?;
        progress.start("layers", Phase::Syncing, None);
        let staged = images
            .iter()
            .map(|image| Ok(self.store.images().stage(work, image.config.bytes().to_vec())?))
            .collect::<Result<Vec<_>>>()?;
        layers.sync()?;
        progress.finish("layers");
        layers.share(plan.shared.into_values());
        self.publish_images(work, images, layers, staged)
    }
}
