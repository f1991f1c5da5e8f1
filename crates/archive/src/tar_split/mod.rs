//! Docker's tar-split records: everything of a layer's archive except the payloads of its files, from which the
//! archive can be put together again byte by byte (moby.md §5).
//!
//! The stream is gzip of one JSON object a line:
//!
//! - `{"type":2,"payload":"<base64>","position":0}`: bytes of the archive between two payloads;
//! - `{"type":1,"name":"etc/passwd","size":12,"payload":"<base64 of the CRC-64>","position":1}`: an entry, whose
//!   payload stands here. Without payload `size` is absent and `payload` null. A name that is not UTF-8 is in
//!   `name_raw`, base64.
//!
//! Lines are those of tar-split 0.12 in Docker 25 and later; Docker 20.10 added an empty segment at the end.
//! Intended differences:
//!
//! - the payload of a sparse file is kept in segments, after an entry of size 0, because Docker's own way (the
//!   expanded size and checksum) cannot be put together again; Docker assembles ours;
//! - a size that a link, device or directory claims is not recorded, for the same reason;
//! - a second global header of the same name has no entry of its own, instead of being refused as duplicate;
//! - incomplete padding at the very end is recorded;
//! - segments longer than [`SEGMENT_BYTES`] are cut.

mod clean;
mod packer;
mod unpacker;

use std::io::{BufReader, Read, Write};

use flate2::GzBuilder;
use flate2::bufread::MultiGzDecoder;
pub use flate2::write::GzEncoder;

pub(crate) use clean::clean;
pub use packer::Packer;
pub use unpacker::{Item, Unpacker};

/// Longest segment between two files. Docker sets none, but reads at most a few extension headers of 1 MiB there.
pub const SEGMENT_BYTES: usize = 4 << 20;

/// Longest segment after the end of the archive, as in Docker.
pub const TAIL_SEGMENT_BYTES: usize = 1 << 20;

/// Compresses records as they are stored: no name, no time, operating system unknown, as Go writes gzip. The level
/// is the fastest one; the records are mostly zeros.
pub fn gzip<W: Write>(out: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).operating_system(255).write(out, flate2::Compression::fast())
}

/// Decompresses stored records.
pub fn gunzip<R: Read>(input: R) -> MultiGzDecoder<BufReader<R>> {
    MultiGzDecoder::new(BufReader::with_capacity(64 << 10, input))
}
