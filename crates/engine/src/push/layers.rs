//! Sends the layers of an image, several at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::thread;

use archive::compress::{self, Compression, MAGIC_BYTES};
use model::progress::{Phase, Progress};
use model::{DiffId, Digest};
use registry::{Client, Repository, Upload};
use store::LayerRecord;

use super::hints::{Candidate, Hints};
use super::{Blob, Maker, PushOptions};
use crate::parallel::largest_first;
use crate::{Error, Result};

/// What all layers of a push share.
pub(super) struct Sending<'a> {
    pub client: &'a Client,
    pub repository: &'a Repository,
    pub options: &'a PushOptions,
    pub maker: Maker<'a>,
    pub hints: Hints<'a>,
    pub progress: &'a dyn Progress,
}

impl Sending<'_> {
    /// Has every layer in the repository, and tells as what. A layer that occurs twice is looked at once. The largest
    /// is begun first, and the first error ends the others.
    pub fn all(&self, layers: &[LayerRecord]) -> Result<Vec<Blob>> {
        let mut unique: BTreeMap<DiffId, &LayerRecord> = BTreeMap::new();
        for layer in layers {
            if unique.insert(layer.diff, layer).is_none() {
                self.progress.status(&layer.diff.short(), "Preparing");
            }
        }
        let sent = largest_first(
            self.options.uploads,
            unique.into_values().collect(),
            |layer| layer.size,
            || self.maker.stop(),
            |layer| Ok((layer.diff, self.layer(layer)?)),
        )?;
        let blobs: BTreeMap<DiffId, Blob> = sent.into_iter().collect();
        let blob = |layer: &LayerRecord| blobs.get(&layer.diff).copied();
        layers.iter().map(|l| blob(l).ok_or_else(|| Error::thread("sending", "a layer"))).collect()
    }

    /// Has one layer in the repository.
    fn layer(&self, layer: &LayerRecord) -> Result<Blob> {
        let item = layer.diff.short();
        let places = self.hints.places(&layer.diff)?;
        for place in &places.digests {
            if let Some(blob) = self.find(layer, place)? {
                self.hints.seen(layer.diff, blob);
                self.progress.status(&item, "Layer already exists");
                return Ok(blob);
            }
        }
        let mut begun = None;
        for place in &places.elsewhere {
            match self.mount(layer, place, &mut begun) {
                Some(blob) => {
                    self.hints.seen(layer.diff, blob);
                    self.progress.status(&item, &format!("Mounted from {}", place.path));
                    return Ok(blob);
                }
                // An upload that the server began instead is as good as one that we ask for.
                None if begun.is_some() => break,
                None => {}
            }
        }
        let blob = self.send(layer, begun)?;
        self.hints.seen(layer.diff, blob);
        self.progress.status(&item, "Pushed");
        Ok(blob)
    }

    /// The blob that a hint speaks of, if the repository has it and it will do.
    fn find(&self, layer: &LayerRecord, place: &Candidate) -> Result<Option<Blob>> {
        if place.kind.is_some_and(|kind| !self.options.takes(kind)) {
            return Ok(None);
        }
        let digest = place.hint.digest;
        let Some(size) = self.repository.find_blob(&digest)? else {
            if place.here {
                self.hints.stale(layer.diff, place.hint.clone());
            }
            return Ok(None);
        };
        let kind = match place.kind {
            Some(kind) => kind,
            None => self.look_into(&digest)?,
        };
        Ok(self.options.takes(kind).then_some(Blob { digest, size, kind }))
    }

    /// How a blob of the repository is compressed, by its first bytes: Docker's hints do not say.
    fn look_into(&self, digest: &Digest) -> Result<Compression> {
        let body = self.repository.blob(digest, 0, Some(MAGIC_BYTES as u64))?;
        let (kind, _) = compress::sniff(body).map_err(Error::io("read", digest.to_string()))?;
        Ok(kind)
    }

    /// Has the server take a blob from another of its repositories. A refusal is no error: the layer is sent then.
    fn mount(&self, layer: &LayerRecord, place: &Candidate, begun: &mut Option<Upload>) -> Option<Blob> {
        if place.kind.is_some_and(|kind| !self.options.takes(kind)) {
            return None;
        }
        *begun = self.repository.mount(&place.hint.digest, &place.path).ok()?;
        let mounted = if begun.is_none() { self.find(layer, place).ok().flatten() } else { None };
        // As in Docker, a hint that was made with other credentials had one chance.
        if mounted.is_none() && !place.sealed && !place.hint.hmac.is_empty() {
            self.hints.stale(layer.diff, place.hint.clone());
        }
        mounted
    }

    /// Sends a layer, again after failures that may pass. An upload that failed is begun again: where it stood is of
    /// little use, since what follows has to be compressed from the start.
    fn send(&self, layer: &LayerRecord, mut begun: Option<Upload>) -> Result<Blob> {
        let item = layer.diff.short();
        let mut backoff = self.client.backoff();
        let mut kept = self.kept(layer)?;
        loop {
            self.progress.start(&item, Phase::Uploading, Some(layer.size));
            let error = match self.send_once(layer, kept.as_mut(), &mut begun) {
                Ok(blob) => return Ok(blob),
                Err(Error::Registry(error)) => error,
                // The file is no blob of the layer; the store can make one.
                Err(Error::Damaged(_)) if kept.take().is_some() => continue,
                Err(error) => return Err(error),
            };
            if self.maker.is_stopped() {
                return Err(error.into());
            }
            let Some(wait) = backoff.again(&error) else { return Err(error.into()) };
            let seconds = wait.as_secs_f64().ceil();
            self.progress.status(
                &item,
                &format!("Retrying in {seconds} second{}", if seconds == 1.0 { "" } else { "s" }),
            );
            thread::sleep(wait);
        }
    }

    fn send_once(
        &self,
        layer: &LayerRecord,
        kept: Option<&mut Kept>,
        begun: &mut Option<Upload>,
    ) -> Result<Blob> {
        let mut upload = match begun.take() {
            Some(upload) => upload,
            None => self.repository.upload()?,
        };
        let take = |stream: &mut dyn Read| Ok(upload.send(stream)?);
        let made = match kept {
            Some(kept) => self.send_kept(kept, take),
            None => self.maker.make(layer, self.progress, take),
        };
        match made {
            Ok((_, blob)) => {
                upload.finish(&blob.digest)?;
                Ok(blob)
            }
            Err(error) => {
                if !matches!(error, Error::Registry(_)) {
                    upload.cancel();
                }
                Err(error)
            }
        }
    }

    fn send_kept(
        &self,
        kept: &mut Kept,
        take: impl FnOnce(&mut dyn Read) -> Result<u64>,
    ) -> Result<(u64, Blob)> {
        kept.file.rewind().map_err(Error::io("read", kept.digest.to_string()))?;
        let (taken, blob) = self.maker.copy(&kept.file, kept.kind, take)?;
        if blob.digest != kept.digest {
            return Err(Error::Damaged(format!(
                "the kept blob {} has the digest {}",
                kept.digest, blob.digest
            )));
        }
        Ok((taken, blob))
    }

    /// The blob that was kept when the layer was pulled, if it will do.
    fn kept(&self, layer: &LayerRecord) -> Result<Option<Kept>> {
        for digest in self.hints.digests(&layer.diff)? {
            let Some((mut file, _)) = self.maker.engine().store.blobs().find(&digest)? else { continue };
            let sniffed = compress::sniff(&mut file).map_err(Error::io("read", digest.to_string()));
            let (kind, _) = sniffed?;
            if self.options.takes(kind) {
                return Ok(Some(Kept { file, digest, kind }));
            }
        }
        Ok(None)
    }
}

/// A blob in the store, as it was pulled.
struct Kept {
    file: File,
    digest: Digest,
    kind: Compression,
}
