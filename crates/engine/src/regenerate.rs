//! The archive of a layer, as it came, put together from the store.

use archive::tar_split;
use changeset::regenerate::regenerate;
use store::LayerRecord;

use crate::hashing::pass_on;
use crate::{Engine, Error, Result};

impl Engine {
    /// Passes the layer's archive to `consume`, and verifies its digest.
    ///
    /// # Errors
    /// Those of `consume`; a file that is not what it was, after a part of it was passed on.
    pub(crate) fn regenerate(
        &self,
        record: &LayerRecord,
        consume: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let root = self.driver.layer_root(&record.cache_id)?;
        let tar_split = self.tar_split(record)?;
        let found = pass_on(|out| Ok(regenerate(tar_split, &root, out)?), consume)?;
        if found != *record.diff.digest() {
            return Err(Error::Damaged(format!(
                "layer {}: put together from the store it has the digest {found}: run `check`",
                record.diff
            )));
        }
        Ok(())
    }

    /// The layer's tar-split record, uncompressed.
    pub(crate) fn tar_split(&self, record: &LayerRecord) -> Result<impl std::io::Read + use<>> {
        Ok(tar_split::gunzip(self.tar_split_file(record)?))
    }

    /// The layer's tar-split record as it lies in the store, compressed.
    pub(crate) fn tar_split_file(&self, record: &LayerRecord) -> Result<std::fs::File> {
        self.store.layers().tar_split(&record.chain)?.ok_or_else(|| {
            Error::Damaged(format!(
                "layer {} has no tar-split.json.gz: it can be used, but not saved",
                record.chain
            ))
        })
    }
}
