//! Layers that the store has on top of other ones: put together from there instead of fetched.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufWriter, Read, Write};
use std::sync::Arc;

use archive::tar_split;
use changeset::regenerate::regenerate;
use model::DiffId;
use store::LayerRecord;
use sys::Root;

use super::spool::Wanted;
use crate::install::Archive;
use crate::load::Blob;
use crate::{Engine, Error, Result};

/// A smaller blob is fetched sooner than all layers are looked at.
const WORTH_A_LOOK: u64 = 1 << 20;

impl Engine {
    /// The wanted layers that the store has somewhere, whatever they stand on there.
    pub(super) fn stored_elsewhere(&self, wanted: &[Wanted]) -> Result<HashMap<DiffId, Arc<dyn Archive>>> {
        let mut found: HashMap<DiffId, Arc<dyn Archive>> = HashMap::new();
        let worth = wanted.iter().filter(|blob| blob.size >= WORTH_A_LOOK);
        let looked_for: BTreeSet<DiffId> = worth.map(|blob| blob.diff).collect();
        if looked_for.is_empty() {
            return Ok(found);
        }
        for chain in self.store.layers().list()? {
            // What is damaged or goes just now is no help.
            let Ok(Some(record)) = self.store.layers().find(&chain) else { continue };
            if looked_for.contains(&record.diff)
                && !found.contains_key(&record.diff)
                && let Ok(stored) = Stored::open(self, &record)
            {
                found.insert(record.diff, Arc::new(stored));
            }
        }
        Ok(found)
    }
}

/// A layer's files and the record that makes its archive of them.
struct Stored {
    root: Root,
    record: Blob,
}

impl Stored {
    fn open(engine: &Engine, layer: &LayerRecord) -> Result<Self> {
        let root = engine.driver.layer_root(&layer.cache_id)?;
        let record = engine.tar_split_file(layer)?;
        let len = record.metadata().map_err(Error::io("stat", "tar-split.json.gz"))?.len();
        Ok(Self { root, record: Blob::whole(record.into(), len) })
    }
}

impl Archive for Stored {
    /// What cannot be put together ends too soon, and then has another digest.
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        let root = Root::from_fd(sys::dir::reopen(&self.root)?, self.root.path());
        let record = tar_split::gunzip(self.record.reader());
        let (reader, writer) = std::io::pipe().map_err(Error::io("make a pipe for", "a layer"))?;
        let write = move || {
            let mut out = BufWriter::with_capacity(256 << 10, writer);
            if regenerate(record, &root, &mut out).is_ok() {
                let _ = out.flush();
            }
        };
        let thread = std::thread::Builder::new().spawn(write);
        thread.map_err(Error::io("start", "a thread"))?;
        Ok(Box::new(reader))
    }
}
