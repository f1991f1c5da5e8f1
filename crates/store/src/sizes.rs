//! Remembered sizes of writable layers, so that `ps --size` walks only what changed.
//!
//! What makes a size still right is the caller's to know: it hands over a stamp of a few bytes and gets the size back
//! for the same stamp only. Nothing is synced: a lost or torn file is a size that is measured again.

use model::MountId;

use crate::error::Result;
use crate::root::DataRoot;
use crate::small::{absent, os};

/// The remembered sizes, `layercake/sizes/<mount id>`: the size (8 bytes, little-endian), a check sum of size and
/// stamp (8 bytes), the stamp.
#[derive(Debug, Clone, Copy)]
pub struct Sizes<'a> {
    pub(crate) root: &'a DataRoot,
}

impl Sizes<'_> {
    /// The size that was remembered with exactly this stamp.
    pub fn get(&self, id: &MountId, stamp: &[u8]) -> Option<u64> {
        let bytes = sys::atomic::read(self.root.dirs.sizes.as_ref()?, os(&id.to_string())).ok()?;
        let size = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        (bytes == encode(size, stamp)).then_some(size)
    }

    /// Remembers a size. The one thing that is also written in a root that is open for reading: only into a directory
    /// that layercake made there before, and nobody else looks at it.
    ///
    /// # Errors
    /// System calls. A caller can ignore them.
    pub fn put(&self, id: &MountId, stamp: &[u8], size: u64) -> Result<()> {
        let dirs = &self.root.dirs;
        let (Some(sizes), Some(private)) = (&dirs.sizes, &dirs.private) else { return Ok(()) };
        // A sweep may take it for a dead command's, for no lock is held here. Then the size is not remembered.
        let data = encode(size, stamp);
        Ok(sys::atomic::replace_by_unsynced(private, sizes, os(&id.to_string()), 0o600, &data)?)
    }

    /// Forgets a size, with the writable layer.
    ///
    /// # Errors
    /// System calls. A caller can ignore them.
    pub fn forget(&self, id: &MountId) -> Result<()> {
        if let Ok(sizes) = self.root.writable(&self.root.dirs.sizes) {
            absent(sys::dir::unlink(sizes, os(&id.to_string())))?;
        }
        Ok(())
    }
}

fn encode(size: u64, stamp: &[u8]) -> Vec<u8> {
    let mut bytes = size.to_le_bytes().to_vec();
    bytes.extend(check_sum(size, stamp).to_le_bytes());
    bytes.extend(stamp);
    bytes
}

/// FNV-1a: after a power cut the file may have its length and not its content.
fn check_sum(size: u64, stamp: &[u8]) -> u64 {
    let bytes = size.to_le_bytes();
    bytes
        .iter()
        .chain(stamp)
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_known_for_its_stamp_only() {
        let tmp = tempfile::tempdir().unwrap();
        let root = DataRoot::create(tmp.path(), "vfs").unwrap();
        let id = MountId::from_random([7; 32]);
        let sizes = root.sizes();
        assert_eq!(sizes.get(&id, b"a"), None);
        sizes.put(&id, b"a", 12).unwrap();
        assert_eq!((sizes.get(&id, b"a"), sizes.get(&id, b"b"), sizes.get(&id, b"")), (Some(12), None, None));
        let file = tmp.path().join("layercake/sizes").join(id.to_string());
        for torn in [&[0; 17][..], b"", b"x", &[0; 8]] {
            std::fs::write(&file, torn).unwrap();
            assert_eq!(sizes.get(&id, b"\0"), None);
        }
        sizes.forget(&id).unwrap();
        sizes.forget(&id).unwrap();
    }
}
