//! The layerdb: one directory per image layer, named by its chain id (moby.md §4; `docs/format/layerdb.md`).

mod check;
mod read;
mod remove;
mod stage;

use std::fs::File;

use model::{CacheId, ChainId, DiffId};

use crate::error::{Error, Result};
use crate::root::DataRoot;
use crate::small::{find_dir, names_in, os};

pub(crate) use remove::is_removing;

pub use remove::RemovingLayer;
pub use stage::{Published, StagedLayer};

/// The file that holds what is needed to write a layer's archive again, gzipped (moby.md §5).
pub(crate) const TAR_SPLIT: &str = "tar-split.json.gz";

/// What the layerdb knows of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRecord {
    /// Its name: what it is, on top of what.
    pub chain: ChainId,
    /// The digest of its archive.
    pub diff: DiffId,
    /// The layer below; `None` for a base layer.
    pub parent: Option<ChainId>,
    /// The driver's directory with its files.
    pub cache_id: CacheId,
    /// Bytes of this layer alone, as the driver counts them (moby.md §12.3).
    pub size: u64,
}

/// The layers of images.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    pub(crate) root: &'a DataRoot,
}

impl Layers<'_> {
    /// Reads one layer.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::BrokenLayer`], system calls.
    pub fn get(&self, chain: &ChainId) -> Result<LayerRecord> {
        self.find(chain)?.ok_or(Error::NoLayer(*chain))
    }

    /// Reads one layer, `None` if it is not in the store.
    ///
    /// # Errors
    /// [`Error::BrokenLayer`], system calls.
    pub fn find(&self, chain: &ChainId) -> Result<Option<LayerRecord>> {
        let Some(all) = &self.root.dirs.layers else { return Ok(None) };
        let Some(dir) = find_dir(all, &chain.hex())? else { return Ok(None) };
        match read::record(&dir, chain)? {
            Ok(record) => Ok(Some(record)),
            // Perhaps it was removed after we opened it: a layer loses its name first.
            Err(_) if !self.exists(chain)? => Ok(None),
            Err(damage) => Err(Error::BrokenLayer { chain: *chain, damage }),
        }
    }

    /// Whether the store has an entry for the layer, sound or not.
    ///
    /// # Errors
    /// System calls.
    pub fn exists(&self, chain: &ChainId) -> Result<bool> {
        let Some(all) = &self.root.dirs.layers else { return Ok(false) };
        Ok(sys::meta::find(all, os(&chain.hex()))?.is_some())
    }

    /// The names of all layers, sorted. Nothing but the directory is read.
    ///
    /// # Errors
    /// System calls.
    pub fn list(&self) -> Result<Vec<ChainId>> {
        let names = names_in(self.root.dirs.layers.as_ref())?;
        Ok(names.iter().filter_map(|name| ChainId::from_hex(name).ok()).collect())
    }

    /// The layer `top` and all below it, the base layer first.
    ///
    /// # Errors
    /// As [`Layers::get`], for any of them. A chain cannot form a ring: its names are digests of one another, and
    /// each record is checked against its name.
    pub fn chain(&self, top: &ChainId) -> Result<Vec<LayerRecord>> {
        let mut chain = Vec::new();
        let mut next = Some(*top);
        while let Some(id) = next {
            let record = self.get(&id)?;
            next = record.parent;
            chain.push(record);
        }
        chain.reverse();
        Ok(chain)
    }

    /// Opens the layer's tar-split stream, as stored: gzipped. `None` if the layer has none; it can be used, but not
    /// saved.
    ///
    /// # Errors
    /// [`Error::NoLayer`], system calls.
    pub fn tar_split(&self, chain: &ChainId) -> Result<Option<File>> {
        let all = self.root.dirs.layers.as_ref().ok_or(Error::NoLayer(*chain))?;
        let dir = find_dir(all, &chain.hex())?.ok_or(Error::NoLayer(*chain))?;
        Ok(crate::small::absent(sys::dir::open_file(&dir, os(TAR_SPLIT)))?.map(File::from))
    }
}
