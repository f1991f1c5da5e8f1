//! This process: random bytes, priority, umask, and facts about the machine.

use std::path::Path;

use crate::AsFd;
use crate::error::{At, Result};

/// Random bytes from the kernel.
pub fn random<const N: usize>() -> [u8; N] {
    let mut buf = [0; N];
    let mut filled = 0;
    // Up to 256 bytes getrandom(2) is neither interrupted nor short once the pool is ready; the loop covers the rest.
    while filled < N {
        filled +=
            rustix::rand::getrandom(&mut buf[filled..], rustix::rand::GetRandomFlags::empty()).unwrap_or(0);
    }
    buf
}

/// Gives up the processor and the disk to everybody else: nice 19, idle I/O class.
pub fn lower_priority() {
    let _ = rustix::process::nice(19);
    crate::raw::idle_io_priority();
}

/// Gives memory that was freed back to the kernel, which the allocator otherwise keeps for later: for a long-lived
/// server after a burst of work. Does nothing where the C library has no such call.
pub fn trim_memory() {
    crate::raw::trim_memory();
}

/// Sets the umask to 0, so that the modes given to creating calls are exact. The umask belongs to the whole process:
/// call it once, at the start.
pub fn clear_umask() {
    rustix::process::umask(rustix::fs::Mode::empty());
}

/// The umask, asked of `/proc` so that it is not changed meanwhile; all bits if that cannot be read, so that a caller
/// who corrects modes corrects too much rather than too little.
pub fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o777)
}

/// Effective user id.
pub fn euid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Effective group id.
pub fn egid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// A file system's magic number and free space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsInfo {
    /// `f_type` of statfs(2).
    pub magic: u64,
    /// Bytes that an unprivileged user may still write.
    pub available: u64,
    /// Size in bytes.
    pub total: u64,
    /// How many files it can have; 0 if there is no such number, as on btrfs.
    pub inodes: u64,
}

/// Asks which file system `path` is on.
pub fn fs_info(path: &Path) -> Result<FsInfo> {
    let st = rustix::fs::statfs(path).at("statfs", path)?;
    let block = u64::try_from(st.f_bsize).unwrap_or(0);
    Ok(FsInfo {
        magic: u64::try_from(st.f_type).unwrap_or(0) & 0xffff_ffff,
        available: st.f_bavail * block,
        total: st.f_blocks * block,
        inodes: st.f_files,
    })
}

/// `f_type` of XFS.
pub const XFS_MAGIC: u64 = 0x5846_5342;

/// Whether the XFS that a directory is on keeps the kinds of directory entries (`mkfs.xfs -n ftype=1`).
pub fn xfs_has_ftype(dir: impl AsFd) -> Result<bool> {
    const FTYPE: u32 = 1 << 16; // XFS_FSOP_GEOM_FLAGS_FTYPE
    crate::raw::xfs_features(dir.as_fd())
        .at_fd("ask for the features of xfs at", &dir)
        .map(|bits| bits & FTYPE != 0)
}

/// Whether this machine has cgroup v2 only. (On a hybrid one, containers are managed by v1.)
pub fn has_unified_cgroups() -> bool {
    const CGROUP2_MAGIC: u64 = 0x6367_7270;
    fs_info(Path::new("/sys/fs/cgroup")).is_ok_and(|info| info.magic == CGROUP2_MAGIC)
}

/// The host name, as uname(2) tells it.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The kernel's release, such as `6.18.0`.
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Lets this process open as many files as its hard limit allows, and makes room for `soon` of them now: while a
/// process has threads, the kernel waits milliseconds for every growth of its table of descriptors.
pub fn expect_many_files(soon: i32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused or not: what is allowed now stays allowed, and the table grows later.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Ok(any) = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()) {
        let _ = rustix::io::fcntl_dupfd_cloexec(&any, soon);
    }
}
