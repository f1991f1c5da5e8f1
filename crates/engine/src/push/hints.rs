//! What is known of where layers are (moby.md §6.3), and what a push learns about it.

use std::sync::{Mutex, PoisonError};

use archive::compress::Compression;
use model::manifest::media_type;
use model::{DiffId, Digest, Reference};
use store::V2Metadata;

use super::Blob;
use super::seal::Seal;
use crate::{Engine, Result};

/// So many digests are asked for, and so many repositories, before a layer is sent: each costs a round trip.
const TRIES: usize = 3;

/// The hints, from the view of one repository.
pub(super) struct Hints<'a> {
    engine: &'a Engine,
    name: &'a Reference,
    seal: &'a Seal,
    news: Mutex<Vec<(DiffId, News)>>,
}

/// What a push has learnt of a layer.
enum News {
    /// The repository has this blob.
    Seen(Blob),
    /// The hint was wrong.
    Stale(V2Metadata),
}

/// Where to look for a layer, the most promising first.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Under these digests in the repository itself. The source is the repository's own hint, if it has one.
    pub digests: Vec<Candidate>,
    /// In these repositories of the same server.
    pub elsewhere: Vec<Candidate>,
}

/// A blob that the layer may be had as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub hint: V2Metadata,
    /// Whether the hint speaks of the repository that is pushed to.
    pub here: bool,
    /// Whether it was made with the credentials in use.
    pub sealed: bool,
    /// How it is compressed, if that was written down.
    pub kind: Option<Compression>,
    /// The repository's path on the server.
    pub path: String,
}

impl<'a> Hints<'a> {
    /// The hints for the repository of `name`; new ones are signed by `seal`.
    pub fn new(engine: &'a Engine, name: &'a Reference, seal: &'a Seal) -> Self {
        Self { engine, name, seal, news: Mutex::default() }
    }

    /// Where to look for a layer.
    pub fn places(&self, diff: &DiffId) -> Result<Places> {
        let mut all = Vec::new();
        for hint in self.engine.store.distribution().sources(diff)?.into_iter().rev() {
            let Ok(source) = Reference::parse(&hint.source_repository) else { continue };
            all.push((
                source.clone(),
                Candidate {
                    here: source.canonical_name() == self.name.canonical_name(),
                    sealed: hint.hmac == self.seal.sign(&hint.digest, &hint.source_repository),
                    kind: kind_of(&hint.media_type),
                    path: source.path().to_owned(),
                    hint,
                },
            ));
        }
        // Stable: the newest first where nothing else counts.
        all.sort_by_key(|(source, place)| (!place.here, !place.sealed, alikeness(source, self.name)));
        let mut places = Places::default();
        for (source, place) in all {
            if !places.digests.iter().any(|known| known.hint.digest == place.hint.digest) {
                places.digests.push(place.clone());
            }
            if !place.here && source.domain() == self.name.domain() {
                places.elsewhere.push(place);
            }
        }
        places.digests.truncate(TRIES);
        places.elsewhere.truncate(TRIES);
        Ok(places)
    }

    /// The digests of all blobs that are known to hold a layer.
    pub fn digests(&self, diff: &DiffId) -> Result<Vec<Digest>> {
        let sources = self.engine.store.distribution().sources(diff)?;
        Ok(sources.iter().rev().map(|hint| hint.digest).collect())
    }

    /// The repository has the layer as this blob.
    pub fn seen(&self, diff: DiffId, blob: Blob) {
        self.news().push((diff, News::Seen(blob)));
    }

    /// A hint turned out to be wrong.
    pub fn stale(&self, diff: DiffId, hint: V2Metadata) {
        self.news().push((diff, News::Stale(hint)));
    }

    /// Writes down what was learnt. Nothing relies on it, so nothing is written if it is known already.
    pub fn write(&self) -> Result<()> {
        let distribution = self.engine.store.distribution();
        let repository = self.name.canonical_name();
        let mut added = Vec::new();
        let mut removed = Vec::new();
        for (diff, news) in self.news().drain(..) {
            match news {
                News::Stale(hint) => removed.push((diff, hint)),
                News::Seen(blob) => {
                    let hint = V2Metadata {
                        digest: blob.digest,
                        source_repository: repository.clone(),
                        hmac: self.seal.sign(&blob.digest, &repository),
                        media_type: blob.media_type().to_owned(),
                    };
                    if !distribution.sources(&diff)?.contains(&hint) {
                        added.push((diff, hint));
                    }
                }
            }
        }
        if added.is_empty() && removed.is_empty() {
            return Ok(());
        }
        let lock = self.engine.store.commit()?;
        removed.iter().try_for_each(|(diff, hint)| distribution.remove(&lock, diff, hint))?;
        Ok(added.into_iter().try_for_each(|(diff, hint)| distribution.add(&lock, &diff, hint))?)
    }

    fn news(&self) -> std::sync::MutexGuard<'_, Vec<(DiffId, News)>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Repositories that share more of their path with the target are likelier to be open to whoever pushes there: sorts
/// them first, as Docker does.
fn alikeness(source: &Reference, target: &Reference) -> std::cmp::Reverse<usize> {
    let alike = source.path().split('/').zip(target.path().split('/')).take_while(|(a, b)| a == b).count();
    std::cmp::Reverse(alike)
}

/// The compression that a hint tells. Docker keeps no media type; for it these layers are all gzip.
fn kind_of(media_type: &str) -> Option<Compression> {
    match media_type {
        media_type::OCI_LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => Some(Compression::Gzip),
        media_type::OCI_LAYER_ZSTD => Some(Compression::Zstd),
        media_type::OCI_LAYER | media_type::DOCKER_LAYER => Some(Compression::None),
        _ => None,
    }
}
