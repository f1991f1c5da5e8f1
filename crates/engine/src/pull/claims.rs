//! Whose business a blob is: one process fetches it, whoever else wants it waits and then has the layer.

use model::Digest;
use store::Download;

use super::report::Report;
use super::spool::Wanted;
use crate::{Engine, Result};

/// Downloads that are ours. Dropped, what has come stays for the next attempt.
pub(super) struct Claims(Vec<Download>);

impl Engine {
    /// Makes the downloads of these blobs ours, in the order of their digests, so that two pulls cannot wait for each
    /// other. `None` if somebody had to be waited for: he may have brought what is wanted.
    pub(super) fn claim(&self, wanted: &[Wanted], report: &Report<'_>) -> Result<Option<Claims>> {
        let mut sorted: Vec<&Wanted> = wanted.iter().collect();
        sorted.sort_by_key(|blob| blob.digest);
        sorted.dedup_by_key(|blob| blob.digest);
        let mut claims = Claims(Vec::new());
        for blob in sorted {
            match self.store.downloads().try_take(&blob.digest)? {
                Some(download) => claims.0.push(download),
                None => {
                    report.waiting(&blob.item);
                    drop(self.store.downloads().take(&blob.digest)?);
                    return Ok(None);
                }
            }
        }
        Ok(Some(claims))
    }
}

impl Claims {
    pub fn find(&self, digest: &Digest) -> Option<&Download> {
        self.0.iter().find(|download| download.digest() == digest)
    }

    /// Removes them: the layers are in the store.
    pub fn remove(mut self) -> Result<()> {
        for download in self.0.drain(..) {
            download.remove()?;
        }
        Ok(())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Download::remove_if_empty);
    }
}
