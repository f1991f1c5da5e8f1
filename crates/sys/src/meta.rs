//! Owner, mode and times of files, as the layer formats see them. Nothing here follows a last symbolic link.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::{self as rfs, AtFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::AsFd;
use crate::dir::component;
use crate::error::{At, Result};
use crate::record::{self, Op};

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the kernel's own seven words
pub enum FileKind {
    File,
    Dir,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl FileKind {
    pub(crate) fn from_rustix(t: FileType) -> Option<Self> {
        Some(match t {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Symlink,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::Unknown => return None,
        })
    }

    pub(crate) fn to_rustix(self) -> FileType {
        match self {
            Self::File => FileType::RegularFile,
            Self::Dir => FileType::Directory,
            Self::Symlink => FileType::Symlink,
            Self::CharDevice => FileType::CharacterDevice,
            Self::BlockDevice => FileType::BlockDevice,
            Self::Fifo => FileType::Fifo,
            Self::Socket => FileType::Socket,
        }
    }
}

/// A point in time of an inode: seconds since 1970 (negative before) and nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since 1970.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

/// An inode's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Kind of file.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes (of a symbolic link: of its content).
    pub size: u64,
    /// Bytes that the file system has allocated.
    pub allocated: u64,
    /// Names of the inode.
    pub nlink: u64,
    /// Inode number.
    pub ino: u64,
    /// Device of the file system.
    pub dev: u64,
    /// Device numbers (major, minor) of a device node.
    pub rdev: (u32, u32),
    /// Last access.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
}

impl Meta {
    fn from_stat(st: &rfs::Stat) -> Self {
        let time = |secs: i64, nanos: u64| Time { secs, nanos: u32::try_from(nanos).unwrap_or(0) };
        Self {
            kind: FileKind::from_rustix(FileType::from_raw_mode(st.st_mode)).unwrap_or(FileKind::File),
            mode: st.st_mode & 0o7777,
            uid: st.st_uid,
            gid: st.st_gid,
            size: u64::try_from(st.st_size).unwrap_or(0),
            allocated: u64::try_from(st.st_blocks).unwrap_or(0) * 512,
            nlink: st.st_nlink,
            ino: st.st_ino,
            dev: st.st_dev,
            rdev: (rfs::major(st.st_rdev), rfs::minor(st.st_rdev)),
            atime: time(st.st_atime, st.st_atime_nsec),
            mtime: time(st.st_mtime, st.st_mtime_nsec),
            ctime: time(st.st_ctime, st.st_ctime_nsec),
        }
    }

    /// OverlayFS's whiteout: a character device 0:0 (kernel Documentation/filesystems/overlayfs.rst).
    pub fn is_whiteout(&self) -> bool {
        self.kind == FileKind::CharDevice && self.rdev == (0, 0)
    }
}

/// Attributes of `name`.
pub fn of(dir: impl AsFd, name: &OsStr) -> Result<Meta> {
    let name = component("stat", &dir, name)?;
    let st = rfs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).at_name("stat", &dir, name)?;
    Ok(Meta::from_stat(&st))
}

/// Attributes of `name`, or `None` if there is no such name.
pub fn find(dir: impl AsFd, name: &OsStr) -> Result<Option<Meta>> {
    let name = component("stat", &dir, name)?;
    match rfs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(st) => Ok(Some(Meta::from_stat(&st))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e).at_name("stat", &dir, name),
    }
}

/// Attributes behind a descriptor.
pub fn of_fd(fd: impl AsFd) -> Result<Meta> {
    Ok(Meta::from_stat(&rfs::fstat(&fd).at_fd("stat", &fd)?))
}

/// Attributes of a trusted path; the last component is followed.
pub fn of_path(path: &Path) -> Result<Meta> {
    Ok(Meta::from_stat(&rfs::stat(path).at("stat", path)?))
}

/// Sets owner and group of `name`. The kernel drops setuid and setgid: set the mode afterwards.
pub fn chown(dir: impl AsFd, name: &OsStr, uid: u32, gid: u32) -> Result<()> {
    let name = component("chown", &dir, name)?;
    rfs::chownat(&dir, name, Some(owner(uid)), Some(group(gid)), AtFlags::SYMLINK_NOFOLLOW)
        .at_name("chown", &dir, name)?;
    record::log(|| Op::Chown { path: record::path(&dir, name), uid, gid });
    Ok(())
}

/// Sets owner and group behind a descriptor.
pub fn chown_fd(fd: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    rfs::fchown(&fd, Some(owner(uid)), Some(group(gid))).at_fd("chown", &fd)?;
    record::log(|| Op::Chown { path: crate::error::path_of(&fd), uid, gid });
    Ok(())
}

/// Sets the permission bits (07777) of `name`, which must not be a symbolic link.
pub fn chmod(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<()> {
    let name = component("chmod", &dir, name)?;
    // The kernel has no nofollow chmod before 6.6: go by a descriptor that cannot be a link's target.
    let flags = rfs::OFlags::PATH | rfs::OFlags::NOFOLLOW | rfs::OFlags::CLOEXEC;
    let fd = rfs::openat(&dir, name, flags, Mode::empty()).at_name("chmod", &dir, name)?;
    if of_fd(&fd)?.kind == FileKind::Symlink {
        return Err(rustix::io::Errno::LOOP).at_name("chmod", &dir, name);
    }
    let magic = format!("/proc/self/fd/{}", crate::AsRawFd::as_raw_fd(&fd));
    rfs::chmod(magic, Mode::from_raw_mode(mode)).at_name("chmod", &dir, name)?;
    record::log(|| Op::Chmod { path: record::path(&dir, name), mode });
    Ok(())
}

/// Sets the permission bits (07777) behind a descriptor.
pub fn chmod_fd(fd: impl AsFd, mode: u32) -> Result<()> {
    rfs::fchmod(&fd, Mode::from_raw_mode(mode)).at_fd("chmod", &fd)?;
    record::log(|| Op::Chmod { path: crate::error::path_of(&fd), mode });
    Ok(())
}

/// Sets access and modification time of `name`.
pub fn set_times(dir: impl AsFd, name: &OsStr, atime: Time, mtime: Time) -> Result<()> {
    let name = component("set times of", &dir, name)?;
    rfs::utimensat(&dir, name, &stamps(atime, mtime), AtFlags::SYMLINK_NOFOLLOW).at_name(
        "set times of",
        &dir,
        name,
    )?;
    record::log(|| Op::SetTimes { path: record::path(&dir, name), atime, mtime });
    Ok(())
}

/// Sets access and modification time behind a descriptor.
pub fn set_times_fd(fd: impl AsFd, atime: Time, mtime: Time) -> Result<()> {
    rfs::futimens(&fd, &stamps(atime, mtime)).at_fd("set times of", &fd)?;
    record::log(|| Op::SetTimes { path: crate::error::path_of(&fd), atime, mtime });
    Ok(())
}

fn stamps(atime: Time, mtime: Time) -> Timestamps {
    let spec = |t: Time| Timespec { tv_sec: t.secs, tv_nsec: t.nanos.into() };
    Timestamps { last_access: spec(atime), last_modification: spec(mtime) }
}

fn owner(uid: u32) -> Uid {
    Uid::from_raw(uid)
}

fn group(gid: u32) -> Gid {
    Gid::from_raw(gid)
}
