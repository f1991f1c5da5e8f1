//! Extended attributes. By name they go through `/proc/self/fd`, because the kernel has `*xattrat` calls only since
//! 6.13; the last component is never followed.

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{self as rfs, XattrFlags};
use rustix::io::Errno;

use crate::dir::component;
use crate::error::{At, Error, Result};
use crate::record::{self, Op};
use crate::{AsFd, AsRawFd, raw};

fn magic(op: &'static str, dir: impl AsFd, name: &OsStr) -> Result<PathBuf> {
    let name = component(op, &dir, name)?;
    Ok(PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())).join(name))
}

/// The kernel's limit for a value and for a list of names (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const LONGEST: usize = 64 << 10;

/// Reads a value whose length is not known: most are short.
fn read_all(mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buf = vec![0; 256];
    let n = match call(&mut buf) {
        Err(Errno::RANGE) => {
            // An empty buffer would ask for the length; rustix answers 0 to it.
            buf = vec![0; LONGEST];
            call(&mut buf)?
        }
        other => other?,
    };
    buf.truncate(n);
    Ok(buf)
}

/// `None` for an attribute that is not there, or a file system that has none.
fn absent<T>(r: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match r {
        Ok(v) => Ok(Some(v)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(e),
    }
}

fn split(list: &[u8]) -> Vec<OsString> {
    list.split(|b| *b == 0).filter(|n| !n.is_empty()).map(|n| OsString::from_vec(n.to_vec())).collect()
}

/// The value of attribute `key` of `name`; `None` if it is not set.
pub fn get(dir: impl AsFd, name: &OsStr, key: &OsStr) -> Result<Option<Vec<u8>>> {
    let path = magic("read xattr of", &dir, name)?;
    absent(read_all(|buf| rfs::lgetxattr(&path, key, buf))).at_name("read xattr of", &dir, name)
}

/// The value of attribute `key` behind a descriptor; `None` if it is not set.
pub fn get_fd(fd: impl AsFd, key: &OsStr) -> Result<Option<Vec<u8>>> {
    absent(read_all(|buf| rfs::fgetxattr(&fd, key, buf))).at_fd("read xattr of", &fd)
}

/// The names of all attributes of `name`.
pub fn list(dir: impl AsFd, name: &OsStr) -> Result<Vec<OsString>> {
    let path = magic("list xattrs of", &dir, name)?;
    let all = absent(read_all(|buf| rfs::llistxattr(&path, buf))).at_name("list xattrs of", &dir, name)?;
    Ok(split(&all.unwrap_or_default()))
}

/// The names of all attributes behind a descriptor.
pub fn list_fd(fd: impl AsFd) -> Result<Vec<OsString>> {
    let all = absent(read_all(|buf| rfs::flistxattr(&fd, buf))).at_fd("list xattrs of", &fd)?;
    Ok(split(&all.unwrap_or_default()))
}

/// Sets attribute `key` of `name`.
pub fn set(dir: impl AsFd, name: &OsStr, key: &OsStr, value: &[u8]) -> Result<()> {
    let path = magic("set xattr of", &dir, name)?;
    rfs::lsetxattr(&path, key, value, XattrFlags::empty()).at_name("set xattr of", &dir, name)?;
    record::log(|| Op::SetXattr { path: record::path(&dir, name), key: key.into(), value: value.into() });
    Ok(())
}

/// Sets attribute `key` behind a descriptor.
pub fn set_fd(fd: impl AsFd, key: &OsStr, value: &[u8]) -> Result<()> {
    rfs::fsetxattr(&fd, key, value, XattrFlags::empty()).at_fd("set xattr of", &fd)?;
    record::log(|| Op::SetXattr { path: crate::error::path_of(&fd), key: key.into(), value: value.into() });
    Ok(())
}

/// Removes attribute `key` of `name`; one that is not set is no error.
pub fn remove(dir: impl AsFd, name: &OsStr, key: &OsStr) -> Result<()> {
    let path = magic("remove xattr of", &dir, name)?;
    match rfs::lremovexattr(&path, key) {
        Ok(()) => record::log(|| Op::RemoveXattr { path: record::path(&dir, name), key: key.into() }),
        Err(Errno::NODATA) => {}
        Err(e) => return Err(Error::new("remove xattr of", crate::error::path_of(&dir).join(name), e)),
    }
    Ok(())
}

/// Removes attribute `key` behind a descriptor; one that is not set is no error.
pub fn remove_fd(fd: impl AsFd, key: &OsStr) -> Result<()> {
    match rfs::fremovexattr(&fd, key) {
        Ok(()) => record::log(|| Op::RemoveXattr { path: crate::error::path_of(&fd), key: key.into() }),
        Err(Errno::NODATA) => {}
        Err(e) => return Err(e).at_fd("remove xattr of", &fd),
    }
    Ok(())
}

/// Whether `key` is an attribute that a union keeps for itself, the kernel's overlay or fuse-overlayfs; no archive may
/// set these (moby.md §15).
pub fn is_overlay(key: &OsStr) -> bool {
    let own: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"user.fuseoverlayfs."];
    own.iter().any(|prefix| key.as_bytes().starts_with(prefix))
}

/// The value of `key` of `name` in `dir` (of `dir` itself, `O_PATH` too, if the name is empty) in a caller's buffer, with
/// a bare error number: for a file system that asks often.
///
/// # Errors
/// `ENODATA`: not set. `ERANGE`: the buffer is too short.
pub fn get_at(dir: impl AsFd, name: &OsStr, key: &CStr, value: &mut [u8]) -> rustix::io::Result<usize> {
    match with_c_str(name, |name| raw::getxattrat(dir.as_fd(), name, key, value)) {
        Err(Errno::NOSYS) if !name.is_empty() => rfs::lgetxattr(by_proc(&dir, name), key, value),
        Err(Errno::NOSYS | Errno::BADF) if name.is_empty() => rfs::getxattr(by_proc(&dir, name), key, value),
        other => other,
    }
}

/// The names of all attributes, each with a NUL behind it, as [`get_at`].
///
/// # Errors
/// As [`get_at`].
pub fn list_at(dir: impl AsFd, name: &OsStr, list: &mut [u8]) -> rustix::io::Result<usize> {
    match with_c_str(name, |name| raw::listxattrat(dir.as_fd(), name, list)) {
        Err(Errno::NOSYS) if !name.is_empty() => rfs::llistxattr(by_proc(&dir, name), list),
        Err(Errno::NOSYS | Errno::BADF) if name.is_empty() => rfs::listxattr(by_proc(&dir, name), list),
        other => other,
    }
}

/// Before Linux 6.13; and for `O_PATH` descriptors, which the newer calls refuse. The path of a descriptor leads to its
/// inode and no further, even if that is a symbolic link.
fn by_proc(dir: impl AsFd, name: &OsStr) -> PathBuf {
    let dir = format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd());
    if name.is_empty() { PathBuf::from(dir) } else { PathBuf::from(dir).join(name) }
}

/// Hands over a name with a NUL behind it, without allocating.
pub(crate) fn with_c_str<T>(
    name: &OsStr,
    call: impl FnOnce(&CStr) -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    let mut buf = [0; 256];
    let bytes = name.as_bytes();
    buf.get_mut(..bytes.len())
        .filter(|_| bytes.len() < 256)
        .ok_or(Errno::NAMETOOLONG)?
        .copy_from_slice(bytes);
    call(CStr::from_bytes_until_nul(&buf).map_err(|_| Errno::INVAL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_lists_longer_than_the_first_buffer_are_read_whole() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let fd = crate::dir::open_path(dir.path()).unwrap();
        let file = crate::dir::create_file(&fd, OsStr::new("f"), 0o600).unwrap();
        let value = vec![b'v'; 1000];
        if let Err(e) = set_fd(&file, OsStr::new("user.long"), &value) {
            return eprintln!("skipped: no user attributes here ({e})");
        }
        for n in 0..20 {
            set_fd(&file, OsStr::new(&format!("user.{n:030}")), b"x").unwrap();
        }
        assert_eq!(get_fd(&file, OsStr::new("user.long")).unwrap(), Some(value.clone()));
        assert_eq!(get(&fd, OsStr::new("f"), OsStr::new("user.long")).unwrap(), Some(value));
        assert_eq!(list_fd(&file).unwrap().iter().filter(|n| n.as_bytes().starts_with(b"user.")).count(), 21);
        assert_eq!(get_fd(&file, OsStr::new("user.none")).unwrap(), None);
    }
}
