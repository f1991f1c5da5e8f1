//! A writer that hashes what it passes on, in a thread of its own.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use archive::digest::Sha256;
use model::Digest;

/// Pieces that may wait for the hasher; with the 256 KiB pieces of a layer this bounds the memory to 4 MiB.
const WAITING: usize = 16;

/// Passes what is written on to `inner`, tells `report` how many bytes, and hashes meanwhile.
pub(crate) struct HashingWriter<W, F> {
    inner: W,
    report: F,
    to_hasher: SyncSender<Vec<u8>>,
    hasher: JoinHandle<[u8; 32]>,
}

impl<W: Write, F: FnMut(u64)> HashingWriter<W, F> {
    pub fn new(inner: W, report: F) -> Self {
        let (to_hasher, pieces) = sync_channel::<Vec<u8>>(WAITING);
        let hasher = std::thread::spawn(move || {
            let mut sha = Sha256::new();
            for piece in pieces {
                sha.update(&piece);
            }
            sha.finish()
        });
        Self { inner, report, to_hasher, hasher }
    }

    /// The digest of everything written.
    pub fn finish(self) -> Digest {
        drop(self.to_hasher);
        // The hasher cannot panic; if it did, the digest would be one that nothing has.
        Digest::from(self.hasher.join().unwrap_or_default())
    }
}

impl<W: Write, F: FnMut(u64)> Write for HashingWriter<W, F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.to_hasher.send(buf[..n].to_vec()).map_err(|_| io::Error::other("the hashing thread ended"))?;
        (self.report)(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
