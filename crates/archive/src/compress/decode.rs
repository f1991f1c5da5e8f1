//! Decoding, with limits on what a stream may ask for.
//!
//! A gzip stream of others is inflated on one thread. Two-pass decoders that use several (pugz, rapidgzip) were looked
//! at, and not taken: they want the whole file, while here it comes as it is downloaded, and two processors are busy
//! anyway. Of a layer of 812 MB, inflating takes 1.2 s of one (rapidgzip-core with two threads: 1.3 s) and the DiffID
//! 0.5 s, and beside them the blob's digest is computed, the tar is cut and the files are made. Our own members are
//! inflated faster, see `member`.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Compression, MAGIC_BYTES, member};
use crate::error::{Error, Result};

/// Compressed input is read in pieces of this size.
const BUFFER_BYTES: usize = 128 << 10;

/// What a compressed stream may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that come out.
    pub max_output: u64,
    /// Bytes that come out for each byte that goes in, judged from `ratio_from` on.
    pub max_ratio: u64,
    /// Bytes that may come out before `max_ratio` is looked at: images do contain large empty files.
    pub ratio_from: u64,
    /// Memory in bytes for the window of zstd and the dictionary of xz.
    pub max_window: u64,
}

impl Default for Limits {
    /// 1 TiB; 250 to 1 beyond 4 GiB; windows of 128 MiB, which every preset of `zstd` and `xz` keeps to.
    fn default() -> Self {
        Limits { max_output: 1 << 40, max_ratio: 250, ratio_from: 4 << 30, max_window: 128 << 20 }
    }
}

/// Decodes `input`. A passed limit shows as a read error that holds [`Error::Bomb`]; a cut-off stream is an error
/// too. Bytes after the compressed stream are an error, except where the format calls them another stream.
pub fn decoder<R: Read + Send + 'static>(
    kind: Compression,
    input: R,
    limits: Limits,
) -> Result<Box<dyn Read + Send>> {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: input, taken: Arc::clone(&taken) };
    let buffered = BufReader::with_capacity(BUFFER_BYTES, counted);
    let inner: Box<dyn Read + Send> = match kind {
        Compression::None => return Ok(Box::new(buffered.into_inner().inner)),
        Compression::Gzip => Box::new(member::Reader::new(buffered)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered)),
        Compression::Xz => {
            let kibibytes = u32::try_from(limits.max_window >> 10).unwrap_or(u32::MAX);
            // The limit counts the decoder's own tables as well.
            let kibibytes = kibibytes.saturating_add(1 << 10);
            Box::new(lzma_rust2::XzReader::new_mem_limit(buffered, true, kibibytes))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)
                .map_err(Error::io("starting zstd decoder"))?;
            // The format allows 10 to 41; libzstd accepts up to 31.
            let log = limits.max_window.max(1).ilog2().clamp(10, 31);
            decoder.window_log_max(log).map_err(Error::io("starting zstd decoder"))?;
            Box::new(decoder)
        }
    };
    Ok(Box::new(Guard { inner, kind, limits, taken, given: 0 }))
}

/// Detects the compression of `input` by its first bytes and decodes it.
pub fn open<R: Read + Send + 'static>(
    mut input: R,
    limits: Limits,
) -> Result<(Compression, Box<dyn Read + Send>)> {
    let (kind, start) = sniff(&mut input).map_err(Error::io("reading the start of a stream"))?;
    Ok((kind, decoder(kind, Cursor::new(start).chain(input), limits)?))
}

/// Recognises a stream by its first bytes, which are read from it and returned.
pub fn sniff(input: impl Read) -> io::Result<(Compression, Vec<u8>)> {
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    input.take(MAGIC_BYTES as u64).read_to_end(&mut start)?;
    Ok((Compression::detect(&start), start))
}

/// Counts compressed bytes.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Stops a stream that grows beyond the limits.
struct Guard {
    inner: Box<dyn Read + Send>,
    kind: Compression,
    limits: Limits,
    taken: Arc<AtomicU64>,
    given: u64,
}

impl Guard {
    fn passed_limit(&self) -> Option<(&'static str, u64)> {
        let Limits { max_output, max_ratio, ratio_from, .. } = self.limits;
        let allowed = self.taken.load(Ordering::Relaxed).saturating_mul(max_ratio).max(ratio_from);
        if self.given > max_output {
            Some(("max_output", max_output))
        } else if self.given > allowed {
            Some(("max_ratio", max_ratio))
        } else {
            None
        }
    }
}

impl Read for Guard {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.given += n as u64;
        match self.passed_limit() {
            None => Ok(n),
            Some((limit_name, limit)) => {
                Err(io::Error::other(Error::Bomb { kind: self.kind.name(), limit_name, limit }))
            }
        }
    }
}
