//! Layers whose files were found changed: `load` replaces them instead of sharing them.
//!
//! A mark is an empty file, `layercake/suspect/<driver>/<chain hex>` in the data root, which Docker ignores. It is
//! made by a check with `repair`, and removed when the layer is replaced.

use std::ffi::OsStr;

use model::ChainId;
use store::LayerRecord;
use sys::OwnedFd;

use crate::{Engine, Result};

impl Engine {
    /// Whether a layer of the store can be shared: its files and the record of its archive are there, and no check has
    /// found them changed. Reads no content.
    pub(crate) fn is_whole(&self, record: &LayerRecord) -> Result<bool> {
        match self.driver.layer_root(&record.cache_id) {
            Ok(_) => {}
            Err(drivers::Error::NoLayer(_) | drivers::Error::Damaged(_)) => return Ok(false),
            Err(drivers::Error::Sys(e)) if e.is_not_found() => return Ok(false),
            Err(e) => return Err(e.into()),
        }
        Ok(self.store.layers().tar_split(&record.chain)?.is_some() && !self.is_suspect(&record.chain)?)
    }

    /// Marks a layer. Durable when this returns.
    pub(super) fn mark_suspect(&self, chain: &ChainId) -> Result<()> {
        let mut dir = sys::dir::reopen(self.store.fd())?;
        for name in ["layercake", "suspect", self.driver.name()] {
            dir = sys::dir::ensure(&dir, OsStr::new(name), 0o700)?;
        }
        match sys::dir::create_file(&dir, OsStr::new(&chain.hex()), 0o600) {
            Err(e) if !e.is_exists() => Err(e.into()),
            _ => Ok(sys::dir::sync_fs(&dir)?),
        }
    }

    /// Whether a layer is marked.
    fn is_suspect(&self, chain: &ChainId) -> Result<bool> {
        match self.suspects()? {
            Some(dir) => Ok(sys::meta::find(&dir, OsStr::new(&chain.hex()))?.is_some()),
            None => Ok(false),
        }
    }

    /// Removes the mark of a layer, if it has one.
    pub(crate) fn clear_suspect(&self, chain: &ChainId) -> Result<()> {
        if let Some(dir) = self.suspects()? {
            match sys::dir::unlink(&dir, OsStr::new(&chain.hex())) {
                Err(e) if !e.is_not_found() => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn suspects(&self) -> Result<Option<OwnedFd>> {
        let mut dir = sys::dir::reopen(self.store.fd())?;
        for name in ["layercake", "suspect", self.driver.name()] {
            dir = match sys::dir::open(&dir, OsStr::new(name)) {
                Err(e) if e.is_not_found() => return Ok(None),
                other => other?,
            };
        }
        Ok(Some(dir))
    }
}
