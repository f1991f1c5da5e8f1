//! Mounts: OverlayFS by the new mount API, by mount(2) where the kernel has no `lowerdir+`, and the mount table.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{self as rm, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags};

use crate::error::{At, Error, Result, path_of};
use crate::{AsFd, AsRawFd, OwnedFd};

/// An overlay to mount. Directories are open descriptors: what was checked is what gets mounted.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// Read-only layers, nearest (top) first, each with its path relative to `home`, as short as it can be.
    pub lowers: Vec<(&'a OwnedFd, PathBuf)>,
    /// Upper and work directory; a mount without them is read-only.
    pub upper: Option<(&'a OwnedFd, &'a OwnedFd)>,
    /// Further options: `index=off`, `userxattr`, `volatile`, …
    pub options: Vec<(&'a str, Option<&'a str>)>,
    /// The directory that the paths of `lowers` start at.
    pub home: &'a Path,
}

/// How an overlay came to be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountedBy {
    /// fsopen(2) and its relatives: no limit on the length of the options.
    NewApi,
    /// mount(2): all options in one page.
    Classic,
}

impl Overlay<'_> {
    /// Mounts on `target`. The new API is tried first; a kernel without it, or without `lowerdir+` (before 6.8), gets
    /// mount(2) with paths relative to `home`.
    pub fn mount(&self, target: &Path) -> Result<MountedBy> {
        match self.mount_new(target) {
            Ok(()) => Ok(MountedBy::NewApi),
            Err(e) if matches!(e.errno, Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
                self.mount_classic(target).map(|()| MountedBy::Classic)
            }
            Err(e) => Err(e),
        }
    }

    /// Mounts by fsopen(2), fsconfig(2), fsmount(2), move_mount(2).
    pub fn mount_new(&self, target: &Path) -> Result<()> {
        let op = "mount overlay at";
        let fs = rm::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).at(op, target)?;
        rm::fsconfig_set_string(&fs, "source", "overlay").at(op, target)?;
        for (key, value) in &self.options {
            match value {
                Some(value) => rm::fsconfig_set_string(&fs, *key, *value),
                None => rm::fsconfig_set_flag(&fs, *key),
            }
            .at(op, target)?;
        }
        for (lower, _) in &self.lowers {
            rm::fsconfig_set_string(&fs, "lowerdir+", config_path(lower)).at(op, target)?;
        }
        if let Some((upper, work)) = &self.upper {
            rm::fsconfig_set_string(&fs, "upperdir", config_path(upper)).at(op, target)?;
            rm::fsconfig_set_string(&fs, "workdir", config_path(work)).at(op, target)?;
        }
        rm::fsconfig_create(&fs).at(op, target)?;
        let attributes = if self.upper.is_some() {
            MountAttrFlags::empty()
        } else {
            MountAttrFlags::MOUNT_ATTR_RDONLY
        };
        let mount = rm::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(op, target)?;
        rm::move_mount(&mount, "", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at(op, target)
    }

    /// Mounts by mount(2), as Docker does (moby.md §8.2): the lower directories by paths relative to `home`, from a
    /// thread that has its own working directory. Fails with `E2BIG` where the options do not fit into a page.
    pub fn mount_classic(&self, target: &Path) -> Result<()> {
        let mut data = Vec::new();
        for (key, value) in &self.options {
            push_option(&mut data, key, value.map(|v| v.as_bytes()));
        }
        let lowers: Vec<&[u8]> = self.lowers.iter().map(|(_, path)| path.as_os_str().as_bytes()).collect();
        push_option(&mut data, "lowerdir", Some(&lowers.join(&b':')));
        if let Some((upper, work)) = &self.upper {
            push_option(&mut data, "upperdir", Some(&escape(&path_of(upper))));
            push_option(&mut data, "workdir", Some(&escape(&path_of(work))));
        }
        if data.len() >= rustix::param::page_size() {
            return Err(Error::new("mount overlay (too many layers for this kernel) at", target, Errno::TOOBIG));
        }
        let flags = if self.upper.is_some() { MountFlags::empty() } else { MountFlags::RDONLY };
        let data = std::ffi::CString::new(data).map_err(|_| Error::new("mount overlay at", target, Errno::INVAL))?;
        in_directory(self.home, || {
            rm::mount("overlay", target, "overlay", flags, Some(data.as_c_str())).at("mount overlay at", target)
        })
    }
}

/// fsconfig(2) takes strings of up to 255 bytes: a longer path goes by its descriptor.
fn config_path(fd: &OwnedFd) -> PathBuf {
    let path = path_of(fd);
    if path.as_os_str().len() < 256 && !path.as_os_str().as_bytes().contains(&b'\\') {
        path
    } else {
        PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
    }
}

fn push_option(data: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    if !data.is_empty() {
        data.push(b',');
    }
    data.extend_from_slice(key.as_bytes());
    if let Some(value) = value {
        data.push(b'=');
        data.extend_from_slice(value);
    }
}

/// mount(2)'s option string ends a value at `,`; a backslash takes that meaning away.
fn escape(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for b in path.as_os_str().as_bytes() {
        if matches!(b, b',' | b'\\' | b':') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out
}

/// Runs `call` in a thread of its own whose working directory is `dir`; the other threads keep theirs.
fn in_directory<T: Send>(dir: &Path, call: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let run = || {
        crate::raw::unshare_working_directory().at("unshare the working directory for", dir)?;
        rustix::process::chdir(dir).at("chdir to", dir)?;
        call()
    };
    std::thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|_| Err(Error::new("mount from", dir, Errno::IO)))
}

/// Binds `source` on `target`; `read_only` makes the bind, not the source, read-only.
pub fn bind(source: impl AsFd, target: &Path, read_only: bool) -> Result<()> {
    let flags = rm::OpenTreeFlags::OPEN_TREE_CLONE
        | rm::OpenTreeFlags::OPEN_TREE_CLOEXEC
        | rm::OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rm::open_tree(&source, "", flags).at("bind mount at", target)?;
    rm::move_mount(&tree, "", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .at("bind mount at", target)?;
    if read_only {
        rm::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "").at("bind mount read-only at", target)?;
    }
    Ok(())
}

/// Makes all mounts of this mount namespace private, so that what is mounted here is not seen elsewhere.
pub fn make_private(target: &Path) -> Result<()> {
    let flags = rm::MountPropagationFlags::PRIVATE | rm::MountPropagationFlags::REC;
    rm::mount_change(target, flags).at("make private", target)
}

/// Unmounts lazily: the name is free at once, the file system goes when its last user does.
pub fn unmount(target: &Path) -> Result<()> {
    rm::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).at("unmount", target)
}

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Where it is mounted.
    pub target: PathBuf,
    /// Type of file system.
    pub fs_type: String,
    /// What is mounted.
    pub source: String,
    /// Options of the file system.
    pub options: String,
}

/// The mounts of this mount namespace at or below `path`, outermost first.
pub fn table(path: &Path) -> Result<Vec<MountEntry>> {
    let file = Path::new("/proc/self/mountinfo");
    let text = std::fs::read(file).map_err(|e| {
        Error::new("read", file, Errno::from_io_error(&e).unwrap_or(Errno::IO))
    })?;
    Ok(text.split(|b| *b == b'\n').filter_map(parse_mount).filter(|m| m.target.starts_with(path)).collect())
}

fn parse_mount(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|b| *b == b' ');
    let target = PathBuf::from(OsStr::from_bytes(&unescape(fields.nth(4)?)));
    let mut rest = fields.skip_while(|f| *f != b"-").skip(1);
    let text = |f: &[u8]| String::from_utf8_lossy(&unescape(f)).into_owned();
    Some(MountEntry { target, fs_type: text(rest.next()?), source: text(rest.next()?), options: text(rest.next()?) })
}

/// Undoes the table's octal escapes of space, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let octal = field.get(at + 1..at + 4).filter(|d| field[at] == b'\\' && d.iter().all(|c| (b'0'..=b'7').contains(c)));
        match octal {
            Some(d) => {
                out.push(d.iter().fold(0u8, |n, c| n.wrapping_mul(8).wrapping_add(c - b'0')));
                at += 4;
            }
            None => {
                out.push(field[at]);
                at += 1;
            }
        }
    }
    out
}

/// Whether something is mounted on `name` in `dir`: its device is not its parent's. (A bind mount of the same file
/// system is not seen; layers are never mounted so.)
pub fn is_mount_point(dir: impl AsFd, name: &OsStr) -> Result<bool> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
    let name = crate::dir::component("stat", &dir, name)?;
    match rustix::fs::statx(&dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
        Ok(st) => Ok(st.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e).at_name("stat", &dir, name),
    }
}

/// Opens a directory for use in an [`Overlay`].
pub fn open_layer(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).at("open layer", path)
}
