//! What the union asks of the layers' file systems: the few calls that read, each with a bare error number.
//!
//! Every name is one component below a descriptor, and no link is followed. A name may be empty: then the descriptor
//! itself is meant, `O_PATH` or not.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{self as rfs, AtFlags, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;

/// A result with the kernel's error number, which is what the caller of a system call gets.
pub type Result<T> = std::result::Result<T, Errno>;

/// One inode of a layer: a name in an open directory, or with an empty name what the descriptor stands for.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The directory, or the inode itself.
    pub dir: BorrowedFd<'a>,
    /// One component, or nothing.
    pub name: &'a OsStr,
}

impl<'a> At<'a> {
    /// The inode behind a descriptor.
    pub fn itself(fd: &'a OwnedFd) -> Self {
        Self { dir: fd.as_fd(), name: OsStr::new("") }
    }

    /// A name in a directory.
    pub fn child(dir: &'a OwnedFd, name: &'a OsStr) -> Self {
        Self { dir: dir.as_fd(), name }
    }

    /// Its attributes.
    pub fn stat(self) -> Result<Statx> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
        rfs::statx(self.dir, self.name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
    }

    /// A descriptor that stands for it, whatever it is (`O_PATH`).
    pub fn pin(self) -> Result<OwnedFd> {
        if self.name.is_empty() {
            return self.dir.try_clone_to_owned().map_err(|_| Errno::NFILE);
        }
        rfs::openat(self.dir, self.name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    }

    /// Opens the regular file that it is known to be.
    pub fn open(self, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        if self.name.is_empty() {
            return rfs::open(magic(self.dir), flags - OFlags::NOFOLLOW, Mode::empty());
        }
        rfs::openat(self.dir, self.name, flags | OFlags::NOFOLLOW, Mode::empty())
    }

    /// Opens the regular file that it is known to be for reading, and leaves its access time alone where that is
    /// allowed (rule 58).
    pub fn open_to_read(self) -> Result<OwnedFd> {
        match self.open(OFlags::RDONLY | OFlags::NOATIME) {
            Err(Errno::PERM) => self.open(OFlags::RDONLY),
            other => other,
        }
    }

    /// The value of an attribute in `value`; `None` if it is not set or the file system has none.
    pub fn xattr<'b>(self, key: &CStr, value: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        match sys::xattr::get_at(self.dir, self.name, key, value) {
            Ok(n) => Ok(value.get(..n)),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether an attribute is set.
    pub fn has_xattr(self, key: &CStr) -> Result<bool> {
        match sys::xattr::get_at(self.dir, self.name, key, &mut []) {
            Ok(_) => Ok(true),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The value of an attribute of any length.
    pub fn xattr_vec(self, key: &CStr) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; 256];
        loop {
            match sys::xattr::get_at(self.dir, self.name, key, &mut value) {
                Ok(n) => {
                    value.truncate(n);
                    return Ok(Some(value));
                }
                Err(Errno::RANGE) => {
                    let n = sys::xattr::get_at(self.dir, self.name, key, &mut [])?;
                    value.resize(n.max(value.len() * 2), 0);
                }
                Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// The names of all attributes, each with a NUL behind it, in `list`, or in a vector if that is too short.
    pub fn xattrs(self, list: &mut Vec<u8>) -> Result<&[u8]> {
        list.resize(list.capacity().max(256), 0);
        loop {
            match sys::xattr::list_at(self.dir, self.name, list) {
                Ok(n) => return Ok(list.get(..n).unwrap_or_default()),
                Err(Errno::RANGE) => {
                    let n = sys::xattr::list_at(self.dir, self.name, &mut [])?;
                    list.resize(n.max(list.len() * 2), 0);
                }
                Err(Errno::OPNOTSUPP) => return Ok(&[]),
                Err(e) => return Err(e),
            }
        }
    }

    /// The target of a symbolic link.
    pub fn link_target(self) -> Result<Vec<u8>> {
        Ok(rfs::readlinkat(self.dir, self.name, Vec::new())?.into_bytes())
    }
}

/// Opens the directory `name`: for reading, because the kernel has short ways for such descriptors, or for look-ups only
/// (`O_PATH`) where it may not be read.
pub fn open_dir(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rfs::openat(dir, name, flags | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS | Errno::PERM) => rfs::openat(dir, name, flags | OFlags::PATH, Mode::empty()),
        other => other,
    }
}

/// Opens a directory again, for reading its names.
pub fn open_for_listing(dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rfs::openat(dir, ".", flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| rfs::openat(dir, ".", flags, Mode::empty()))
}

/// The way to a descriptor's inode for calls that want a path. No name is looked up on it.
pub fn magic(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// The file type bits of a mode.
pub const TYPE: u32 = 0o170_000;
/// A directory.
pub const DIR: u32 = 0o040_000;
/// A regular file.
pub const FILE: u32 = 0o100_000;
/// A character device.
pub const CHAR: u32 = 0o020_000;
/// A symbolic link.
pub const LINK: u32 = 0o120_000;

/// The file type of an inode.
pub fn kind(stat: &Statx) -> u32 {
    u32::from(stat.stx_mode) & TYPE
}

/// One number for the device that an inode lies on.
pub fn device(stat: &Statx) -> u64 {
    rfs::makedev(stat.stx_dev_major, stat.stx_dev_minor)
}
