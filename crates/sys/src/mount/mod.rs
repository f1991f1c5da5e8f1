//! Mounts: OverlayFS by the new mount API, by mount(2) where the kernel has no `lowerdir+`, and what is mounted where.
//!
//! A mount belongs to the mount namespace of the calling thread and outlives the process.

mod detached;
mod table;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{
    self as rm, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags,
};

use crate::error::{At, Error, Result, path_of};
use crate::{AsFd, AsRawFd, OwnedFd};

pub use detached::{Detached, FileSystem};
pub use table::{MountEntry, table};

/// `f_type` of OverlayFS (kernel `include/uapi/linux/magic.h`).
pub const OVERLAY_MAGIC: u64 = 0x794c_7630;

/// A directory of an overlay: open, so that what was checked is what gets mounted, and by name for mount(2).
#[derive(Debug)]
pub struct Branch {
    /// The directory, from [`open_layer`] or any other call that opens one.
    pub fd: OwnedFd,
    /// Its path relative to [`Overlay::home`], as short as it can be.
    pub path: PathBuf,
}

/// An overlay to mount.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// Read-only layers, nearest (top) first. The kernel takes up to 500.
    pub lowers: Vec<Branch>,
    /// Upper and work directory; a mount without them is read-only.
    pub upper: Option<(Branch, Branch)>,
    /// Further options: `index=off`, `userxattr`, `volatile`, `context=…`, …
    pub options: Vec<(&'a str, Option<&'a str>)>,
    /// The directory that the branches' paths start at.
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
        for lower in &self.lowers {
            rm::fsconfig_set_string(&fs, "lowerdir+", config_path(&lower.fd)).at(op, target)?;
        }
        if let Some((upper, work)) = &self.upper {
            rm::fsconfig_set_string(&fs, "upperdir", config_path(&upper.fd)).at(op, target)?;
            rm::fsconfig_set_string(&fs, "workdir", config_path(&work.fd)).at(op, target)?;
        }
        rm::fsconfig_create(&fs).at(op, target)?;
        let attributes = match self.upper {
            Some(_) => MountAttrFlags::empty(),
            None => MountAttrFlags::MOUNT_ATTR_RDONLY,
        };
        let mount = rm::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(op, target)?;
        attach(&mount, op, target)
    }

    /// Mounts by mount(2), as Docker does (moby.md §8.2): all directories by paths relative to `home`, from a thread
    /// that has its own working directory. Fails with `E2BIG` where the options do not fit into a page.
    pub fn mount_classic(&self, target: &Path) -> Result<()> {
        let op = "mount overlay at";
        let mut data = Vec::new();
        for (key, value) in &self.options {
            // A label has commas in it; SELinux takes quotes off.
            let quoted = value.filter(|_| *key == "context").map(|label| format!("\"{label}\""));
            push_option(&mut data, key, quoted.as_deref().or(*value).map(str::as_bytes));
        }
        let lowers: Vec<Vec<u8>> = self.lowers.iter().map(|l| escape(&l.path).into_vec()).collect();
        push_option(&mut data, "lowerdir", Some(&lowers.join(&b':')));
        if let Some((upper, work)) = &self.upper {
            push_option(&mut data, "upperdir", Some(escape(&upper.path).as_bytes()));
            push_option(&mut data, "workdir", Some(escape(&work.path).as_bytes()));
        }
        // The kernel copies one page and puts a NUL at its end.
        if data.len() >= rustix::param::page_size() {
            return Err(Error::new(
                "mount overlay (too many layers for this kernel) at",
                target,
                Errno::TOOBIG,
            ));
        }
        let flags = if self.upper.is_some() { MountFlags::empty() } else { MountFlags::RDONLY };
        let data = std::ffi::CString::new(data).map_err(|_| Error::new(op, target, Errno::INVAL))?;
        in_directory(self.home, || {
            rm::mount("overlay", target, "overlay", flags, Some(data.as_c_str())).at(op, target)
        })
    }
}

/// Hangs a mount that has no place yet on `target`; a link in the last component is not followed.
fn attach(mount: &OwnedFd, op: &'static str, target: &Path) -> Result<()> {
    rm::move_mount(mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at(op, target)
}

/// fsconfig(2) takes strings of up to 255 bytes, and OverlayFS takes backslashes out of some of them: such a path goes
/// by its descriptor.
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

/// A path for a string of options, in which a value ends at `,` and a lower directory at `:`; a backslash takes that
/// meaning away.
pub fn escape(path: &Path) -> OsString {
    let mut out = Vec::new();
    for b in path.as_os_str().as_bytes() {
        if matches!(b, b',' | b'\\' | b':') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    OsString::from_vec(out)
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

/// Binds the directory `source` on `target`; `read_only` makes the bind, not the source, read-only.
pub fn bind(source: impl AsFd, target: &Path, read_only: bool) -> Result<()> {
    let flags = rm::OpenTreeFlags::OPEN_TREE_CLONE
        | rm::OpenTreeFlags::OPEN_TREE_CLOEXEC
        | rm::OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rm::open_tree(&source, "", flags).at("bind mount at", target)?;
    attach(&tree, "bind mount at", target)?;
    if read_only {
        let flags = MountFlags::BIND | MountFlags::RDONLY;
        rm::mount_remount(target, flags, "").at("bind mount read-only at", target).inspect_err(|_| {
            let _ = detach(target);
        })?;
    }
    Ok(())
}

/// Unmounts what nobody uses. `EBUSY`: a process has an open file or its working directory in it, or something is
/// mounted below.
pub fn unmount(target: &Path) -> Result<()> {
    rm::unmount(target, UnmountFlags::NOFOLLOW).at("unmount", target)
}

/// Unmounts lazily: the name is free at once, the file system goes when its last user does.
pub fn detach(target: &Path) -> Result<()> {
    rm::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).at("unmount", target)
}

/// What is mounted at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mounted {
    /// `f_type` of the file system that is mounted.
    pub magic: u64,
    /// Whether writing through this mount is refused.
    pub read_only: bool,
}

/// What is mounted on `name` in `dir` in the namespace of this thread; `None` if nothing is, or there is no such name.
pub fn at(dir: impl AsFd, name: &OsStr) -> Result<Option<Mounted>> {
    const READ_ONLY: u64 = 1; // ST_RDONLY of statfs(2)
    let name = crate::dir::component("stat", &dir, name)?;
    match rustix::fs::statx(&dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
        Ok(st) if st.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) => {}
        Ok(_) | Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e).at_name("stat", &dir, name),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&dir, name, flags, Mode::empty()).at_name("open", &dir, name)?;
    let st = rustix::fs::fstatfs(&fd).at_name("statfs", &dir, name)?;
    let bits = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Some(Mounted { magic: bits(st.f_type) & 0xffff_ffff, read_only: bits(st.f_flags) & READ_ONLY != 0 }))
}

/// A mount of its own of the directory `path`, attached nowhere: what happens to the mount below it does not show
/// (other mounts in it neither), and nothing can be written through it nor access times change. It goes with the
/// descriptor, which is an `O_PATH` one; that takes a moment, since the kernel waits until nobody looks at mounts.
///
/// # Errors
/// `EPERM`: this process may not mount here.
pub fn read_only_clone(path: &Path) -> Result<OwnedFd> {
    const RDONLY: u64 = 1;
    const NOATIME: u64 = 0x10;
    const ATIME: u64 = 0x70;
    let flags = rm::OpenTreeFlags::OPEN_TREE_CLONE | rm::OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rm::open_tree(rustix::fs::CWD, path, flags).at("clone the mount of", path)?;
    // In a user namespace the way of access times may be locked; then they stay as the mount below has them.
    crate::raw::set_mount_attributes(tree.as_fd(), RDONLY | NOATIME, ATIME, None)
        .or_else(|_| crate::raw::set_mount_attributes(tree.as_fd(), RDONLY, 0, None))
        .at("make a read-only mount of", path)?;
    Ok(tree)
}

/// Opens a directory for use in an [`Overlay`].
pub fn open_layer(dir: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(&dir, path, flags, Mode::empty()).at_name("open layer", &dir, path.as_os_str())
}

/// Gives the calling thread, and the threads that it starts from now on, a mount namespace of their own whose mounts
/// nobody else sees and which goes with them. For tests and probes.
pub fn private_namespace() -> Result<()> {
    let root = Path::new("/");
    crate::raw::unshare_mounts().at("unshare the mounts of", root)?;
    let flags = rm::MountPropagationFlags::PRIVATE | rm::MountPropagationFlags::REC;
    rm::mount_change(root, flags).at("make private", root)
}

/// Gives the calling thread, and the programs that it starts, a mount namespace of their own in which the directory
/// `path` is an empty tmpfs. What is mounted outside later still shows there; what is mounted inside does not show outside.
pub fn hide(path: &Path) -> Result<()> {
    let root = Path::new("/");
    crate::raw::unshare_mounts().at("unshare the mounts of", root)?;
    let flags = rm::MountPropagationFlags::DOWNSTREAM | rm::MountPropagationFlags::REC;
    rm::mount_change(root, flags).at("make slaves of the mounts of", root)?;
    rm::mount("tmpfs", path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"").at("hide", path)
}

#[cfg(test)]
mod tests;
