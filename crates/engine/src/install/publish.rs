//! The last step: layers, images, names and hints become visible, in this order, under the commit lock.

use model::{ImageId, Reference};
use store::{Repositories, StagedImage, Work};

use super::{Image, Installed};
use crate::layers::NewLayers;
use crate::{Engine, Result};

impl Engine {
    /// Publishes images whose layers are synced. Durable when this returns, but for the hints where layers were seen.
    pub(super) fn publish_images(
        &self,
        work: &Work<'_>,
        images: &[Image],
        layers: NewLayers<'_>,
        staged: Vec<StagedImage<'_>>,
    ) -> Result<Vec<Installed>> {
        let lock = self.store.commit()?;
        self.publish_layers(&lock, layers)?;
        let ids: Vec<ImageId> = images.iter().map(|image| image.config.id()).collect();
        self.note_images(&lock, work, &ids)?;
        for staged in staged {
            self.store.images().publish(&lock, staged)?;
        }
        let installed = self.store.references().update(&lock, |names| {
            images.iter().map(|image| name(names, image)).collect::<store::Result<Vec<_>>>()
        })?;
        for image in images {
            for (diff, layer) in image.config.diff_ids().iter().zip(&image.layers) {
                if let Some(seen) = &layer.seen {
                    self.store.distribution().add(&lock, diff, seen.clone())?;
                }
            }
        }
        Ok(installed)
    }
}

/// Gives an image its names.
fn name(names: &mut Repositories, image: &Image) -> store::Result<Installed> {
    let id = image.config.id();
    let mut installed = Installed { image: id, names: Vec::new() };
    for reference in &image.names {
        let before = if reference.digest().is_some() {
            pin(names, reference, image)?
        } else {
            names.tag(reference, id)?
        };
        installed.names.push((reference.clone(), before));
    }
    Ok(installed)
}

/// Adds a digest reference. One that names another image stays: an index has one digest for images of several
/// platforms. As in Docker that is an error only for who asked for nothing but the digest.
fn pin(names: &mut Repositories, reference: &Reference, image: &Image) -> store::Result<Option<ImageId>> {
    let before = names.get(reference);
    match names.add_digest(reference, image.config.id()) {
        Err(store::Error::OverwriteDigest(_)) if image.names.iter().any(|name| name.digest().is_none()) => {}
        other => other?,
    }
    Ok(before)
}
