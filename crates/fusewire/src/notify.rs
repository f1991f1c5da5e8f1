//! [`Notifier`]: what the server tells the kernel unasked.

use std::ffi::OsStr;
use std::io::IoSlice;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use zerocopy::IntoBytes;

use crate::proto::flags::EXPIRE_ONLY;
use crate::proto::notify;
use crate::proto::replies::{InvalEntryOut, InvalInodeOut};
use crate::types::NodeId;
use crate::{Result, reply};

/// Makes the kernel drop what it remembers. Every call waits for locks that requests under way may hold: of a
/// directory, while a name in it is looked up or changed; of pages, while they are read. So call it without holding
/// anything that a method of [`FileSystem`](crate::FileSystem) waits for, and not out of a method about the same
/// directory. What the kernel does not remember is no error.
#[derive(Clone, Debug)]
pub struct Notifier {
    device: Arc<OwnedFd>,
}

impl Notifier {
    pub(crate) fn new(device: Arc<OwnedFd>) -> Self {
        Self { device }
    }

    /// Drops the attributes of a node and the pages of `len` bytes from `offset`: `len` 0 is to the end, a negative
    /// `offset` spares the pages.
    pub fn inval_inode(&self, node: NodeId, offset: i64, len: i64) -> Result<()> {
        let message = InvalInodeOut { ino: node.0, off: offset, len };
        self.send(notify::INVAL_INODE, &[IoSlice::new(message.as_bytes())])
    }

    /// Drops a name. `expire_only`: it is only asked for again at its next use, so that what is mounted or open below
    /// is left alone (where [`Negotiated`](crate::Negotiated) has `expire_only`).
    pub fn inval_entry(&self, parent: NodeId, name: &OsStr, expire_only: bool) -> Result<()> {
        let namelen = u32::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?;
        let flags = if expire_only { EXPIRE_ONLY } else { 0 };
        let message = InvalEntryOut { parent: parent.0, namelen, flags };
        let name = [name.as_bytes(), &[0]].concat();
        self.send(notify::INVAL_ENTRY, &[IoSlice::new(message.as_bytes()), IoSlice::new(&name)])
    }

    fn send(&self, code: i32, parts: &[IoSlice<'_>]) -> Result<()> {
        match reply::write(self.device.as_fd(), 0, code, parts) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }
}
