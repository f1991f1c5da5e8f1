//! The wire: the structures and numbers of protocol 7.45 as `linux/fuse.h` of the kernel's user API defines them
//! (Linux 6.18; the header is offered under the BSD licence also). Fields keep the header's names; only what the crate
//! uses is here. All structures are padded to eight bytes and in the machine's byte order.

pub(crate) mod flags;
pub(crate) mod opcode;
pub(crate) mod replies;
pub(crate) mod requests;

/// Major version of the protocol.
pub(crate) const MAJOR: u32 = 7;
/// The minor version this crate speaks: Linux 6.18.
pub(crate) const MINOR: u32 = 45;
/// The oldest minor version whose structures have today's sizes: Linux 3.15.
pub(crate) const OLDEST_MINOR: u32 = 23;

/// Names of the requests that the server sends by itself: `FUSE_NOTIFY_*`.
pub(crate) mod notify {
    pub(crate) const INVAL_INODE: i32 = 2;
    pub(crate) const INVAL_ENTRY: i32 = 3;
}
