//! The checksum of file payloads in tar-split.

use crc::{CRC_64_GO_ISO, Crc, Digest, Table};

// The sixteen-table form is several times as fast as the default, and every byte of a layer passes through.
static TABLE: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_GO_ISO);

/// Streaming CRC-64 with the ISO polynomial, as Go's `hash/crc64` computes it (moby.md §5).
#[derive(Clone)]
pub struct Crc64(Digest<'static, u64, Table<16>>);

impl Crc64 {
    /// A checksum of nothing.
    pub fn new() -> Self {
        Crc64(TABLE.digest())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum as tar-split stores it: eight bytes, most significant first.
    pub fn finish(self) -> [u8; 8] {
        self.0.finalize().to_be_bytes()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Crc64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crc64").finish_non_exhaustive()
    }
}
