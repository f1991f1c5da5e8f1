//! Project quotas: every file of ext4 and XFS has a project, a number; the file system counts what the files of a project
//! take, and can limit it (quotactl(2), `FS_IOC_FSSETXATTR` of ioctl_xfs_fsgetxattr(2)).
//!
//! On XFS they work where it is mounted with `pquota`; on ext4 where the file system has the features `project` and
//! `quota` and is mounted with `prjquota`. Setting a project and a limit takes root of the machine, not of a user
//! namespace.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;

use crate::error::{At, Result};
use crate::{AsFd, OwnedFd, meta, raw};

/// `PRJQUOTA` of quotactl(2).
const PROJECTS: u32 = 2;
const GET_QUOTA: u32 = 0x80_0007;
const SET_QUOTA: u32 = 0x80_0008;
/// `Q_XGETQSTAT`.
const GET_STATE: u32 = 0x5805;

/// `FS_XFLAG_PROJINHERIT`: what is made in the directory gets its project.
const INHERIT: u32 = 0x200;

/// `struct if_dqblk` (kernel `include/uapi/linux/quota.h`).
#[repr(C)]
#[derive(Default)]
struct Block {
    hard_kib: u64,
    soft_kib: u64,
    bytes: u64,
    hard_files: u64,
    soft_files: u64,
    files: u64,
    block_time: u64,
    file_time: u64,
    valid: u32,
}

/// What is counted and limited for one project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Project {
    /// The most bytes that its files may take; 0 is no limit.
    pub limit: u64,
    /// The bytes that they take.
    pub bytes: u64,
    /// How many files, directories and so on it has.
    pub files: u64,
}

/// The project quotas of one file system.
#[derive(Debug)]
pub struct Quotas {
    /// Any directory on it.
    fd: OwnedFd,
    /// Its block device, for a kernel that wants that.
    node: Option<CString>,
}

impl Quotas {
    /// The quotas of the file system that `dir` is on. Before Linux 5.14 they are reached through a node of its block
    /// device, which is made at `node` if it is not there.
    pub fn of(dir: OwnedFd, node: &Path) -> Result<Self> {
        let probe = raw::quota_by_fd(dir.as_fd(), command(GET_STATE), 0, &mut [0u64; 16]);
        // A file system without quotas says the same as a kernel without the call; the node tells them apart.
        let node = match probe {
            Err(Errno::NOSYS) if !has_call() => Some(block_node(&dir, node)?),
            _ => None,
        };
        Ok(Self { fd: dir, node })
    }

    /// Whether limits of projects are enforced. `false` too where this process may not ask.
    pub fn are_enforced(&self) -> bool {
        const ENFORCED: u16 = 1 << 5; // FS_QUOTA_PDQ_ENFD
        // struct fs_quota_stat: a version of 8 bits, then the flags of 16.
        let mut state = [0u64; 16];
        self.call(GET_STATE, 0, &mut state).is_ok_and(|()| {
            let bytes = state[0].to_ne_bytes();
            u16::from_ne_bytes([bytes[2], bytes[3]]) & ENFORCED != 0
        })
    }

    /// What is counted and limited for a project; nothing for one that was never used.
    pub fn project(&self, id: u32) -> Result<Project> {
        let mut block = Block::default();
        match self.call(GET_QUOTA, id, &mut block) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Project::default()),
            Err(e) => return Err(e).at_fd("ask for the project quota at", &self.fd),
        }
        Ok(Project { limit: block.hard_kib * 1024, bytes: block.bytes, files: block.files })
    }

    /// Limits what the files of a project may take to so many bytes, in steps of 1024; 0 is no limit.
    pub fn set_limit(&self, id: u32, bytes: u64) -> Result<()> {
        const LIMITS_OF_BLOCKS: u32 = 1; // QIF_BLIMITS
        let kib = bytes.div_ceil(1024);
        let mut block = Block { hard_kib: kib, soft_kib: kib, valid: LIMITS_OF_BLOCKS, ..Block::default() };
        self.call(SET_QUOTA, id, &mut block).at_fd("set the project quota at", &self.fd)
    }

    fn call<T>(&self, what: u32, id: u32, argument: &mut T) -> rustix::io::Result<()> {
        match &self.node {
            None => raw::quota_by_fd(self.fd.as_fd(), command(what), id, argument),
            Some(node) => raw::quota_by_node(node, command(what), id, argument),
        }
    }
}

/// `QCMD` of quotactl(2).
fn command(what: u32) -> u32 {
    what << 8 | PROJECTS
}

/// Whether the kernel has quotactl_fd(2): then it minds the descriptor, which is none.
fn has_call() -> bool {
    // The working directory stands for no file system that the call would take.
    raw::quota_by_fd(CWD, command(GET_STATE), 0, &mut [0u64; 16]) != Err(Errno::NOSYS)
}

/// The node of the block device that `dir` is on.
fn block_node(dir: &OwnedFd, path: &Path) -> Result<CString> {
    let dev = meta::of_fd(dir)?.dev;
    let dev = makedev(rustix::fs::major(dev), rustix::fs::minor(dev));
    match mknodat(CWD, path, FileType::BlockDevice, Mode::from_raw_mode(0o600), dev) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(e).at("make the block device", path),
    }
    CString::new(OsStr::as_bytes(path.as_os_str()))
        .map_err(|_| Errno::INVAL)
        .at("make the block device", path)
}

/// The project of a file or directory, and whether what is made in the directory inherits it. `None` where files have
/// no projects.
pub fn project_of(file: impl AsFd) -> Result<Option<(u32, bool)>> {
    match raw::file_attributes(file.as_fd()) {
        Ok(attributes) => Ok(Some((attributes.project, attributes.flags & INHERIT != 0))),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => Ok(None),
        Err(e) => Err(e).at_fd("ask for the project of", &file),
    }
}

/// Gives a directory a project, which what is made in it inherits. What is in it already keeps its own.
pub fn set_project(dir: impl AsFd, id: u32) -> Result<()> {
    let op = "set the project of";
    let mut attributes = raw::file_attributes(dir.as_fd()).at_fd(op, &dir)?;
    attributes.project = id;
    attributes.flags |= INHERIT;
    raw::set_file_attributes(dir.as_fd(), &attributes).at_fd(op, &dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_quotas_enforces_none() {
        let here = tempfile::tempdir_in("/dev/shm").unwrap();
        let fd = crate::dir::open_path(here.path()).unwrap();
        let quotas = Quotas::of(fd, &here.path().join("node")).unwrap();
        assert!(!quotas.are_enforced());
        assert!(quotas.set_limit(7, 1 << 20).is_err());
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "this kernel needs no node");
    }

    #[test]
    fn where_files_have_no_projects_that_is_no_error() {
        assert_eq!(project_of(std::fs::File::open("/proc/self/status").unwrap()).unwrap(), None);
    }

    #[test]
    fn structures_are_as_long_as_the_kernels() {
        assert_eq!(size_of::<Block>(), 72);
        assert_eq!(size_of::<raw::FileAttributes>(), 28);
    }
}
