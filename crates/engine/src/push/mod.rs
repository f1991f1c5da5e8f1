//! Sends images to a registry.
//!
//! Several layers are in work at once. For each, in this order: a blob that the repository has is used (the hints of
//! `distribution/` tell under which digests to ask); one that another repository of the server has is mounted; one that
//! was kept of a pull is sent as it came; else the layer is put together from the store, compressed by all processors
//! and streamed while it is hashed, and nothing of it is staged on the disk. Then follow the configuration and, last,
//! the manifest under its tag: who pulls meanwhile gets the old image or the new one.

mod documents;
mod hints;
mod layers;
mod layout;
mod maker;
mod seal;
mod tar;

use std::thread;

use archive::compress::{Compression, Method};
use model::progress::Progress;
use model::{Digest, ImageConfig, ImageId, Reference};
use registry::{At, Client, Repository};
use store::LayerRecord;

use crate::{Engine, Error, Result};

use documents::{Blob, Documents};
pub use layout::Destination;
use maker::Maker;

/// How many layers Docker sends at once.
const UPLOADS: usize = 5;

/// How to push.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// With what layers are compressed. If absent, with gzip, and blobs that are known already are used however they
    /// are compressed.
    pub compression: Option<Compression>,
    /// How hard; the default of the compression if absent.
    pub level: Option<i32>,
    /// How many layers are in work at once.
    pub uploads: usize,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self { compression: None, level: None, uploads: UPLOADS }
    }
}

impl PushOptions {
    /// What layers are compressed with that must be.
    pub(crate) fn method(&self) -> Result<Method> {
        Ok(Method::new(self.compression.unwrap_or(Compression::Gzip), self.level)?)
    }

    /// Whether a known blob with such a compression will do.
    pub(crate) fn takes(&self, kind: Compression) -> bool {
        let writable = matches!(kind, Compression::None | Compression::Gzip | Compression::Zstd);
        self.compression.map_or(writable, |wanted| wanted == kind)
    }
}

/// What the registry has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest's length in bytes.
    pub size: u64,
}

/// An image of the store on its way out.
pub(crate) struct Outgoing {
    pub id: ImageId,
    pub config: ImageConfig,
    /// Lowest first.
    pub layers: Vec<LayerRecord>,
}

impl Engine {
    /// All tags that the store has in the repository of `name`, sorted: for `push --all-tags`.
    ///
    /// # Errors
    /// Docker's message if there is none.
    pub fn tags_to_push(&self, name: &Reference) -> Result<Vec<Reference>> {
        let repository = name.canonical_name();
        let names = self.store.references().read()?;
        let mut tags: Vec<Reference> = names
            .iter()
            .map(|(known, _)| known)
            .filter(|known| known.tag().is_some() && known.canonical_name() == repository)
            .collect();
        tags.sort_by_cached_key(Reference::familiar);
        if tags.is_empty() { Err(no_such_repository(name)) } else { Ok(tags) }
    }

    /// Sends the image that `name` names (`latest` if it has no tag) to the registry that it names. When this returns,
    /// the registry has it, and the store has the digest as a further name, as after a push of Docker's.
    ///
    /// # Errors
    /// Docker's messages if there is no such image; [`Error::Registry`]; [`Error::Damaged`] if a layer is not what it
    /// was. The registry may have some of the layers then, and under the tag what it had before.
    pub fn push(
        &self,
        client: &Client,
        name: &Reference,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        let image = self.image_to_push(name)?;
        let repository = client.repository(name)?.pushing();
        let seal = seal::Seal::of(client.credential(name)?.as_ref())?;
        let maker = Maker::start(self, options.method()?)?;
        let hints = hints::Hints::new(self, name, &seal);
        let sending = layers::Sending { client, repository: &repository, options, maker, hints, progress };
        let (config, layers) = thread::scope(|scope| {
            let config = scope.spawn(|| send_config(&repository, &image.config));
            let layers = sending.all(&image.layers);
            (config.join().unwrap_or_else(|_| Err(Error::thread("sending", "the configuration"))), layers)
        });
        // What is there now is so also if the rest has failed.
        sending.hints.write()?;
        let layers = self.with_image(&image.id, || layers)?;
        config?;
        let documents = Documents::for_registry(&image.config, &layers)?;
        let tag = name.tag().unwrap_or(model::reference::DEFAULT_TAG);
        let digest = repository.put_manifest(At::Tag(tag), documents.media_type, &documents.manifest)?;
        self.add_digest(name, image.id, digest)?;
        Ok(Pushed { digest, size: documents.manifest.len() as u64 })
    }

    /// The image that `name` names, with its layers.
    pub(crate) fn image_to_push(&self, name: &Reference) -> Result<Outgoing> {
        if name.digest().is_some() {
            return Err(Error::invalid("cannot push a digest reference"));
        }
        let names = self.store.references().read()?;
        let Some(id) = names.get(name) else {
            let repository = name.canonical_name();
            return Err(match names.iter().any(|(known, _)| known.canonical_name() == repository) {
                true => Error::invalid(format!(
                    "tag does not exist: {}",
                    name.clone().with_default_tag().familiar()
                )),
                false => no_such_repository(name),
            });
        };
        let config = self.store.images().get(&id)?;
        let layers = match config.chain_id() {
            Some(top) => self.with_image(&id, || Ok(self.store.layers().chain(&top)?))?,
            None => Vec::new(),
        };
        Ok(Outgoing { id, config, layers })
    }

    /// Gives the image the name `repository@digest`, unless it has it.
    fn add_digest(&self, name: &Reference, id: ImageId, digest: Digest) -> Result<()> {
        let reference = name.without_tag_and_digest().with_digest(digest);
        if self.store.references().read()?.get(&reference) == Some(id) {
            return Ok(());
        }
        let lock = self.store.commit()?;
        Ok(self.store.references().update(&lock, |names| names.add_digest(&reference, id))?)
    }
}

fn no_such_repository(name: &Reference) -> Error {
    Error::invalid(format!("An image does not exist locally with the tag: {}", name.familiar_name()))
}

/// Sends the configuration, unless the repository has it.
fn send_config(repository: &Repository, config: &ImageConfig) -> Result<()> {
    let digest = *config.id().digest();
    if repository.find_blob(&digest)?.is_none() {
        repository.put_blob(&digest, config.bytes())?;
    }
    Ok(())
}
