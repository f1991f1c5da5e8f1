//! Headers of a layer's entries.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use archive::tar::{Entry, Kind, SparseMap, Timestamp};
use sys::{FileKind, Meta, OwnedFd, Time, file, xattr};

use crate::error::Result;

/// Holes of less than this are written out: sparse entries are not understood everywhere (layer.md, "File
/// Attributes").
const WORTH_A_MAP: u64 = 1 << 20;

/// Attributes of something that is no longer there.
pub(super) const NOBODY: Meta = Meta {
    kind: FileKind::File,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    allocated: 0,
    nlink: 1,
    ino: 0,
    dev: 0,
    rdev: (0, 0),
    atime: Time { secs: 0, nanos: 0 },
    mtime: Time { secs: 0, nanos: 0 },
    ctime: Time { secs: 0, nanos: 0 },
};

/// An entry with what all kinds have.
pub(super) fn entry(path: &Path, kind: Kind, meta: &Meta) -> Entry {
    let mut entry = Entry::new(path.as_os_str().as_bytes(), kind);
    entry.mode = meta.mode;
    entry.uid = meta.uid;
    entry.gid = meta.gid;
    entry.mtime = Timestamp { secs: meta.mtime.secs, nanos: meta.mtime.nanos };
    entry
}

/// Fills in size and map of a regular file, and says what parts of it are to be written.
pub(super) fn content(fd: &OwnedFd, meta: &Meta, entry: &mut Entry) -> Result<Vec<(u64, u64)>> {
    entry.size = meta.size;
    if meta.size.saturating_sub(meta.allocated) >= WORTH_A_MAP {
        let extents = file::extents(fd, meta.size)?;
        let data = extents.iter().map(|(_, length)| length).sum();
        if meta.size - data >= WORTH_A_MAP {
            entry.size = data;
            entry.sparse = Some(SparseMap { extents: extents.clone(), real_size: meta.size });
            return Ok(extents);
        }
    }
    Ok(vec![(0, meta.size)])
}

/// Whether an attribute is part of a file, and neither OverlayFS's note nor this host's label.
pub(super) fn belongs_to_layer(key: &OsStr) -> bool {
    !xattr::is_overlay(key) && key != "security.selinux" && key != "security.evm" && key != "security.ima"
}

/// A capability of revision 3 is bound to the user namespace that set it; revision 2 is the same for everybody
/// (capabilities(7), "File capability extended attribute versioning"). Docker writes revision 2.
pub(super) fn without_root_id(mut value: Vec<u8>) -> Vec<u8> {
    const REVISION: usize = 3;
    const ROOT_ID: usize = 20;
    if value.len() == 24 && value[REVISION] == 3 {
        value.truncate(ROOT_ID);
        value[REVISION] = 2;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_of_revision_3_become_revision_2() {
        let mut v3 = vec![1, 0, 0, 3, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut v2 = v3.clone();
        v2[3] = 2;
        v3.extend(1000_u32.to_le_bytes());
        assert_eq!(without_root_id(v3), v2);
        assert_eq!(without_root_id(v2.clone()), v2);
    }
}
