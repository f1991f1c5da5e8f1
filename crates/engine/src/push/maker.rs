//! Makes the blob of a layer: from the driver's files, through the compressor, to whoever takes it.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use archive::compress::{Compression, Method, Workers};
use archive::digest::HashReader;
use model::Digest;
use model::progress::Progress;
use store::LayerRecord;

use super::Blob;
use crate::{Engine, Error, Result};

/// Makes blobs. One serves all layers of a push, so that its threads always have work.
pub(crate) struct Maker<'a> {
    engine: &'a Engine,
    workers: Workers,
    method: Method,
    stop: AtomicBool,
}

impl<'a> Maker<'a> {
    /// Starts a compressor for each processor.
    pub fn start(engine: &'a Engine, method: Method) -> Result<Self> {
        let workers = Workers::start(engine.threads)?;
        Ok(Self { engine, workers, method, stop: AtomicBool::new(false) })
    }

    /// The store's engine.
    pub fn engine(&self) -> &'a Engine {
        self.engine
    }

    /// Ends everything that is being made, with an error.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Lets `take` read the layer's blob, and says what that was. `take` sees the end of the blob only after the
    /// layer's digest was verified; a layer that is not what it was breaks off before.
    pub fn make<T>(
        &self,
        record: &LayerRecord,
        progress: &dyn Progress,
        take: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<(T, Blob)> {
        let (mut feed, packed) = self.workers.stream(self.method);
        let item = record.diff.short();
        thread::scope(|scope| {
            let maker = scope.spawn(move || {
                // The layer's size does not count the archive's headers.
                let mut left = record.size;
                self.engine.regenerate(record, |piece| {
                    let shown = (piece.len() as u64).min(left);
                    left -= shown;
                    progress.advance(&item, shown);
                    feed.write_all(piece).map_err(Error::io("compress", "a layer"))
                })?;
                feed.finish().map_err(Error::io("compress", "a layer"))
            });
            let mut stream = self.stoppable(packed);
            let taken = take(&mut stream);
            let (packed, digest, size) = stream.finish();
            let (broken, digest) = (packed.inner.is_broken(), Digest::from(digest));
            // Who makes it would wait for a reader of what was not taken.
            drop(packed);
            let made = maker.join().unwrap_or_else(|_| Err(Error::thread("reading", "a layer")));
            match (taken, made) {
                // What breaks off does so at both ends; the first one knows why.
                (_, Err(error)) if broken => Err(error),
                (taken, made) => {
                    Ok((taken?, made.map(|()| Blob { digest, size, kind: self.method.kind() })?))
                }
            }
        })
    }

    /// Lets `take` read a blob that lies in `file`, and says what that was.
    pub fn copy<T>(
        &self,
        file: impl Read,
        kind: Compression,
        take: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<(T, Blob)> {
        let mut stream = self.stoppable(file);
        let taken = take(&mut stream)?;
        let (_, digest, size) = stream.finish();
        Ok((taken, Blob { digest: digest.into(), size, kind }))
    }

    /// Hashes what is read, and breaks off when it is told to.
    fn stoppable<R: Read>(&self, inner: R) -> HashReader<Stoppable<'_, R>> {
        HashReader::new(Stoppable { inner, stop: &self.stop })
    }
}

/// Breaks off when it is told to.
struct Stoppable<'a, R> {
    inner: R,
    stop: &'a AtomicBool,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("another layer has failed"));
        }
        self.inner.read(buf)
    }
}
