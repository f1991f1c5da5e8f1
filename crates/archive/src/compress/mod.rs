//! Compression of layers and archives: detection, decoding with limits, encoding.
//!
//! Everything is decoded in this process, so that nothing found inside an image can take part (CVE-2014-9357,
//! moby.md §15).

mod block;
mod decode;
mod encode;
mod member;
mod parallel;
#[cfg(test)]
mod tests;

use std::fmt;

pub use decode::{Limits, decoder, open, sniff};
pub use encode::{Encoder, encoder};
pub use parallel::{Feed, Method, Packed, Workers};

/// Bytes that [`Compression::detect`] wants to see.
pub const MAGIC_BYTES: usize = 6;

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
