//! What has changed in a subvolume since a transaction, without a walk: blocks that no later transaction wrote are
//! passed over by the kernel, with all below them.

use std::collections::HashSet;

use super::search::{self, Key};
use crate::error::{At, Result};
use crate::{AsFd, BorrowedFd};

/// Kinds of items: what stat(2) shows of an inode, and in which directories it has names.
const INODE_ITEM: u32 = 1;
const INODE_REF: u32 = 12;
const INODE_EXTREF: u32 = 13;

/// The numbers of all inodes of the subvolume that changed after the transaction `since`, of what was written out
/// ([`sync_fs`](crate::dir::sync_fs)), and of the directories on the way to them. What was removed shows in its
/// directory, which changed. Needs `CAP_SYS_ADMIN`.
pub fn touched_since(subvolume: impl AsFd, since: u64) -> Result<HashSet<u64>> {
    const OP: &str = "read changes of";
    let fd = subvolume.as_fd();
    let from = Key { object: super::ROOT_INODE, kind: 0, offset: 0 };
    let to = Key { object: u64::MAX, kind: u32::from(u8::MAX), offset: u64::MAX };
    let mut changed = Vec::new();
    search::items(fd, 0, from..=to, since + 1, |key, item| {
        // struct btrfs_inode_item: the transaction that made it, the one that changed it, …
        if key.kind == INODE_ITEM && super::get(item, 8) > since {
            changed.push(key.object);
        }
    })
    .at_fd(OP, fd)?;
    let mut touched = HashSet::new();
    while let Some(inode) = changed.pop() {
        if touched.insert(inode) {
            parents(fd, inode, &mut changed).at_fd(OP, fd)?;
        }
    }
    Ok(touched)
}

/// The directories in which an inode has names.
fn parents(fd: BorrowedFd<'_>, inode: u64, into: &mut Vec<u64>) -> rustix::io::Result<()> {
    let from = Key { object: inode, kind: INODE_REF, offset: 0 };
    let to = Key { object: inode, kind: INODE_EXTREF, offset: u64::MAX };
    search::items(fd, 0, from..=to, 0, |key, item| match key.kind {
        INODE_REF => into.push(key.offset),
        // struct btrfs_inode_extref: the directory, …
        INODE_EXTREF => into.push(super::get(item, 0)),
        _ => {}
    })
}
