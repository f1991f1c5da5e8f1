//! The checksum of file payloads in tar-split.

use crc_fast::{CrcAlgorithm, Digest};

/// Streaming CRC-64 with the ISO polynomial, as Go's `hash/crc64` computes it (moby.md §5).
///
/// Every byte of a layer passes through. `crc-fast` multiplies carry-less where the processor can, some ten times as
/// fast as the best tables.
#[derive(Debug, Clone)]
pub struct Crc64(Digest);

impl Crc64 {
    /// A checksum of nothing.
    pub fn new() -> Self {
        Crc64(Digest::new(CrcAlgorithm::Crc64GoIso))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_checksum_zero() {
        assert_eq!(Crc64::new().finish(), [0; 8]);
    }

    proptest! {
        #[test]
        fn equal_to_the_plain_table_implementation(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..6)) {
            let plain = crc::Crc::<u64>::new(&crc::CRC_64_GO_ISO);
            let mut ours = Crc64::new();
            pieces.iter().for_each(|piece| ours.update(piece));
            prop_assert_eq!(ours.finish(), plain.checksum(&pieces.concat()).to_be_bytes());
        }
    }
}
