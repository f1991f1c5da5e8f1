//! [`FileSystem`]: what a server answers.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::dirbuffer::DirBuffer;
use crate::features::Negotiated;
use crate::types::{
    Attributes, Caller, Entry, Handle, New, NodeId, Open, Opened, SetAttributes, Statfs, Time, Write,
};
use crate::{Errno, Result};

/// A file system: one method for each request of the kernel.
///
/// # Rules
///
/// - **Threads.** The methods are called from several threads at once. The kernel holds the parent's lock while it asks
///   for a change of a directory and the file's lock during a write, nothing else: a look-up, an open or a read can run
///   beside any of them.
/// - **Look-ups are counted.** Each [`Entry`] that a method returned or put into a plus listing with a node counts one
///   look-up of it. [`forget`](Self::forget) takes look-ups back, and a node whose count is 0 is never named again. An
///   answer that the kernel did not take is taken back by the session in the same way; what the kernel still knows
///   when it unmounts, it does not forget one by one.
/// - **Handles.** A handle is named until its [`release`](Self::release) or [`releasedir`](Self::releasedir), exactly
///   one of them, exactly once. It may come, on another thread, as soon as an answer that uses the handle was
///   returned.
/// - **`ENOSYS`** from some methods is remembered by the kernel for the life of the mount, which then does without
///   asking again: `open`, `opendir` (nothing to do; only where [`Negotiated`] says so), `flush`, `fsync`, `fsyncdir`
///   (success), `getxattr`, `setxattr`, `listxattr`, `removexattr`, `fallocate` (`EOPNOTSUPP`), `access` (allowed),
///   `lseek`, `copy_file_range`, `statx`, `tmpfile`, `syncfs` (done without, or by other requests). It is what every
///   method answers that is not written.
/// - **Panics** are answered with `EIO`; the server goes on. What a panic may have left half done is the
///   implementation's matter.
/// - **Invalidation** ([`Notifier`](crate::Notifier)) must not be called with a lock held that a method waits for.
///
/// Permissions are the kernel's to check if the mount has `default_permissions`; the `caller` is there for owning what
/// is made.
#[allow(unused_variables)] // the defaults use none of their arguments
pub trait FileSystem: Sync {
    /// The kernel and the session have agreed. Called once, before any other method.
    fn started(&self, session: &Negotiated) {}

    /// The mount is gone. Called once after the last other method, if `started` was called.
    fn destroy(&self) {}

    /// Finds a name in a directory. `NOENT` is forgotten by the kernel at once; an entry of [`Entry::negative`] is
    /// remembered.
    fn lookup(&self, caller: &Caller, parent: NodeId, name: &OsStr) -> Result<Entry> {
        Err(Errno::NOSYS)
    }

    /// Takes back `lookups` of the look-ups that were counted for `node`.
    fn forget(&self, node: NodeId, lookups: u64) {}

    /// The attributes of a file and how long they may be believed; of the open file, where one is named.
    fn getattr(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Option<Handle>,
    ) -> Result<(Attributes, Duration)> {
        Err(Errno::NOSYS)
    }

    /// The same with the time of birth, if there is one. Linux 6.6 and later ask for it, when a user did.
    fn statx(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Option<Handle>,
    ) -> Result<(Attributes, Duration, Option<Time>)> {
        Err(Errno::NOSYS)
    }

    /// Changes attributes, the length among them; answers the new ones.
    fn setattr(&self, caller: &Caller, node: NodeId, set: &SetAttributes) -> Result<(Attributes, Duration)> {
        Err(Errno::NOSYS)
    }

    /// The target of a symbolic link.
    fn readlink(&self, caller: &Caller, node: NodeId) -> Result<OsString> {
        Err(Errno::NOSYS)
    }

    /// Makes a symbolic link.
    fn symlink(&self, caller: &Caller, parent: NodeId, name: &OsStr, target: &OsStr) -> Result<Entry> {
        Err(Errno::NOSYS)
    }

    /// Makes a file of any type but directory and link.
    fn mknod(&self, caller: &Caller, new: &New<'_>) -> Result<Entry> {
        Err(Errno::NOSYS)
    }

    /// Makes a directory.
    fn mkdir(&self, caller: &Caller, new: &New<'_>) -> Result<Entry> {
        Err(Errno::NOSYS)
    }

    /// Removes a name of a file.
    fn unlink(&self, caller: &Caller, parent: NodeId, name: &OsStr) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// Removes an empty directory.
    fn rmdir(&self, caller: &Caller, parent: NodeId, name: &OsStr) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// Renames; `flags` as of renameat2(2).
    fn rename(
        &self,
        caller: &Caller,
        parent: NodeId,
        name: &OsStr,
        new_parent: NodeId,
        new_name: &OsStr,
        flags: u32,
    ) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// Gives a file one more name.
    fn link(&self, caller: &Caller, node: NodeId, new_parent: NodeId, new_name: &OsStr) -> Result<Entry> {
        Err(Errno::NOSYS)
    }

    /// Opens a file. `STALE` makes the kernel look the name up again and open what it finds then.
    fn open(&self, caller: &Caller, node: NodeId, open: &Open) -> Result<Opened> {
        Err(Errno::NOSYS)
    }

    /// Makes a file and opens it; an existing one is opened, which can happen when two callers create at once.
    fn create(&self, caller: &Caller, new: &New<'_>, open: &Open) -> Result<(Entry, Opened)> {
        Err(Errno::NOSYS)
    }

    /// Makes a file without a name in `new.parent` and opens it: `O_TMPFILE`.
    fn tmpfile(&self, caller: &Caller, new: &New<'_>, open: &Open) -> Result<(Entry, Opened)> {
        Err(Errno::NOSYS)
    }

    /// Reads from `offset` into `buf`; answers how many bytes, fewer than `buf` holds only at the end of the file.
    fn read(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Handle,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize> {
        Err(Errno::NOSYS)
    }

    /// Writes; answers how many bytes.
    fn write(&self, caller: &Caller, write: &Write<'_>) -> Result<usize> {
        Err(Errno::NOSYS)
    }

    /// A descriptor of the open file was closed; the error is what close(2) returns.
    fn flush(&self, caller: &Caller, node: NodeId, handle: Handle) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// Makes the content durable, and the attributes unless `data_only`.
    fn fsync(&self, caller: &Caller, node: NodeId, handle: Handle, data_only: bool) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// The open file has lost its last descriptor and mapping.
    fn release(&self, node: NodeId, handle: Handle) {}

    /// Opens a directory.
    fn opendir(&self, caller: &Caller, node: NodeId, open: &Open) -> Result<Opened> {
        Err(Errno::NOSYS)
    }

    /// The open directory has lost its last descriptor.
    fn releasedir(&self, node: NodeId, handle: Handle) {}

    /// Makes the names in a directory durable.
    fn fsyncdir(&self, caller: &Caller, node: NodeId, handle: Handle, data_only: bool) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// Lists a directory from `offset`: 0, or the `next_offset` of the last entry that the caller has. An empty `out`
    /// is the end. `plus`: the kernel would like the entries to be looked up as well.
    fn readdir(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Handle,
        offset: u64,
        plus: bool,
        out: &mut DirBuffer<'_>,
    ) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// The kernel has the last answer of `readdir` with attributes for this directory, and whoever asked is busy with
    /// it: time to prepare what he asks for next. Nobody waits for this.
    fn listed(&self, node: NodeId, handle: Handle) {}

    /// Space and limits of the file system.
    fn statfs(&self, caller: &Caller, node: NodeId) -> Result<Statfs> {
        Err(Errno::NOSYS)
    }

    /// Sets an extended attribute; `flags` as of setxattr(2). `kill_sgid`: setting an access ACL takes set-group-id
    /// from the file.
    fn setxattr(
        &self,
        caller: &Caller,
        node: NodeId,
        name: &OsStr,
        value: &[u8],
        flags: u32,
        kill_sgid: bool,
    ) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// The whole value of an extended attribute; `NODATA` if it is not set. (Whether it fits is the session's matter.)
    fn getxattr(&self, caller: &Caller, node: NodeId, name: &OsStr) -> Result<Vec<u8>> {
        Err(Errno::NOSYS)
    }

    /// The names of all extended attributes, each ended by a NUL.
    fn listxattr(&self, caller: &Caller, node: NodeId) -> Result<Vec<u8>> {
        Err(Errno::NOSYS)
    }

    /// Removes an extended attribute.
    fn removexattr(&self, caller: &Caller, node: NodeId, name: &OsStr) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// Allocates or frees space; `mode` as of fallocate(2).
    fn fallocate(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Handle,
        offset: u64,
        length: u64,
        mode: u32,
    ) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// Finds data or a hole: `whence` is `SEEK_DATA` or `SEEK_HOLE`.
    fn lseek(&self, caller: &Caller, node: NodeId, handle: Handle, offset: u64, whence: u32) -> Result<u64> {
        Err(Errno::NOSYS)
    }

    /// Copies between two open files of this mount, each with the offset to copy from or to; answers how many bytes.
    fn copy_file_range(
        &self,
        caller: &Caller,
        from: (NodeId, Handle, u64),
        to: (NodeId, Handle, u64),
        len: u64,
        flags: u64,
    ) -> Result<usize> {
        Err(Errno::NOSYS)
    }

    /// Makes everything durable: syncfs(2).
    fn syncfs(&self, node: NodeId) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// An ioctl(2) whose number says how many bytes go in and come out; answers the result and at most `out_size`
    /// bytes.
    fn ioctl(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Handle,
        cmd: u32,
        input: &[u8],
        out_size: u32,
    ) -> Result<(i32, Vec<u8>)> {
        Err(Errno::NOSYS)
    }

    /// Whether the caller may: access(2) and chdir(2) on a mount without `default_permissions`.
    fn access(&self, caller: &Caller, node: NodeId, mask: u32) -> Result<()> {
        Err(Errno::NOSYS)
    }
}
