//! Where the archives of a pulled image's layers come from.

use std::io::Read;
use std::sync::Arc;

use model::manifest::Descriptor;
use model::{ChainId, Reference};
use store::V2Metadata;

use super::spool::Spool;
use crate::install::{Archive, Layer};
use crate::{Error, Result};

/// A layer of which nothing is fetched yet.
pub(super) fn layer(chain: ChainId, descriptor: &Descriptor, name: &Reference) -> Layer {
    let digest = descriptor.digest;
    Layer {
        name: digest.to_string(),
        item: Some(digest.short()),
        len: descriptor.size,
        archive: Arc::new(Absent(chain)),
        seen: Some(V2Metadata {
            digest,
            source_repository: name.canonical_name(),
            hmac: String::new(),
            media_type: descriptor.media_type.clone(),
        }),
    }
}

/// A layer that the store had when it was asked.
struct Absent(ChainId);

impl Archive for Absent {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        Err(Error::LayerVanished(self.0))
    }
}

/// A blob on its way.
pub(super) struct Remote(pub Arc<Spool>);

impl Archive for Remote {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.0.reader()))
    }

    /// Bytes that are not what they should be explain any failure but a full disk.
    fn judge(&self, error: Error) -> Error {
        if !error.is_full() {
            self.0.wait();
        }
        error
    }
}
