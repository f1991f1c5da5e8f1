//! Layers on their way out: the name goes first, then the driver's files, then the rest.

use model::{CacheId, ChainId};
use sys::lock::{Lock, Mutual};

use super::{Layers, read};
use crate::backrefs::{Marker, User};
use crate::commit::CommitLock;
use crate::error::Result;
use crate::root::DataRoot;
use crate::small::{find_dir, names_in, os, random_hex};

/// Docker's suffix of layers that are being removed: `<chain>-<64 hex>-removing` (moby.md §4).
const SUFFIX: &str = "-removing";

/// A layer that has no name any more, but still its files. Locked: nobody else removes it too.
#[derive(Debug)]
pub struct RemovingLayer {
    name: String,
    /// What it was.
    pub chain: ChainId,
    /// The driver's directory, to be discarded before [`Layers::finish_remove`]; `None` if that was not readable.
    pub cache_id: Option<CacheId>,
    /// The layer that it stood on: perhaps nothing needs that any more either.
    pub parent: Option<ChainId>,
    _lock: Lock,
}

impl Layers<'_> {
    /// Takes layers out of the store, whoever uses them. Give the topmost first. Durable when this returns, so the
    /// driver's files can be discarded, whenever that may be. Layers that are not there are left out of the answer.
    ///
    /// # Errors
    /// System calls.
    pub fn begin_remove(&self, lock: &CommitLock<'_>, chains: &[ChainId]) -> Result<Vec<RemovingLayer>> {
        let mut removing = Vec::new();
        for chain in chains {
            removing.extend(self.unname(lock, chain)?);
        }
        if !removing.is_empty() {
            self.sync()?;
        }
        Ok(removing)
    }

    /// Renames one layer to what Docker calls layers that are being removed.
    fn unname(&self, lock: &CommitLock<'_>, chain: &ChainId) -> Result<Option<RemovingLayer>> {
        let all = self.root.writable(&self.root.dirs.layers)?;
        let hex = chain.hex();
        // Locked under its old name, so that no sweep comes between.
        let Some(layer) = claim(self.root, &hex)? else { return Ok(None) };
        let name = format!("{hex}-{}{SUFFIX}", random_hex());
        lock.note_removing(&name)?;
        sys::dir::rename(all, os(&hex), all, os(&name))?;
        if let Some(parent) = layer.parent {
            lock.remove(&Marker::of_layer(&parent, User::Layer(*chain)));
        }
        Ok(Some(RemovingLayer { name, ..layer }))
    }

    /// Removes what is left of a layer whose files in the driver are gone.
    ///
    /// # Errors
    /// System calls; a later sweep tries again.
    pub fn finish_remove(&self, layer: RemovingLayer) -> Result<()> {
        sys::tree::remove(self.root.writable(&self.root.dirs.layers)?, os(&layer.name))?;
        self.root.backrefs().forget_removing(&layer.name)
    }

    /// Layers whose removal was interrupted, by us or by Docker, and is nobody's business now. Reads the whole
    /// layerdb directory; [`DataRoot::sweep`] finds ours without that.
    ///
    /// # Errors
    /// System calls.
    pub fn removing(&self) -> Result<Vec<RemovingLayer>> {
        self.claim_all(names_in(self.root.dirs.layers.as_ref())?)
    }

    pub(crate) fn claim_all(&self, names: Vec<String>) -> Result<Vec<RemovingLayer>> {
        let mut found = Vec::new();
        for name in names.iter().filter(|name| is_removing(name)) {
            found.extend(claim(self.root, name)?);
        }
        Ok(found)
    }
}

/// Whether a name in `layerdb/sha256` is that of a layer being removed.
pub(crate) fn is_removing(name: &str) -> bool {
    chain_of(name).is_some() && name.ends_with(SUFFIX)
}

fn chain_of(name: &str) -> Option<ChainId> {
    ChainId::from_hex(name.get(..64)?).ok()
}

/// Locks a layer's directory and reads where its files are; `None` if another process has it, or it is gone.
fn claim(root: &DataRoot, name: &str) -> Result<Option<RemovingLayer>> {
    let all = root.writable(&root.dirs.layers)?;
    let Some(chain) = chain_of(name) else { return Ok(None) };
    let Some(dir) = find_dir(all, name)? else { return Ok(None) };
    let files = read::Files::read(&dir)?;
    let (cache_id, parent) = (files.cache_id().ok(), files.parent().ok().flatten());
    let Some(lock) = sys::lock::try_lock(dir, Mutual::Exclusive)? else { return Ok(None) };
    if sys::meta::find(all, os(name))?.is_none() {
        return Ok(None);
    }
    Ok(Some(RemovingLayer { name: name.to_owned(), chain, cache_id, parent, _lock: lock }))
}
