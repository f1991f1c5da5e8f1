//! One directory, by its descriptor. Names are single components: a name with a slash, `.` or `..` is refused
//! (`EINVAL`), and no call here follows a symbolic link in the last component.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self as rfs, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{At, Error, Result};
use crate::meta::{FileKind, Meta};
use crate::record::{self, Op};
use crate::{AsFd, OwnedFd};

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Refuses what is not one component.
pub(crate) fn component<'a>(op: &'static str, dir: impl AsFd, name: &'a OsStr) -> Result<&'a OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') || bytes.contains(&0) {
        return Err(Error::new(op, crate::error::path_of(dir).join(name), Errno::INVAL));
    }
    Ok(name)
}

/// Opens a trusted path as a directory, following links.
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    rfs::open(path, DIR, Mode::empty()).at("open directory", path)
}

/// Where an open directory is now. Only for messages: it can be moved at once.
pub fn path(fd: impl AsFd) -> std::path::PathBuf {
    crate::error::path_of(fd)
}

/// Opens the directory `name`.
pub fn open(dir: impl AsFd, name: &OsStr) -> Result<OwnedFd> {
    let name = component("open directory", &dir, name)?;
    rfs::openat(&dir, name, DIR | OFlags::NOFOLLOW, Mode::empty()).at_name("open directory", &dir, name)
}

/// Opens a directory again, with a read position of its own.
pub fn reopen(dir: impl AsFd) -> Result<OwnedFd> {
    rfs::openat(&dir, ".", DIR, Mode::empty()).at_fd("open directory", &dir)
}

/// Opens the regular file `name` for reading. A FIFO or device in its place does not block and is refused.
pub fn open_file(dir: impl AsFd, name: &OsStr) -> Result<OwnedFd> {
    open_sized(dir, name).map(|(fd, _)| fd)
}

/// As [`open_file`], with the file's size.
pub(crate) fn open_sized(dir: impl AsFd, name: &OsStr) -> Result<(OwnedFd, u64)> {
    let name = component("open", &dir, name)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rfs::openat(&dir, name, flags, Mode::empty()).at_name("open", &dir, name)?;
    regular(fd, &dir, name)
}

/// As [`open_sized`], of a `path` of several components. A link in any of them is refused (`ELOOP`), and so is a path
/// that leads out (`EXDEV`).
pub(crate) fn open_sized_below(dir: impl AsFd, path: &Path) -> Result<(OwnedFd, u64)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let name = path.as_os_str();
    let fd = rfs::openat2(&dir, path, flags, Mode::empty(), resolve).at_name("open", &dir, name)?;
    regular(fd, &dir, name)
}

/// The file and its size, if it is a regular one.
fn regular(fd: OwnedFd, dir: impl AsFd, name: &OsStr) -> Result<(OwnedFd, u64)> {
    match crate::meta::of_fd(&fd)? {
        Meta { kind: FileKind::File, size, .. } => Ok((fd, size)),
        _ => Err(Error::new("open regular file", crate::error::path_of(&dir).join(name), Errno::INVAL)),
    }
}

/// Creates the new regular file `name` and opens it for reading and writing. `mode` is exact only under umask 0.
pub fn create_file(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<OwnedFd> {
    let name = component("create", &dir, name)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rfs::openat(&dir, name, flags, Mode::from_raw_mode(mode)).at_name("create", &dir, name)?;
    record::log(|| Op::Create { path: record::path(&dir, name), mode, ino: record::ino(&fd) });
    Ok(fd)
}

/// Opens the regular file `name` for reading and writing, and creates it if it is not there.
pub fn open_or_create_file(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<OwnedFd> {
    match create_file(&dir, name, mode) {
        Err(e) if e.errno == Errno::EXIST => {}
        other => return other,
    }
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rfs::openat(&dir, name, flags, Mode::empty()).at_name("open", &dir, name)?;
    regular(fd, &dir, name).map(|(fd, _)| fd)
}

/// Makes the directory `name`.
pub fn mkdir(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<()> {
    let name = component("mkdir", &dir, name)?;
    rfs::mkdirat(&dir, name, Mode::from_raw_mode(mode)).at_name("mkdir", &dir, name)?;
    record::log(|| Op::Mkdir { path: record::path(&dir, name), mode });
    Ok(())
}

/// Makes the directory `name` with exactly `mode` if it is not there, and opens it.
pub fn ensure(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<OwnedFd> {
    match mkdir(&dir, name, mode) {
        Ok(()) => {
            let fd = open(&dir, name)?;
            crate::meta::chmod_fd(&fd, mode)?;
            Ok(fd)
        }
        Err(e) if e.errno == Errno::EXIST => open(&dir, name),
        Err(e) => Err(e),
    }
}

/// Makes the symbolic link `name` with the content `target`.
pub fn symlink(dir: impl AsFd, name: &OsStr, target: &OsStr) -> Result<()> {
    let name = component("symlink", &dir, name)?;
    rfs::symlinkat(target, &dir, name).at_name("symlink", &dir, name)?;
    record::log(|| Op::Symlink { path: record::path(&dir, name), target: target.to_owned() });
    Ok(())
}

/// Gives the file `old` a further name. A symbolic link is linked itself, not what it points to.
pub fn link(old_dir: impl AsFd, old: &OsStr, new_dir: impl AsFd, new: &OsStr) -> Result<()> {
    let old = component("link", &old_dir, old)?;
    let new = component("link", &new_dir, new)?;
    rfs::linkat(&old_dir, old, &new_dir, new, AtFlags::empty()).at_name("link", &new_dir, new)?;
    record::log(|| Op::Link { from: record::path(&old_dir, old), to: record::path(&new_dir, new) });
    Ok(())
}

/// Makes a device, FIFO or socket node. `mode` is exact only under umask 0.
pub fn mknod(dir: impl AsFd, name: &OsStr, kind: FileKind, mode: u32, major: u32, minor: u32) -> Result<()> {
    let name = component("mknod", &dir, name)?;
    let dev = rfs::makedev(major, minor);
    rfs::mknodat(&dir, name, kind.to_rustix(), Mode::from_raw_mode(mode), dev)
        .at_name("mknod", &dir, name)?;
    record::log(|| Op::Mknod { path: record::path(&dir, name), kind, mode, major, minor });
    Ok(())
}

/// Renames; an existing `new` is replaced as rename(2) does. Not durable until the directory is synced.
pub fn rename(old_dir: impl AsFd, old: &OsStr, new_dir: impl AsFd, new: &OsStr) -> Result<()> {
    rename_with(old_dir, old, new_dir, new, RenameFlags::empty())
}

/// Renames, and fails with `EEXIST` if `new` is there.
///
/// A file system that cannot do both in one step (ZFS before 2.2) is asked first: who makes the name `new` in between
/// loses it, unless it is a directory with something in it.
pub fn rename_noreplace(old_dir: impl AsFd, old: &OsStr, new_dir: impl AsFd, new: &OsStr) -> Result<()> {
    match rename_with(&old_dir, old, &new_dir, new, RenameFlags::NOREPLACE) {
        Err(e) if e.errno == Errno::INVAL => {
            if crate::meta::find(&new_dir, new)?.is_some() {
                return Err(Errno::EXIST).at_name("rename to", &new_dir, new);
            }
            rename(old_dir, old, new_dir, new)
        }
        other => other,
    }
}

/// Lets two names change places in one step. `EINVAL` on file systems that cannot (renameat2(2), `RENAME_EXCHANGE`).
pub fn exchange(old_dir: impl AsFd, old: &OsStr, new_dir: impl AsFd, new: &OsStr) -> Result<()> {
    let old = component("exchange", &old_dir, old)?;
    let new = component("exchange with", &new_dir, new)?;
    rfs::renameat_with(&old_dir, old, &new_dir, new, RenameFlags::EXCHANGE)
        .at_name("exchange", &old_dir, old)?;
    record::log(|| Op::Exchange { from: record::path(&old_dir, old), to: record::path(&new_dir, new) });
    Ok(())
}

fn rename_with(
    old_dir: impl AsFd,
    old: &OsStr,
    new_dir: impl AsFd,
    new: &OsStr,
    flags: RenameFlags,
) -> Result<()> {
    let old = component("rename", &old_dir, old)?;
    let new = component("rename to", &new_dir, new)?;
    rfs::renameat_with(&old_dir, old, &new_dir, new, flags).at_name("rename", &old_dir, old)?;
    record::log(|| Op::Rename { from: record::path(&old_dir, old), to: record::path(&new_dir, new) });
    Ok(())
}

/// Removes the name of a non-directory.
pub fn unlink(dir: impl AsFd, name: &OsStr) -> Result<()> {
    let name = component("unlink", &dir, name)?;
    rfs::unlinkat(&dir, name, AtFlags::empty()).at_name("unlink", &dir, name)?;
    record::log(|| Op::Unlink { path: record::path(&dir, name) });
    Ok(())
}

/// Removes an empty directory.
pub fn rmdir(dir: impl AsFd, name: &OsStr) -> Result<()> {
    let name = component("rmdir", &dir, name)?;
    rfs::unlinkat(&dir, name, AtFlags::REMOVEDIR).at_name("rmdir", &dir, name)?;
    record::log(|| Op::Rmdir { path: record::path(&dir, name) });
    Ok(())
}

/// The content of the symbolic link `name`.
pub fn read_link(dir: impl AsFd, name: &OsStr) -> Result<OsString> {
    use std::os::unix::ffi::OsStringExt;
    let name = component("readlink", &dir, name)?;
    let target = rfs::readlinkat(&dir, name, Vec::new()).at_name("readlink", &dir, name)?;
    Ok(OsString::from_vec(target.into_bytes()))
}

/// A name in a directory, and its kind as far as the file system tells without a look at the inode.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// The kind; `None` where the file system does not fill in `d_type`.
    pub kind: Option<FileKind>,
}

/// Lists a directory without `.` and `..`, in the file system's order.
pub fn list(dir: impl AsFd) -> Result<Vec<Entry>> {
    let fd = reopen(&dir)?;
    let mut entries = Vec::new();
    for entry in rfs::Dir::new(fd).at_fd("list", &dir)? {
        let entry = entry.at_fd("list", &dir)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            let name = OsStr::from_bytes(name).to_owned();
            entries.push(Entry { name, kind: FileKind::from_rustix(entry.file_type()) });
        }
    }
    Ok(entries)
}

/// Lists a directory sorted by the bytes of the names.
pub fn list_sorted(dir: impl AsFd) -> Result<Vec<Entry>> {
    let mut entries = list(dir)?;
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Makes the names of this directory durable.
pub fn sync(dir: impl AsFd) -> Result<()> {
    rfs::fsync(&dir).at_fd("fsync directory", &dir)?;
    record::log(|| Op::SyncDir { path: crate::error::path_of(&dir) });
    Ok(())
}

/// Makes everything on the file system of `dir` durable, data and names: one call for a whole image.
pub fn sync_fs(dir: impl AsFd) -> Result<()> {
    rfs::syncfs(&dir).at_fd("syncfs", &dir)?;
    record::log(|| Op::SyncFs { path: crate::error::path_of(&dir) });
    Ok(())
}
