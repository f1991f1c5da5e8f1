//! Encoding on one thread, as one stream.

use std::fmt;
use std::io::{self, Write};

use super::Compression;
use crate::error::{Error, Result};

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
