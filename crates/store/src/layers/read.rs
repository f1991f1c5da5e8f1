//! One layer's directory, file by file.

use model::{CacheId, ChainId, DiffId};
use sys::OwnedFd;

use super::LayerRecord;
use crate::error::Result;
use crate::finding::Damage;
use crate::small::find_text;

/// Reads the directory of the layer `chain`. The outer error is a system call's; the inner one is the first thing
/// that is wrong with the files.
pub(super) fn record(dir: &OwnedFd, chain: &ChainId) -> Result<Result<LayerRecord, Damage>> {
    let files = Files::read(dir)?;
    Ok(files.record(chain))
}

/// The values as they stand, `None` for absent files.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) diff: Option<String>,
    pub(super) cache_id: Option<String>,
    pub(super) size: Option<String>,
    pub(super) parent: Option<String>,
}

impl Files {
    pub(super) fn read(dir: &OwnedFd) -> Result<Self> {
        Ok(Self {
            diff: find_text(dir, "diff")?,
            cache_id: find_text(dir, "cache-id")?,
            size: find_text(dir, "size")?,
            parent: find_text(dir, "parent")?,
        })
    }

    pub(super) fn record(&self, chain: &ChainId) -> Result<LayerRecord, Damage> {
        let (diff, parent) = (self.diff()?, self.parent()?);
        let expected = ChainId::extend(parent.as_ref(), &diff);
        if expected != *chain {
            return Err(Damage::WrongChain { expected });
        }
        Ok(LayerRecord { chain: *chain, diff, parent, cache_id: self.cache_id()?, size: self.size()? })
    }

    pub(super) fn diff(&self) -> Result<DiffId, Damage> {
        let text = present("diff", self.diff.as_deref())?;
        text.parse().map_err(|e| Damage::invalid("diff", e))
    }

    /// Present in every layer but base layers, so that only an absent file means "none".
    pub(super) fn parent(&self) -> Result<Option<ChainId>, Damage> {
        match self.parent.as_deref() {
            None => Ok(None),
            Some("") => Err(Damage::Empty("parent")),
            Some(text) => text.parse().map(Some).map_err(|e| Damage::invalid("parent", e)),
        }
    }

    pub(super) fn cache_id(&self) -> Result<CacheId, Damage> {
        let text = present("cache-id", self.cache_id.as_deref())?;
        text.parse().map_err(|e| Damage::invalid("cache-id", e))
    }

    pub(super) fn size(&self) -> Result<u64, Damage> {
        let text = present("size", self.size.as_deref())?;
        text.parse().map_err(|e| Damage::invalid("size", e))
    }
}

fn present<'a>(file: &'static str, text: Option<&'a str>) -> Result<&'a str, Damage> {
    match text {
        None => Err(Damage::Missing(file)),
        Some("") => Err(Damage::Empty(file)),
        Some(text) => Ok(text),
    }
}
