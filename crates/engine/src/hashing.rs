//! A writer that hashes what it passes on, in a thread of its own.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use archive::digest::Sha256;
use model::Digest;

/// What is written is passed on in pieces of this size: a layer is thousands of small headers.
const PIECE: usize = 256 << 10;
/// Pieces that may wait for the hasher; with [`PIECE`] this bounds the memory to 4 MiB.
const WAITING: usize = 16;

/// Passes what is written on to `inner`, tells `report` how many bytes, and hashes meanwhile.
pub(crate) struct HashingWriter<W, F> {
    inner: W,
    report: F,
    piece: Vec<u8>,
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
        Self { inner, report, piece: Vec::with_capacity(PIECE), to_hasher, hasher }
    }

    /// Passes on what is still held back, and answers with the digest of everything written.
    pub fn finish(mut self) -> io::Result<Digest> {
        self.flush()?;
        drop(self.to_hasher);
        let digest = self.hasher.join().map_err(|_| io::Error::other("the hashing thread panicked"))?;
        Ok(Digest::from(digest))
    }
}

impl<W: Write, F: FnMut(u64)> Write for HashingWriter<W, F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        let n = buf.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.inner.write_all(&piece)?;
        (self.report)(piece.len() as u64);
        self.to_hasher.send(piece).map_err(|_| io::Error::other("the hashing thread ended"))
    }
}
