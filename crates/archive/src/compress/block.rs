//! One block of a stream that is compressed in parallel: one gzip member, one zstd frame.
//!
//! # Why this library, these levels and these lengths
//! Three layers of a Debian build image (their first 60 MiB each), megabytes for each second of one processor:
//!
//! | gzip, blocks of 1 MiB | MB/s | of the size | zstd | MB/s | of the size |
//! | --- | --- | --- | --- | --- | --- |
//! | zlib-rs 1 | 203 | 50.1 % | 1, 1 MiB | 411 | 41.7 % |
//! | zlib-rs 2 | 116 | 41.9 % | 3, 1 MiB | 262 | 36.9 % |
//! | zlib-rs 6, as one stream | 62 | 39.4 % | 3, 4 MiB | 234 | 35.5 % |
//! | libdeflate 1 | 182 | 41.2 % | 3, 8 MiB | 211 | 35.3 % |
//! | libdeflate 2 | 133 | 39.4 % | 3, one frame | 220 | 35.0 % |
//! | libdeflate 6 | 82 | 37.8 % | 5, 4 MiB | 106 | 34.1 % |
//!
//! Docker and podman compress about as level 6 of zlib does. libdeflate's level 1 is three times as fast for 5 % more bytes,
//! its level 2 twice as fast for none. Blocks of 256 KiB cost 0.4 % more than those of 1 MiB, and 4 MiB save 0.1 %.
//!
//! Layers hold archives, packed objects and pictures: of the largest layer of that image a fifth cannot be made smaller,
//! and deflate is slowest there. Blocks that a sample shows to be so are stored: 252 MB/s instead of 184 for all of that
//! layer, and 0.13 % more bytes.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::{Compression, Method, member};

/// The level of gzip that nobody asked for.
pub(super) const GZIP_LEVEL: i32 = 1;
/// The level of zstd that nobody asked for; zstd's own.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// How long the blocks are. A block knows nothing of the one before it: the longer, the smaller the stream, but the
/// fewer threads have work, and the more memory.
pub(super) fn bytes(method: Method) -> usize {
    match method.kind() {
        Compression::Zstd => 4 << 20,
        Compression::None => 256 << 10,
        _ => 1 << 20,
    }
}

/// The sample of a block: so many pieces, of so many bytes each.
const SAMPLE: (usize, usize) = (8, 4 << 10);
/// A block whose sample shrinks to no less than this many hundredths is stored.
const DENSE: usize = 97;

/// Compresses blocks, and keeps for the next one what is expensive to make.
#[derive(Default)]
pub(super) struct Packer {
    gzip: Option<(i32, Compressor)>,
    stored: Option<Compressor>,
    zstd: Option<(i32, zstd::bulk::Compressor<'static>)>,
}

impl Packer {
    /// A member or frame with all of `block`.
    pub fn pack(&mut self, method: Method, block: Vec<u8>) -> io::Result<Vec<u8>> {
        match method.kind() {
            Compression::Gzip => self.gzip(method.level(), &block),
            Compression::Zstd => self.zstd(method.level(), &block),
            _ => Ok(block),
        }
    }

    fn gzip(&mut self, level: i32, block: &[u8]) -> io::Result<Vec<u8>> {
        let compressor = match &mut self.gzip {
            Some((known, compressor)) if *known == level => compressor,
            other => &mut other.insert((level, gzip_compressor(level)?)).1,
        };
        if !is_dense(compressor, block)? {
            return member::pack(compressor, block);
        }
        let storing = match &mut self.stored {
            Some(storing) => storing,
            none => none.insert(gzip_compressor(0)?),
        };
        member::pack(storing, block)
    }

    fn zstd(&mut self, level: i32, block: &[u8]) -> io::Result<Vec<u8>> {
        let compressor = match &mut self.zstd {
            Some((known, compressor)) if *known == level => compressor,
            other => &mut other.insert((level, zstd::bulk::Compressor::new(level)?)).1,
        };
        compressor.compress(block)
    }
}

fn gzip_compressor(level: i32) -> io::Result<Compressor> {
    let level = CompressionLvl::new(level)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no such level of gzip"))?;
    Ok(Compressor::new(level))
}

/// Whether a sample of the block gets hardly smaller.
fn is_dense(compressor: &mut Compressor, block: &[u8]) -> io::Result<bool> {
    let (pieces, length) = SAMPLE;
    let stride = block.len() / pieces;
    if stride < length {
        return Ok(false);
    }
    let mut out = vec![0; compressor.deflate_compress_bound(length)];
    let mut shrunk = 0;
    for at in 0..pieces {
        let piece = &block[at * stride..][..length];
        shrunk += compressor.deflate_compress(piece, &mut out).map_err(io::Error::other)?;
    }
    Ok(shrunk * 100 > pieces * length * DENSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_made_smaller_is_stored() {
        let mut state = 7_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let dense: Vec<u8> = (0..1 << 20).map(|_| noise()).collect();
        let text = b"so many words and so much to say ".repeat(31_000);
        let half = [&dense[..1 << 19], &text[..1 << 19]].concat();
        let method = Method::new(Compression::Gzip, None).unwrap();
        let pack = |block: &[u8]| Packer::default().pack(method, block.to_vec()).unwrap().len();
        assert!((dense.len()..dense.len() + 200).contains(&pack(&dense)));
        assert!(pack(&text) < text.len() / 50);
        assert!(pack(&half) < half.len() * 11 / 20);
    }
}
