//! Subvolumes of btrfs, and the quotas on them: the ioctls of `linux/btrfs.h`, whose structures are built here byte by
//! byte, in the machine's byte order.
//!
//! A subvolume is a directory that is the root of a file tree of its own. A snapshot is a subvolume that begins as
//! another one was, sharing all its blocks; making one takes the same short time whatever its size. Subvolumes that
//! lie inside are not in it: empty directories stand for them.
//!
//! Quotas count what each subvolume refers to, for a *quota group* of the subvolume's number (level 0). They are
//! switched on for a whole file system.

mod search;
mod touched;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

use crate::error::{At, Error, Result};
use crate::record::{self, Op};
use crate::{AsFd, FileKind, Meta, raw};

pub use touched::touched_since;

/// `f_type` of statfs(2).
pub const MAGIC: u64 = 0x9123_683e;

/// The inode number of every subvolume's root (`BTRFS_FIRST_FREE_OBJECTID`).
const ROOT_INODE: u64 = 256;

const SUBVOL_CREATE: u32 = 0x5000_940e;
const SNAP_DESTROY: u32 = 0x5000_940f;
const INO_LOOKUP: u32 = 0xd000_9412;
const SNAP_CREATE_V2: u32 = 0x5000_9417;
const QUOTA_CTL: u32 = 0xc010_9428;
const QGROUP_CREATE: u32 = 0x4010_942a;
const QGROUP_LIMIT: u32 = 0x8030_942b;
const QUOTA_RESCAN: u32 = 0x4040_942c;
const QUOTA_RESCAN_WAIT: u32 = 0x942e;
const GET_SUBVOL_INFO: u32 = 0x81f8_943c;

/// Whether something on a btrfs is the root of a subvolume. Elsewhere the number means nothing.
pub fn is_subvolume(meta: &Meta) -> bool {
    meta.kind == FileKind::Dir && meta.ino == ROOT_INODE
}

/// Makes the empty subvolume `name`, with mode 0777 less the umask.
pub fn create(dir: impl AsFd, name: &OsStr) -> Result<()> {
    const OP: &str = "create subvolume";
    let mut args = named(&dir, name, OP, 8)?; // struct btrfs_ioctl_vol_args
    raw::plain_ioctl(dir.as_fd(), SUBVOL_CREATE, &mut args).at_name(OP, &dir, name)?;
    record::log(|| Op::Subvolume { path: record::path(&dir, name), of: None });
    Ok(())
}

/// Makes the subvolume `name` as a writable snapshot of `source`, which must be the root of a subvolume (`EINVAL`)
/// of the same file system (`EXDEV`).
pub fn snapshot(source: impl AsFd, dir: impl AsFd, name: &OsStr) -> Result<()> {
    use std::os::fd::AsRawFd as _;
    const OP: &str = "create snapshot";
    let mut args = named(&dir, name, OP, 56)?; // struct btrfs_ioctl_vol_args_v2
    put(&mut args, 0, u64::from(source.as_fd().as_raw_fd().unsigned_abs()));
    raw::plain_ioctl(dir.as_fd(), SNAP_CREATE_V2, &mut args).at_name(OP, &dir, name)?;
    record::log(|| Op::Subvolume {
        path: record::path(&dir, name),
        of: Some(crate::error::path_of(&source)),
    });
    Ok(())
}

/// Removes the subvolume `name` with all that is in it. It is gone when this returns; its space comes back in the
/// background, also after a crash. Not before [`sync_fs`](crate::dir::sync_fs) is it durable.
///
/// # Errors
/// `ENOTEMPTY` if it has subvolumes inside; `EINVAL` if it is none; `EPERM` without `CAP_SYS_ADMIN`.
pub fn destroy(dir: impl AsFd, name: &OsStr) -> Result<()> {
    const OP: &str = "destroy subvolume";
    let mut args = named(&dir, name, OP, 8)?;
    raw::plain_ioctl(dir.as_fd(), SNAP_DESTROY, &mut args).at_name(OP, &dir, name)?;
    record::log(|| Op::DestroySubvolume { path: record::path(&dir, name) });
    Ok(())
}

/// The number of the subvolume that a file or directory is in.
pub fn subvolume_id(fd: impl AsFd) -> Result<u64> {
    let mut args = vec![0; 4096]; // struct btrfs_ioctl_ino_lookup_args: treeid, objectid, name
    put(&mut args, 8, ROOT_INODE);
    raw::plain_ioctl(fd.as_fd(), INO_LOOKUP, &mut args).at_fd("find subvolume of", &fd)?;
    Ok(get(&args, 0))
}

/// What the file system knows of a subvolume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Its number.
    pub id: u64,
    /// The transaction that last changed something in it, of what was written out ([`sync_fs`](crate::dir::sync_fs)).
    pub generation: u64,
    /// The transaction that made it.
    pub created: u64,
    /// Its own identity.
    pub uuid: [u8; 16],
    /// The identity of what it is a snapshot of; zeros if it is none.
    pub parent: [u8; 16],
}

/// What the file system knows of the subvolume that a file or directory is in (Linux 4.18).
pub fn info(fd: impl AsFd) -> Result<Info> {
    // struct btrfs_ioctl_get_subvol_info_args: treeid, name, parent, directory, generation, flags, uuid, parent_uuid,
    // received_uuid, ctransid, otransid, …
    let mut args = vec![0; 504];
    raw::plain_ioctl(fd.as_fd(), GET_SUBVOL_INFO, &mut args).at_fd("examine subvolume", &fd)?;
    let uuid = |at: usize| {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&args[at..at + 16]);
        uuid
    };
    Ok(Info {
        id: get(&args, 0),
        generation: get(&args, 280),
        created: get(&args, 352),
        uuid: uuid(296),
        parent: uuid(312),
    })
}

/// How the quotas of a file system stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaStatus {
    /// All is being counted anew.
    pub rescanning: bool,
    /// The counters are known to be wrong.
    pub inconsistent: bool,
}

/// How the quotas of the file system stand; `None` if they are off. Needs `CAP_SYS_ADMIN`.
pub fn quota_status(fd: impl AsFd) -> Result<Option<QuotaStatus>> {
    const STATUS: u32 = 240; // BTRFS_QGROUP_STATUS_KEY: version, generation, flags, rescan
    let status = |item: Vec<u8>| {
        let flags = get(&item, 16);
        let status = QuotaStatus { rescanning: flags & 2 != 0, inconsistent: flags & 4 != 0 };
        (flags & 1 != 0).then_some(status)
    };
    Ok(quota_item(fd, STATUS, 0)?.and_then(status))
}

/// Switches quotas on, which begins to count everything; [`wait_for_rescan`] waits for the end of that.
pub fn enable_quota(fd: impl AsFd) -> Result<()> {
    let mut args = [0; 16]; // struct btrfs_ioctl_quota_ctl_args: cmd, status
    put(&mut args, 0, 1); // BTRFS_QUOTA_CTL_ENABLE
    raw::plain_ioctl(fd.as_fd(), QUOTA_CTL, &mut args).at_fd("enable quotas of", &fd)
}

/// Begins to count everything anew, unless that is going on already.
pub fn rescan_quota(fd: impl AsFd) -> Result<()> {
    match raw::plain_ioctl(fd.as_fd(), QUOTA_RESCAN, &mut [0; 64]) {
        Err(Errno::INPROGRESS) => Ok(()),
        other => other.at_fd("rescan quotas of", &fd),
    }
}

/// Waits until everything is counted.
pub fn wait_for_rescan(fd: impl AsFd) -> Result<()> {
    raw::plain_ioctl(fd.as_fd(), QUOTA_RESCAN_WAIT, &mut []).at_fd("wait for quotas of", &fd)
}

/// Lets the subvolume whose root this is refer to at most so many bytes, those that it shares with others included.
/// Who writes more gets `EDQUOT`.
pub fn set_limit(subvolume: impl AsFd, bytes: u64) -> Result<()> {
    let mut args = [0; 48]; // struct btrfs_ioctl_qgroup_limit_args: qgroupid (0: this one), flags, max_rfer, …
    put(&mut args, 8, 1); // BTRFS_QGROUP_LIMIT_MAX_RFER
    put(&mut args, 16, bytes);
    raw::plain_ioctl(subvolume.as_fd(), QGROUP_LIMIT, &mut args).at_fd("limit subvolume", &subvolume)
}

/// The limit of the subvolume of this number, if it has one. Needs `CAP_SYS_ADMIN`.
pub fn limit(fd: impl AsFd, subvolume: u64) -> Result<Option<u64>> {
    const LIMIT: u32 = 244; // BTRFS_QGROUP_LIMIT_KEY: flags, max_rfer, …
    let item = quota_item(fd, LIMIT, subvolume)?;
    Ok(item.and_then(|item| (get(&item, 0) & 1 != 0).then(|| get(&item, 8))))
}

/// What a subvolume refers to, in bytes, as it was last written out ([`sync_fs`](crate::dir::sync_fs)). With what the
/// file system itself needs for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// All of it.
    pub referenced: u64,
    /// What no other subvolume refers to.
    pub exclusive: u64,
}

/// The counters of the subvolume of this number; `None` if nobody counts. Needs `CAP_SYS_ADMIN`.
pub fn usage(fd: impl AsFd, subvolume: u64) -> Result<Option<Usage>> {
    const INFO: u32 = 242; // BTRFS_QGROUP_INFO_KEY: generation, rfer, rfer_cmpr, excl, excl_cmpr
    let item = quota_item(fd, INFO, subvolume)?;
    Ok(item.map(|item| Usage { referenced: get(&item, 8), exclusive: get(&item, 24) }))
}

/// Forgets the counters of a subvolume that is about to be destroyed, or is: new kernels do the former by themselves
/// (and say `EBUSY` here), old ones neither.
pub fn forget_usage(fd: impl AsFd, subvolume: u64) -> Result<()> {
    let mut args = [0; 16]; // struct btrfs_ioctl_qgroup_create_args: create, qgroupid
    put(&mut args, 8, subvolume);
    raw::plain_ioctl(fd.as_fd(), QGROUP_CREATE, &mut args).at_fd("forget quota group of", &fd)
}

/// Reads an item of the tree of quotas.
fn quota_item(fd: impl AsFd, kind: u32, offset: u64) -> Result<Option<Vec<u8>>> {
    const QUOTA_TREE: u64 = 8;
    let key = search::Key { object: 0, kind, offset };
    let mut found = None;
    let result = search::items(fd.as_fd(), QUOTA_TREE, key..=key, 0, |_, item| found = Some(item.to_vec()));
    match result {
        // There is no such tree: quotas have never been on.
        Err(Errno::NOENT) => Ok(None),
        other => other.at_fd("read quotas of", &fd).map(|()| found),
    }
}

/// A structure of 4096 bytes that ends with a name.
fn named(dir: impl AsFd, name: &OsStr, op: &'static str, at: usize) -> Result<Vec<u8>> {
    let bytes = crate::dir::component(op, &dir, name)?.as_bytes();
    if bytes.len() > 255 {
        return Err(Error::new(op, crate::error::path_of(dir).join(name), Errno::NAMETOOLONG));
    }
    let mut args = vec![0; 4096];
    args[at..at + bytes.len()].copy_from_slice(bytes);
    Ok(args)
}

fn put(args: &mut [u8], at: usize, value: u64) {
    args[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

/// A number of an answer; 0 where the answer is too short to have it.
fn get(args: &[u8], at: usize) -> u64 {
    let bytes = args.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    u64::from_ne_bytes(bytes.unwrap_or_default())
}
