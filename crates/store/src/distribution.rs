//! `distribution/`: which blob of which repository holds which layer (moby.md §6.3; `docs/format/imagedb.md`). A pull
//! looks here before it downloads. Only hints: entries are written without a sync, and nothing relies on them.

use model::{DiffId, Digest};
use serde::{Deserialize, Serialize};
use sys::OwnedFd;

use crate::commit::CommitLock;
use crate::error::Result;
use crate::root::DataRoot;
use crate::small::{find_dir, find_text, os, replace_unsynced};

const DIFFID_BY_DIGEST: &str = "diffid-by-digest";
const V2_BY_DIFFID: &str = "v2metadata-by-diffid";
/// Docker keeps so many sources of a layer.
const MAX_SOURCES: usize = 50;

/// The hints for pull and push.
#[derive(Debug, Clone, Copy)]
pub struct Distribution<'a> {
    pub(crate) root: &'a DataRoot,
}

/// Where a layer was seen in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct V2Metadata {
    /// The compressed blob.
    pub digest: Digest,
    /// The repository, spelled out.
    pub source_repository: String,
    /// Proof that it was seen with certain credentials; empty for pulls.
    #[serde(rename = "HMAC", default)]
    pub hmac: String,
    /// The blob's media type; empty if it is not known. Ours: Docker does not look at it, and keeps none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
}

impl V2Metadata {
    /// Whether both speak of the same blob in the same place, seen with the same credentials.
    fn is_same(&self, other: &Self) -> bool {
        (&self.digest, &self.source_repository, &self.hmac)
            == (&other.digest, &other.source_repository, &other.hmac)
    }
}

impl Distribution<'_> {
    /// The layer that the blob `digest` holds.
    ///
    /// # Errors
    /// System calls. A damaged hint is none.
    pub fn diff_id(&self, digest: &Digest) -> Result<Option<DiffId>> {
        let Some(dir) = self.table(DIFFID_BY_DIGEST)? else { return Ok(None) };
        Ok(find_text(&dir, &digest.hex())?.and_then(|text| text.parse().ok()))
    }

    /// Where the layer `diff` was seen, oldest first.
    ///
    /// # Errors
    /// System calls. A damaged hint is none.
    pub fn sources(&self, diff: &DiffId) -> Result<Vec<V2Metadata>> {
        let Some(dir) = self.table(V2_BY_DIFFID)? else { return Ok(Vec::new()) };
        let text = find_text(&dir, &diff.hex())?.unwrap_or_default();
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Writes down that a blob holds a layer. The newest source stands last, each of them once, at most fifty.
    ///
    /// # Errors
    /// System calls.
    pub fn add(&self, lock: &CommitLock<'_>, diff: &DiffId, source: V2Metadata) -> Result<()> {
        let digest = source.digest;
        let mut sources = self.sources(diff)?;
        if sources.last() == Some(&source) && self.diff_id(&digest)? == Some(*diff) {
            return Ok(());
        }
        sources.retain(|old| !old.is_same(&source));
        sources.push(source);
        let surplus = sources.len().saturating_sub(MAX_SOURCES);
        sources.drain(..surplus);
        self.set_sources(lock, diff, &sources)?;
        let text = diff.to_string();
        replace_unsynced(lock, &self.make_table(DIFFID_BY_DIGEST)?, &digest.hex(), 0o644, text.as_bytes())
    }

    /// Takes back that a blob holds a layer: it is not where it was.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(&self, lock: &CommitLock<'_>, diff: &DiffId, source: &V2Metadata) -> Result<()> {
        let mut sources = self.sources(diff)?;
        let before = sources.len();
        sources.retain(|old| !old.is_same(source));
        if sources.len() == before { Ok(()) } else { self.set_sources(lock, diff, &sources) }
    }

    fn set_sources(&self, lock: &CommitLock<'_>, diff: &DiffId, sources: &[V2Metadata]) -> Result<()> {
        let json = model::gojson::to_vec(sources)?;
        replace_unsynced(lock, &self.make_table(V2_BY_DIFFID)?, &diff.hex(), 0o644, &json)
    }

    fn table(&self, name: &str) -> Result<Option<OwnedFd>> {
        let Some(all) = &self.root.dirs.distribution else { return Ok(None) };
        match find_dir(all, name)? {
            Some(table) => find_dir(table, "sha256"),
            None => Ok(None),
        }
    }

    fn make_table(&self, name: &str) -> Result<OwnedFd> {
        let all = self.root.writable(&self.root.dirs.distribution)?;
        Ok(sys::dir::ensure(sys::dir::ensure(all, os(name), 0o755)?, os("sha256"), 0o755)?)
    }
}
