//! File handles: a number for an inode that outlives descriptors and mounts (name_to_handle_at(2)).

use std::ffi::OsStr;

use rustix::io::Errno;

use crate::raw::{self, FileHandle};
use crate::xattr::with_c_str;
use crate::{AsFd, OwnedFd};

/// The handle of one inode of one file system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle {
    /// The kernel's `handle_type`.
    pub kind: i32,
    /// Its bytes, which mean something to the file system only.
    pub bytes: Vec<u8>,
}

/// The handle of `name` in `dir`, or of `dir` itself if the name is empty.
///
/// # Errors
/// `EOPNOTSUPP`: the file system has none.
pub fn of(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Handle> {
    let found = with_c_str(name, |name| raw::name_to_handle(dir.as_fd(), name))?;
    let len = usize::try_from(found.len).map_err(|_| Errno::OVERFLOW)?;
    let bytes = found.bytes.get(..len).ok_or(Errno::OVERFLOW)?;
    Ok(Handle { kind: found.kind, bytes: bytes.to_vec() })
}

/// Opens (`O_PATH`) the inode of a handle. `mount` is an open file or directory of its file system, not `O_PATH`.
///
/// # Errors
/// `ESTALE`: there is no such inode any more. `EPERM`: this process may not.
pub fn open(mount: impl AsFd, handle: &Handle) -> rustix::io::Result<OwnedFd> {
    let mut raw = FileHandle { len: 0, kind: handle.kind, bytes: [0; 128] };
    raw.bytes.get_mut(..handle.bytes.len()).ok_or(Errno::INVAL)?.copy_from_slice(&handle.bytes);
    raw.len = u32::try_from(handle.bytes.len()).map_err(|_| Errno::INVAL)?;
    raw::open_by_handle(mount.as_fd(), &mut raw)
}

/// The UUID of a file system, if it tells; `fd` is an open file or directory of it, not `O_PATH`.
pub fn fs_uuid(fd: impl AsFd) -> Option<[u8; 16]> {
    raw::fs_uuid(fd.as_fd()).ok()
}
