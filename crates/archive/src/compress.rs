//! Compression of layers and archives: detection, decoding with limits, encoding.
//!
//! Everything is decoded in this process, so that nothing found inside an image can take part (CVE-2014-9357,
//! moby.md §15).

use std::fmt;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Bytes that [`Compression::detect`] wants to see.
pub const MAGIC_BYTES: usize = 6;

/// Compressed input is read in pieces of this size.
const BUFFER_BYTES: usize = 128 << 10;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all, or in a way that is not known here.
    #[default]
    None,
    /// RFC 1952; several members count as one stream.
    Gzip,
    /// Several streams count as one.
    Bzip2,
    /// Several streams count as one.
    Xz,
    /// RFC 8878; several frames count as one stream.
    Zstd,
}

impl Compression {
    /// Recognises a stream by its first [`MAGIC_BYTES`] bytes (fewer if it is shorter).
    pub fn detect(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
            [b'B', b'Z', b'h', ..] => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Compression::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // Skippable frames: zstd:chunked and parallel writers may begin with one.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// Name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "uncompressed",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
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
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    let mut head = (&mut input).take(MAGIC_BYTES as u64);
    head.read_to_end(&mut start).map_err(Error::io("reading the start of a stream"))?;
    let kind = Compression::detect(&start);
    Ok((kind, decoder(kind, Cursor::new(start).chain(input), limits)?))
}

/// Starts to compress into `out` with the method's default level. Only gzip and zstd are written.
pub fn encoder<W: Write>(kind: Compression, out: W) -> Result<Encoder<W>> {
    match kind {
        Compression::None => Ok(Encoder::None(out)),
        Compression::Gzip => {
            let header = flate2::GzBuilder::new().mtime(0).operating_system(255);
            Ok(Encoder::Gzip(header.write(out, flate2::Compression::default())))
        }
        Compression::Zstd => zstd::stream::write::Encoder::new(out, 0)
            .map(Encoder::Zstd)
            .map_err(Error::io("starting zstd encoder")),
        Compression::Bzip2 | Compression::Xz => Err(Error::Io {
            operation: "starting encoder",
            source: io::Error::new(io::ErrorKind::Unsupported, format!("{kind} is only read, not written")),
        }),
    }
}

/// Compresses what is written to it.
pub enum Encoder<W: Write> {
    /// Passes everything on.
    None(W),
    /// gzip.
    Gzip(flate2::write::GzEncoder<W>),
    /// zstd.
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Writes the end of the stream and gives the output back, not flushed.
    pub fn finish(self) -> Result<W> {
        match self {
            Encoder::None(out) => Ok(out),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
        .map_err(Error::io("compressing"))
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::None(out) => out.write(buf),
            Encoder::Gzip(encoder) => encoder.write(buf),
            Encoder::Zstd(encoder) => encoder.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::None(out) => out.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}

impl<W: Write> fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(kind: Compression, bytes: &[u8]) -> Vec<u8> {
        match kind {
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(1);
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = encoder(kind, Vec::new()).unwrap();
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn decompress(bytes: Vec<u8>, limits: Limits) -> (Compression, io::Result<Vec<u8>>) {
        let (kind, mut decoder) = open(Cursor::new(bytes), limits).unwrap();
        let mut out = Vec::new();
        (kind, decoder.read_to_end(&mut out).map(|_| out))
    }

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Bzip2, Compression::Xz, Compression::Zstd];

    #[test]
    fn every_kind_is_detected_and_decoded_also_in_several_parts() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for kind in ALL {
            let (first, second) = text.split_at(300_001);
            let parts = [compressed(kind, first), compressed(kind, second)].concat();
            let (found, out) = decompress(parts, Limits::default());
            assert_eq!(found, kind);
            assert!(out.unwrap() == text, "{kind}");
        }
    }

    #[test]
    fn zstd_may_begin_with_a_skippable_frame() {
        let mut stream = vec![0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        stream.extend(compressed(Compression::Zstd, b"hello"));
        let (kind, out) = decompress(stream, Limits::default());
        assert_eq!((kind, out.unwrap()), (Compression::Zstd, b"hello".to_vec()));
    }

    #[test]
    fn short_and_empty_streams_are_plain() {
        for start in [&b""[..], b"B", b"\x1f\x8b", b"\xfd7zXZ"] {
            let (kind, out) = decompress(start.to_vec(), Limits::default());
            assert_eq!((kind, out.unwrap()), (Compression::None, start.to_vec()));
        }
    }

    #[test]
    fn truncated_streams_are_errors() {
        for kind in &ALL[1..] {
            let mut stream = compressed(*kind, &[7; 100_000]);
            stream.truncate(stream.len() - 5);
            let (found, out) = decompress(stream, Limits::default());
            assert_eq!(found, *kind);
            assert!(out.is_err(), "{kind}");
        }
    }

    #[test]
    fn bombs_are_stopped_and_the_limit_is_named() {
        let limit = |limits| {
            ALL[1..].iter().map(move |kind| {
                let (_, out) = decompress(compressed(*kind, &vec![0; 4 << 20]), limits);
                out.unwrap_err().to_string()
            })
        };
        for message in limit(Limits { max_output: 1 << 20, ..Limits::default() }) {
            assert!(message.contains("max_output = 1048576"), "{message}");
        }
        for message in limit(Limits { ratio_from: 1 << 20, max_ratio: 20, ..Limits::default() }) {
            assert!(message.contains("max_ratio = 20"), "{message}");
        }
    }

    #[test]
    fn large_windows_need_a_larger_limit() {
        let limits = Limits { max_window: 1 << 20, ..Limits::default() };
        let noise: Vec<u8> =
            (0..3_000_000_u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(23).unwrap();
        encoder.write_all(&noise).unwrap();
        let zstd = encoder.finish().unwrap();
        let options = lzma_rust2::XzOptions::with_preset(6);
        let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        encoder.write_all(&noise[..1000]).unwrap();
        let xz = encoder.finish().unwrap();
        for stream in [zstd, xz] {
            assert!(decompress(stream.clone(), limits).1.is_err());
            assert!(decompress(stream, Limits::default()).1.is_ok());
        }
    }

    #[test]
    fn garbage_after_a_gzip_stream_is_an_error() {
        let mut stream = compressed(Compression::Gzip, b"hello");
        stream.extend_from_slice(b"no gzip member");
        assert!(decompress(stream, Limits::default()).1.is_err());
    }

    #[test]
    fn encoders_exist_for_what_is_pushed_only() {
        assert!(encoder(Compression::Xz, Vec::new()).is_err());
        assert!(encoder(Compression::Bzip2, Vec::new()).is_err());
    }
}
