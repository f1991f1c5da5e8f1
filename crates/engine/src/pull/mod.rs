//! Pulls images from registries.
//!
//! `resolve` goes from the name to the manifest and the configuration. Layers that the store has, by their DiffIDs, are
//! not fetched, also where they stand on other layers (`stored`). The others are `claim`ed, so that two pulls fetch each
//! blob once, and come over several connections (`fetch`) into files that grow while they are read (`spool`): inflating,
//! hashing and unpacking (`install`) go on at the same time. A layer is published when the digests of both its blob and
//! its archive are right. What is there of a blob when a pull fails or is killed, a later one goes on with.

mod claims;
mod fetch;
mod report;
mod resolve;
mod source;
mod spool;
mod stored;

use std::collections::HashMap;
use std::sync::Arc;

use model::progress::Progress;
use model::{ChainId, Digest, ImageId, Platform, Reference};
use registry::{Client, Repository};

use crate::install::{ATTEMPTS, Archive, Image, Installed, Layer};
use crate::load::Blob;
use crate::{Engine, Error, Result};
use claims::Claims;
use fetch::Fetcher;
use report::Report;
use source::Remote;
use spool::{Spool, Verdict, Wanted};

/// How to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Which image of an index; the one for this machine if absent.
    pub platform: Option<Platform>,
    /// Keep the compressed blobs, so that a push can send them as they are.
    pub keep_blobs: bool,
    /// How many connections fetch layers.
    pub connections: usize,
}

impl Default for PullOptions {
    /// Three connections, as Docker.
    fn default() -> Self {
        Self { platform: None, keep_blobs: false, connections: 3 }
    }
}

/// An image that was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Its name.
    pub reference: Reference,
    /// Its ID.
    pub image: ImageId,
    /// The digest of what the name stands for in the registry: a manifest or an index.
    pub digest: Digest,
    /// Whether the name is new, or was another image's before.
    pub is_new: bool,
    /// What the user should know of it.
    pub warning: Option<String>,
}

impl Engine {
    /// Pulls the image `name`; without tag and digest, `latest`. When this returns it is durable.
    ///
    /// # Errors
    /// Nothing of the image is in the store then. What has come of its layers waits for another attempt, at most a day.
    pub fn pull(
        &self,
        client: &Client,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Pulled> {
        let name = name.clone().with_default_tag();
        self.pull_name(&client.repository(&name)?, &name, options, progress)
    }

    /// Pulls all tags of the repository of `name`, one after the other.
    ///
    /// # Errors
    /// As [`pull`](Self::pull). What was pulled before stays.
    pub fn pull_all_tags(
        &self,
        client: &Client,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Pulled>> {
        let repository = client.repository(name)?;
        let tags = repository.tags().map_err(|e| resolve::refused(e, name))?;
        let name = name.without_tag_and_digest();
        let pull = |tag: &String| {
            let name = name.with_tag(tag)?;
            self.pull_name(&repository, &name, options, progress)
        };
        tags.iter().map(pull).collect()
    }

    fn pull_name(
        &self,
        repository: &Repository,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Pulled> {
        let found = resolve::find(repository, name, options.platform.as_ref())?;
        let pinned = name.without_tag_and_digest().with_digest(found.digest);
        let label = match name.digest() {
            Some(_) => pinned.canonical(),
            None => name.tag().unwrap_or_default().to_owned(),
        };
        progress.message(&format!("{label}: Pulling from {}", name.path()));
        let config = self.pulled_config(repository, name, &found.manifest)?;
        resolve::check_config(&config, &found.manifest, self.limits.decompress.max_output)?;
        let wanted = options.platform.as_ref();
        let warning = wanted.and_then(|wanted| resolve::mismatch(&config, name, wanted));
        let id = config.id();
        let mut names = vec![pinned];
        names.extend(Some(name.clone()).filter(|name| name.digest().is_none()));
        let chains = ChainId::each(config.diff_ids()).zip(&found.manifest.layers);
        let layers = chains.map(|(chain, layer)| source::layer(chain, layer, name)).collect();
        let image = Image { config, layers, names };

        let is_new = if self.has_all(&image)? {
            false
        } else {
            let repository = repository.clone();
            let pull =
                Pull { engine: self, repository, options, report: Report::new(progress), use_local: true };
            let installed = self.attempt(|| pull.run(&image))?;
            installed.names.last().is_none_or(|(_, before)| *before != Some(id))
        };
        progress.message(&format!("Digest: {}", found.digest));
        Ok(Pulled { reference: name.clone(), image: id, digest: found.digest, is_new, warning })
    }

    /// Whether nothing is left to do for an image.
    fn has_all(&self, image: &Image) -> Result<bool> {
        let id = image.config.id();
        let names = self.store.references().read()?;
        // An index has one digest for images of several platforms; the first of them has the name.
        Ok(image.names.iter().all(|name| names.get(name).is_some())
            && image.names.last().and_then(|name| names.get(name)) == Some(id)
            && self.find_sound_image(&id)?.is_some()
            && self.plan(std::slice::from_ref(image))?.new.is_empty())
    }
}

/// A pull that is going on.
struct Pull<'a> {
    engine: &'a Engine,
    repository: Repository,
    options: &'a PullOptions,
    report: Report<'a>,
    /// Whether blobs that were kept, and layers that stand elsewhere, are taken for what they should be.
    use_local: bool,
}

impl Pull<'_> {
    /// Fetches what is missing and installs the image.
    fn run(mut self, image: &Image) -> Result<Installed> {
        let (mut vanished, mut wrong) = (0, 0);
        loop {
            let wanted = self.missing(image)?;
            let Some(claims) = self.engine.claim(&wanted, &self.report)? else { continue };
            let local = self.use_local && !wanted.is_empty();
            match self.fetch_and_install(image, wanted, &claims) {
                Ok(installed) => {
                    claims.remove()?;
                    return Ok(installed);
                }
                Err(Error::LayerVanished(_)) if vanished < ATTEMPTS => vanished += 1,
                // Part of it may have come in another life, or from a mirror.
                Err(Error::WrongBlob { .. }) if wrong == 0 => {
                    wrong += 1;
                    self.repository = self.repository.clone().without_mirrors();
                }
                // A kept blob or a layer of the store may have changed: fetched, it heals.
                Err(Error::Layer { .. } | Error::WrongDiffId { .. }) if local => self.use_local = false,
                Err(e) => return Err(e),
            }
        }
    }

    /// The blobs of the layers that the store lacks.
    fn missing(&self, image: &Image) -> Result<Vec<Wanted>> {
        let plan = self.engine.plan(std::slice::from_ref(image))?;
        let is_new = |layer: &Layer| plan.new.iter().any(|new| std::ptr::eq(new.layer, layer));
        // Of an image that only gets another name, Docker does not speak in layers.
        if !plan.new.is_empty() || self.engine.find_sound_image(&image.config.id())?.is_none() {
            let items =
                image.layers.iter().map(|layer| (layer.item.as_deref().unwrap_or_default(), !is_new(layer)));
            self.report.announce(items);
        }
        let mut wanted: Vec<Wanted> = Vec::new();
        for new in &plan.new {
            let layer = new.layer;
            let Some(seen) = &layer.seen else { continue };
            if !wanted.iter().any(|blob| blob.digest == seen.digest) {
                let item = layer.item.clone().unwrap_or_default();
                wanted.push(Wanted { digest: seen.digest, diff: new.diff, size: layer.len, item });
            }
        }
        Ok(wanted)
    }

    fn fetch_and_install(&self, image: &Image, wanted: Vec<Wanted>, claims: &Claims) -> Result<Installed> {
        let (image, spools) = self.with_sources(image, wanted, claims)?;
        let unpacking = self.engine.unpacking_at_once();
        let fetcher = Fetcher::new(self.repository.clone(), spools.clone(), unpacking, &self.report);
        let work = self.engine.store.begin()?;
        let installed = std::thread::scope(|scope| {
            fetcher.start(scope, self.options.connections);
            let before_sync = || {
                fetcher.finish()?;
                self.settle(&spools, claims)
            };
            let images = std::slice::from_ref(&image);
            let installed = self.engine.install_once(&work, images, &self.report, before_sync);
            if installed.is_err() {
                fetcher.stop();
            }
            installed
        });
        match installed {
            Ok(mut installed) => {
                work.finish()?;
                installed.pop().ok_or_else(|| Error::invalid("nothing was installed"))
            }
            Err(e) => {
                let error = fetcher.failure().unwrap_or(e);
                self.report.forget();
                self.throw_away(&spools, claims, &error)?;
                Err(error)
            }
        }
    }

    /// The image with a source for each layer that is wanted, and the blobs that have to be fetched for that.
    fn with_sources(
        &self,
        image: &Image,
        wanted: Vec<Wanted>,
        claims: &Claims,
    ) -> Result<(Image, Vec<Arc<Spool>>)> {
        let mut image = image.clone();
        let mut spools = Vec::new();
        let stored = if self.use_local { self.engine.stored_elsewhere(&wanted)? } else { HashMap::new() };
        for blob in wanted {
            let digest = blob.digest;
            let kept = if self.use_local { self.engine.store.blobs().find(&digest)? } else { None };
            let kept = kept.filter(|(_, len)| *len == blob.size);
            let kept = kept.map(|(file, len)| Arc::new(Blob::whole(file.into(), len)) as Arc<dyn Archive>);
            let local = kept.or_else(|| stored.get(&blob.diff).cloned());
            let archive: Arc<dyn Archive> = match (local, claims.find(&digest)) {
                (Some(local), _) => local,
                (_, Some(download)) => {
                    let segments = download.segments(blob.size)?;
                    let spool = Arc::new(Spool::new(blob, segments)?);
                    spools.push(spool.clone());
                    Arc::new(Remote(spool))
                }
                (_, None) => continue,
            };
            let of_blob = |layer: &&mut Layer| layer.seen.as_ref().is_some_and(|seen| seen.digest == digest);
            image.layers.iter_mut().filter(of_blob).for_each(|layer| layer.archive = archive.clone());
        }
        Ok((image, spools))
    }

    /// After a failure: wrong bytes go; and if the disk is full all of them, for whoever needs space now does not want
    /// them kept for another attempt.
    fn throw_away(&self, spools: &[Arc<Spool>], claims: &Claims, error: &Error) -> Result<()> {
        let goes = |spool: &&Arc<Spool>| error.is_full() || matches!(spool.verdict(), Verdict::Wrong(_));
        let going = spools.iter().filter(goes).filter_map(|spool| claims.find(&spool.blob.digest));
        Ok(going.into_iter().try_for_each(store::Download::clear)?)
    }

    /// All layers are unpacked and verified. The blobs go before the sync, which would write them to the disk for
    /// nothing; their locks stay until the layers are published, so that nobody fetches them again.
    fn settle(&self, spools: &[Arc<Spool>], claims: &Claims) -> Result<()> {
        for spool in spools {
            let Some(download) = claims.find(&spool.blob.digest) else { continue };
            if self.options.keep_blobs {
                download.keep(&self.engine.store, spool.blob.size)?;
            }
            download.clear()?;
        }
        Ok(())
    }
}
