//! Bytes that one thread makes, a second hashes and a third writes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use archive::digest::Sha256;
use model::Digest;

use crate::error::{Error, Result};

/// What is made is passed on in pieces of this size: a layer is thousands of small headers.
const PIECE: usize = 256 << 10;
/// Pieces that may wait for each of the two; with [`PIECE`] this bounds the memory to 4 MiB.
const WAITING: usize = 8;

/// Calls `produce` in a thread of its own, gives what it writes to `consume` in this one, and answers with the digest
/// of it all. The first error ends all of it.
pub(crate) fn pass_on(
    produce: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    mut consume: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Digest> {
    let (to_consumer, for_consumer) = sync_channel::<Arc<Vec<u8>>>(WAITING);
    let (to_hasher, for_hasher) = sync_channel::<Arc<Vec<u8>>>(WAITING);
    thread::scope(|scope| {
        let producer = scope.spawn(move || {
            let mut pieces = Pieces { piece: Vec::with_capacity(PIECE), outputs: [to_consumer, to_hasher] };
            produce(&mut pieces)?;
            pieces.flush().map_err(Error::io("pass on", "a layer"))
        });
        let hasher = scope.spawn(move || {
            let mut sha = Sha256::new();
            for piece in for_hasher {
                sha.update(&piece);
            }
            sha.finish()
        });
        let consumed = for_consumer.into_iter().try_for_each(|piece| consume(&piece));
        let produced = producer.join().unwrap_or_else(|_| Err(Error::thread("reading", "a layer")));
        let digest = hasher.join().map_err(|_| Error::thread("hashing", "a layer"));
        consumed.and(produced).and(digest).map(Digest::from)
    })
}

/// Cuts what is written into pieces. A receiver that is gone has failed, and its error is the one to report.
struct Pieces {
    piece: Vec<u8>,
    outputs: [SyncSender<Arc<Vec<u8>>>; 2],
}

impl Write for Pieces {
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
        let piece = Arc::new(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE)));
        for output in &self.outputs {
            output.send(piece.clone()).map_err(|_| io::Error::other("nobody takes it any more"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_hashed_and_written_once_and_in_order() {
        let data: Vec<u8> = (0..1_000_000u32).map(|i| (i % 253) as u8).collect();
        let mut seen = Vec::new();
        let produce = |out: &mut dyn Write| {
            data.chunks(777).try_for_each(|part| out.write_all(part)).map_err(Error::io("write", "test"))
        };
        let digest = pass_on(produce, |piece| {
            seen.extend_from_slice(piece);
            Ok(())
        });
        assert_eq!(digest.unwrap(), Digest::of(&data));
        assert!(seen == data);
    }

    #[test]
    fn the_first_error_is_the_one_that_is_told() {
        let endless = |out: &mut dyn Write| loop {
            out.write_all(&[0; 4096]).map_err(Error::io("write", "test"))?;
        };
        let error = pass_on(endless, |_| Err(Error::invalid("disk full"))).unwrap_err();
        assert_eq!(error.to_string(), "disk full");
        let error = pass_on(|_| Err(Error::invalid("bad sector")), |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "bad sector");
    }
}
