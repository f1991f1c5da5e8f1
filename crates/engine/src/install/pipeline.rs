//! One layer's bytes on their way: read and inflated in one thread, hashed in a second, cut into entries and written
//! in a third. The slices are handed on, not copied; a handful of buffers goes round.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use archive::digest::Sha256;

use crate::error::{Error, Result};

/// Size of a buffer: large enough that a system call costs nothing beside it, small enough to stay in the cache
/// while three threads look at it.
const CHUNK: usize = 256 << 10;
/// Buffers in flight for one layer; with [`CHUNK`] this bounds the memory.
const CHUNKS: usize = 8;

/// A filled buffer, shared by the hasher and the writer; the last one to drop it gives it back.
struct Chunk {
    data: Vec<u8>,
    pool: Sender<Vec<u8>>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // The reader may have ended; then the buffer is just freed.
        let _ = self.pool.send(std::mem::take(&mut self.data));
    }
}

/// Reads `input` to its end, calls `consume` with every piece in order, and returns the SHA-256 of it all.
/// The first error ends all three threads.
pub(crate) fn run(
    input: Box<dyn Read + Send>,
    name: &str,
    mut consume: impl FnMut(&[u8]) -> Result<()>,
) -> Result<[u8; 32]> {
    let (pool_tx, pool_rx) = channel();
    for _ in 0..CHUNKS {
        let _ = pool_tx.send(Vec::new());
    }
    let (to_hash, hash_rx) = sync_channel::<Arc<Chunk>>(CHUNKS);
    let (to_write, write_rx) = sync_channel::<Arc<Chunk>>(CHUNKS);
    thread::scope(|scope| {
        let reader = scope.spawn(move || read(input, &pool_tx, &pool_rx, &[to_hash, to_write]));
        let hasher = scope.spawn(move || {
            let mut sha = Sha256::new();
            for chunk in hash_rx {
                sha.update(&chunk.data);
            }
            sha.finish()
        });
        let mut consumed = Ok(());
        for chunk in write_rx {
            consumed = consume(&chunk.data);
            if consumed.is_err() {
                break; // drops the receiver: the reader's next send fails and it ends
            }
        }
        let read = reader.join().unwrap_or_else(|_| Err(Error::thread("reading", name)));
        let digest = hasher.join().map_err(|_| Error::thread("hashing", name));
        consumed.and(read).and(digest)
    })
}

fn read(
    mut input: Box<dyn Read + Send>,
    pool_tx: &Sender<Vec<u8>>,
    pool_rx: &Receiver<Vec<u8>>,
    outputs: &[SyncSender<Arc<Chunk>>; 2],
) -> Result<()> {
    // Holding `pool_tx` keeps the channel open, so this waits until a buffer comes back.
    while let Ok(mut data) = pool_rx.recv() {
        data.resize(CHUNK, 0);
        let mut filled = 0;
        while filled < CHUNK {
            match input.read(&mut data[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // Which layer it is the caller adds.
                Err(e) => return Err(Error::io("read", "its archive")(e)),
            }
        }
        data.truncate(filled);
        if filled == 0 {
            break;
        }
        let chunk = Arc::new(Chunk { data, pool: pool_tx.clone() });
        if outputs.iter().any(|output| output.send(chunk.clone()).is_err()) {
            break; // the writer stopped; its error is the one to report
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_passes_once_and_in_order() {
        let data: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        let mut seen = Vec::new();
        let digest = run(Box::new(std::io::Cursor::new(data.clone())), "l", |piece| {
            seen.extend_from_slice(piece);
            Ok(())
        });
        assert_eq!(digest.unwrap(), Sha256::of(&data));
        assert_eq!(seen, data);
    }

    #[test]
    fn an_error_of_the_writer_ends_the_reader() {
        let endless = Box::new(std::io::repeat(0));
        let err = run(endless, "l", |_| Err(Error::invalid("enough"))).unwrap_err();
        assert!(err.to_string().contains("enough"));
    }

    #[test]
    fn an_error_of_the_reader_is_reported() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("bad sector"))
            }
        }
        let err = run(Box::new(Broken), "layer 3", |_| Ok(())).unwrap_err().to_string();
        assert_eq!(err, "read its archive: bad sector");
    }
}
