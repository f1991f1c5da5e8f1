//! Reading the file system's own trees: `BTRFS_IOC_TREE_SEARCH`. Needs `CAP_SYS_ADMIN`.

use std::ops::RangeInclusive;

use rustix::io::{Errno, Result};

use super::{get, put};
use crate::{BorrowedFd, raw};

const TREE_SEARCH: u32 = 0xd000_9411;

/// Where an item is in a tree. They are sorted by these, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub object: u64,
    pub kind: u32,
    pub offset: u64,
}

impl Key {
    /// The one after it.
    fn next(self) -> Option<Self> {
        let Key { object, kind, offset } = self;
        if let Some(offset) = offset.checked_add(1) {
            return Some(Key { object, kind, offset });
        }
        if kind < u32::from(u8::MAX) {
            return Some(Key { object, kind: kind + 1, offset: 0 });
        }
        Some(Key { object: object.checked_add(1)?, kind: 0, offset: 0 })
    }
}

/// Shows the items of a tree (0: that of the subvolume of `fd`) in a range of keys, in order, of those blocks that
/// were written by transaction `since` or later. An item too long for the buffer comes empty.
pub(super) fn items(
    fd: BorrowedFd<'_>,
    tree: u64,
    range: RangeInclusive<Key>,
    since: u64,
    mut show: impl FnMut(Key, &[u8]),
) -> Result<()> {
    let mut from = *range.start();
    loop {
        // struct btrfs_ioctl_search_args: tree, objects, offsets and transactions from and to, kinds from and to, the
        // number of items wanted, and found; at 104 the items, each behind a header.
        let mut args = vec![0; 4096];
        let to = range.end();
        for (at, value) in
            [tree, from.object, to.object, from.offset, to.offset, since, u64::MAX].iter().enumerate()
        {
            put(&mut args, at * 8, *value);
        }
        for (at, value) in [(56, from.kind), (60, to.kind), (64, u32::MAX)] {
            args[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        raw::plain_ioctl(fd, TREE_SEARCH, &mut args)?;
        let mut at = 104;
        let mut last = None;
        for _ in 0..half(&args, 64) {
            // Transaction, object, offset, kind, length.
            let key =
                Key { object: get(&args, at + 8), kind: half(&args, at + 24), offset: get(&args, at + 16) };
            let length = half(&args, at + 28) as usize;
            let item = args.get(at + 32..at + 32 + length).ok_or(Errno::IO)?;
            show(key, item);
            last = Some(key);
            at += 32 + length;
        }
        match last.and_then(Key::next) {
            Some(next) if next <= *to => from = next,
            _ => return Ok(()),
        }
    }
}

/// A 32-bit number of an answer; 0 where the answer is too short to have it.
fn half(args: &[u8], at: usize) -> u32 {
    let bytes = args.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    u32::from_ne_bytes(bytes.unwrap_or_default())
}
