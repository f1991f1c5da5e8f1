//! Files as entries of an archive: header, sparse map, attributes. The same for a layer and for what `export` and `cp`
//! write.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use archive::tar::{Entry, Kind, SparseMap, Timestamp};
use sys::{FileKind, Meta, OwnedFd, dir, file, xattr};

use crate::error::Result;

/// Bytes that a file is read in at a time.
pub const BUFFER: usize = 256 << 10;

/// Holes of less than this are written out: sparse entries are not understood everywhere (layer.md, "File
/// Attributes").
const WORTH_A_MAP: u64 = 1 << 20;

/// An entry with what all kinds have.
pub fn header(name: &[u8], kind: Kind, meta: &Meta) -> Entry {
    let mut entry = Entry::new(name, kind);
    entry.mode = meta.mode;
    entry.uid = meta.uid;
    entry.gid = meta.gid;
    entry.mtime = Timestamp { secs: meta.mtime.secs, nanos: meta.mtime.nanos };
    entry
}

/// The entry of an open regular file, and the parts of it, as (offset, length), that are its data: holes that are worth
/// it become a sparse map.
///
/// # Errors
/// System calls.
pub fn regular(name: &[u8], fd: &OwnedFd, meta: &Meta) -> Result<(Entry, Vec<(u64, u64)>)> {
    let mut entry = header(name, Kind::Regular, meta);
    entry.size = meta.size;
    entry.xattrs = xattrs(xattr::list_fd(fd)?, |key| xattr::get_fd(fd, key))?;
    if meta.size.saturating_sub(meta.allocated) >= WORTH_A_MAP {
        let extents = file::extents(fd, meta.size)?;
        let data = extents.iter().map(|(_, length)| length).sum();
        if meta.size - data >= WORTH_A_MAP {
            entry.size = data;
            entry.sparse = Some(SparseMap { extents: extents.clone(), real_size: meta.size });
            return Ok((entry, extents));
        }
    }
    Ok((entry, vec![(0, meta.size)]))
}

/// The entry of an open directory; its name ends in a slash.
///
/// # Errors
/// System calls.
pub fn directory(name: &[u8], fd: &OwnedFd, meta: &Meta) -> Result<Entry> {
    let mut entry = header(name, Kind::Directory, meta);
    if !name.ends_with(b"/") {
        entry.path.push(b'/');
    }
    entry.xattrs = xattrs(xattr::list_fd(fd)?, |key| xattr::get_fd(fd, key))?;
    Ok(entry)
}

/// The entry of `leaf` in the directory `parent`: a link, a device or a FIFO.
///
/// # Errors
/// System calls.
pub fn special(name: &[u8], parent: &OwnedFd, leaf: &OsStr, meta: &Meta) -> Result<Entry> {
    let kind = match meta.kind {
        FileKind::Symlink => Kind::Symlink,
        FileKind::CharDevice => Kind::CharDevice,
        FileKind::BlockDevice => Kind::BlockDevice,
        _ => Kind::Fifo,
    };
    let mut entry = header(name, kind, meta);
    entry.xattrs = xattrs(xattr::list(parent, leaf)?, |key| xattr::get(parent, leaf, key))?;
    match kind {
        Kind::Symlink => entry.link = dir::read_link(parent, leaf)?.into_vec(),
        Kind::Fifo => {}
        _ => (entry.devmajor, entry.devminor) = meta.rdev,
    }
    Ok(entry)
}

/// The attributes that are part of a file, and neither OverlayFS's notes nor this host's labels. Sorted by name.
fn xattrs(
    keys: Vec<OsString>,
    get: impl Fn(&OsStr) -> sys::Result<Option<Vec<u8>>>,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let host_label =
        |key: &OsStr| key == "security.selinux" || key == "security.evm" || key == "security.ima";
    let mut kept = Vec::new();
    for key in keys {
        if !xattr::is_overlay(&key)
            && !host_label(&key)
            && let Some(value) = get(&key)?
        {
            let value = if key == "security.capability" { without_root_id(value) } else { value };
            kept.push((key.into_vec(), value));
        }
    }
    kept.sort_unstable();
    Ok(kept)
}

/// A capability of revision 3 is bound to the user namespace that set it; revision 2 is the same for everybody
/// (capabilities(7), "File capability extended attribute versioning"). Docker writes revision 2.
fn without_root_id(mut value: Vec<u8>) -> Vec<u8> {
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
