//! What requests and answers are made of, in the words of a file system rather than of the wire.

use std::ffi::OsStr;
use std::ops::{BitOr, BitOrAssign};
use std::time::Duration;

use crate::backing::BackingId;

/// A file as the kernel and the server name it between them: a number that the server chooses, not the inode number
/// that users see. It stays valid until the kernel has forgotten it as often as it was told it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The root of the mount, which the kernel knows from the start.
    pub const ROOT: Self = Self(1);

    /// In an [`Entry`]: there is no such name, and the kernel may remember that. In a directory listing: nothing is
    /// said about the entry but its name.
    pub const NONE: Self = Self(0);
}

/// An open file or directory: a number that the server chooses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Handle(pub u64);

/// Who asked: the file system ids and the thread of the caller, as the namespaces of the mount show them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// User id; `u32::MAX` where the caller's has no number in the mount's user namespace.
    pub uid: u32,
    /// Group id, likewise.
    pub gid: u32,
    /// Thread id; 0 for what the kernel does by itself, such as writing back.
    pub pid: u32,
}

/// A moment, counted from 1970. Before that `seconds` is negative, and `nanos` still counts upwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// What stat(2) shows of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes {
    /// The inode number that users see.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Used space in units of 512 bytes.
    pub blocks: u64,
    /// Last read.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of the attributes.
    pub ctime: Time,
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// Number of names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number in the kernel's 32-bit form, see [`device_number`].
    pub rdev: u32,
    /// Preferred size of reads and writes in bytes; 0 leaves it to the kernel.
    pub blksize: u32,
}

/// The 32-bit form of a device number in which the kernel and its servers exchange it: the low byte of the minor
/// number, 12 bits of the major one, the other 12 bits of the minor one.
pub fn device_number(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xfff00) << 12
}

/// The major and the minor number in a 32-bit device number, the reverse of [`device_number`].
pub fn device_parts(number: u32) -> (u32, u32) {
    (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00)
}

/// The answer to a look-up. Handing one out counts as one look-up of its node, unless that is [`NodeId::NONE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The file; [`NodeId::NONE`]: no such name, to be remembered for `entry_ttl`.
    pub node: NodeId,
    /// What it is.
    pub attributes: Attributes,
    /// How long the kernel may believe in the name without asking.
    pub entry_ttl: Duration,
    /// How long it may believe in the attributes.
    pub attr_ttl: Duration,
}

impl Entry {
    /// There is no such name, and the kernel need not ask again for `ttl`.
    pub fn negative(ttl: Duration) -> Self {
        Self {
            node: NodeId::NONE,
            attributes: Attributes::default(),
            entry_ttl: ttl,
            attr_ttl: Duration::ZERO,
        }
    }
}

/// How the kernel is to treat an open file: `FOPEN_*` of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenFlags(pub(crate) u32);

impl OpenFlags {
    /// Reads and writes go past the page cache.
    pub const DIRECT_IO: Self = Self(1);
    /// What the page cache holds of the file, or of the directory's list, is still right.
    pub const KEEP_CACHE: Self = Self(1 << 1);
    /// lseek(2) is refused.
    pub const NONSEEKABLE: Self = Self(1 << 2);
    /// The kernel may keep the directory's list.
    pub const CACHE_DIR: Self = Self(1 << 3);
    /// The file has no position at all.
    pub const STREAM: Self = Self(1 << 4);
    /// Closing a descriptor needs no FLUSH.
    pub const NOFLUSH: Self = Self(1 << 5);
    /// With `DIRECT_IO`: writers of one file need not wait for each other.
    pub const PARALLEL_DIRECT_WRITES: Self = Self(1 << 6);
    /// Reads and writes go to the backing file. Set by [`Opened::backing`].
    pub(crate) const PASSTHROUGH: Self = Self(1 << 7);

    /// No flag.
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Whether all of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for OpenFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for OpenFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The answer to an open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// The number under which the kernel will name the open file, and release it once.
    pub handle: Handle,
    /// How to treat it.
    pub flags: OpenFlags,
    /// Reads, writes and mappings go to this file without asking the server. All opens of one node at one time must
    /// name the same one, or none of them any: the kernel answers `EIO` to the user otherwise.
    pub backing: Option<BackingId>,
}

/// How a file is to be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open {
    /// `O_*` as given to open(2), without `O_CREAT`, `O_EXCL` and `O_NOCTTY`, which the kernel has dealt with.
    pub flags: u32,
    /// With `O_TRUNC`: the caller may not keep set-user-id and set-group-id; see [`SetAttributes::kill_suidgid`].
    pub kill_suidgid: bool,
}

/// A file to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct New<'a> {
    /// The directory.
    pub parent: NodeId,
    /// The name; empty for a file without one.
    pub name: &'a OsStr,
    /// Type and permissions, before `umask` is applied.
    pub mode: u32,
    /// The caller's umask. It does not apply where the directory has a default ACL.
    pub umask: u32,
    /// Device number, see [`device_parts`]; of mknod alone.
    pub rdev: u32,
}

/// A new access or modification time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// The time at which it is set.
    Now,
    /// This time.
    At(Time),
}

/// What to change; everything else stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttributes {
    /// The open file through which the change was asked for: ftruncate(2).
    pub handle: Option<Handle>,
    /// New permissions.
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New length.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<SetTime>,
    /// New modification time.
    pub mtime: Option<SetTime>,
    /// New change time: only from a kernel that caches writes.
    pub ctime: Option<Time>,
    /// The server is to take set-user-id away, set-group-id if the group may execute, and file capabilities. Comes
    /// alone too, before a write: the kernel leaves it to the server (`FUSE_HANDLE_KILLPRIV_V2`).
    pub kill_suidgid: bool,
}

/// A write. The data is borrowed from the buffer of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write<'a> {
    /// The file.
    pub node: NodeId,
    /// Through which open file; a guess if `from_cache`.
    pub handle: Handle,
    /// Where, in bytes.
    pub offset: u64,
    /// What.
    pub data: &'a [u8],
    /// It comes from the page cache: it may have been written by somebody else, some time ago.
    pub from_cache: bool,
    /// See [`SetAttributes::kill_suidgid`].
    pub kill_suidgid: bool,
}

/// What statfs(2) shows. Counts are in units of `frsize`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statfs {
    /// Size.
    pub blocks: u64,
    /// Free.
    pub bfree: u64,
    /// Free for users who are not root.
    pub bavail: u64,
    /// Inodes there can be.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
    /// Preferred size of reads and writes, bytes.
    pub bsize: u32,
    /// Longest name, bytes.
    pub namelen: u32,
    /// Unit of the counts, bytes.
    pub frsize: u32,
}
