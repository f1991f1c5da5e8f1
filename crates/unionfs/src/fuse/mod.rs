//! The union as a FUSE file system: the one module that knows what the kernel calls things. It translates; what a
//! request means is said in [`crate::union`] and beside it.
//!
//! Nobody but this mount changes the layers, so the kernel may remember names (also those that are not there),
//! attributes and directories for a day, and is told of what changes behind its back.

mod ahead;
mod listing;
mod open;
mod walkers;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fusewire::{
    Attributes, Backings, Caller, DirBuffer, Entry, FileSystem, Handle, Negotiated, New, NodeId, Notifier,
    Open, Opened, SetAttributes, SetTime, Statfs, Time, Write, device_number, device_parts,
};
use rustix::fs::{
    FallocateFlags, OFlags, RenameFlags, SeekFrom, Statx, StatxTimestamp, Timespec, XattrFlags,
};
use rustix::io::Errno;

use crate::attributes::{self, Change, When};
use crate::backing::{DIR, Result, TYPE};
use crate::create;
use crate::node::{Body, Node, lock};
use crate::union::Union;

use ahead::Changes;
use listing::Directories;
use open::Files;
use walkers::Walkers;

/// How long the attributes of a file that was just made hold, though somebody may write past the server.
const OPENING: Duration = Duration::from_millis(10);

/// After so many forgotten nodes it is worth looking whether memory can be given back.
const TRIM_EVERY: u64 = 1 << 16;

/// A union that is served.
pub struct Served {
    union: Arc<Union>,
    files: Files,
    directories: Directories,
    walkers: Walkers,
    changes: Changes,
    notifier: Notifier,
    forgotten: AtomicU64,
}

impl Served {
    /// A union behind a session. Without `backings` nothing is passed through.
    pub fn new(union: Arc<Union>, notifier: Notifier, backings: Option<Box<dyn Backings>>) -> Self {
        let files = Files::new(backings, union.options.passthrough_from);
        Self {
            union,
            files,
            directories: Directories::default(),
            walkers: Walkers::default(),
            changes: Changes::default(),
            notifier,
            forgotten: AtomicU64::new(0),
        }
    }

    fn node(&self, id: NodeId) -> Result<Arc<Node>> {
        self.union.node(id.0)
    }

    fn ttl(&self) -> Duration {
        self.union.options.timeout
    }

    /// How long attributes may be believed: not at all while somebody writes past the server.
    fn attr_ttl(&self, node: &Node) -> Duration {
        match &node.body {
            Body::Other(other) if lock(&other.passing).writers > 0 => Duration::ZERO,
            _ => self.ttl(),
        }
    }

    fn entry(&self, (node, stat): &(Arc<Node>, Statx)) -> Result<Entry> {
        let shown = self.union.show(node, *stat);
        let attributes = shown.inspect_err(|_| self.union.forget(node.id, 1))?;
        Ok(Entry {
            node: NodeId(node.id),
            attributes: wire(&attributes),
            entry_ttl: self.ttl(),
            attr_ttl: self.attr_ttl(node),
        })
    }

    fn attributes(&self, node: &Node) -> Result<(Attributes, Duration)> {
        Ok((wire(&self.union.attributes(node)?), self.attr_ttl(node)))
    }

    fn make<T>(
        &self,
        caller: &Caller,
        new: &New<'_>,
        make: impl FnOnce(&create::New<'_>) -> Result<T>,
    ) -> Result<T> {
        let parent = self.node(new.parent)?;
        make(&create::New {
            parent: &parent,
            name: new.name,
            mode: new.mode & 0o7777,
            umask: new.umask,
            uid: caller.uid,
            gid: caller.gid,
        })
    }
}

impl FileSystem for Served {
    fn started(&self, session: &Negotiated) {
        self.files.started(session.passthrough);
    }

    fn destroy(&self) {
        self.union.close();
    }

    fn lookup(&self, caller: &Caller, parent: NodeId, name: &OsStr) -> Result<Entry> {
        let parent = self.node(parent)?;
        match self.union.lookup(&parent, name)? {
            None => Ok(Entry::negative(self.ttl())),
            Some(found) => {
                if !found.0.is_dir() {
                    self.walkers.looked_up(caller.pid, parent.dir()?);
                }
                self.entry(&found)
            }
        }
    }

    fn forget(&self, node: NodeId, lookups: u64) {
        self.union.forget(node.0, lookups);
        if self.forgotten.fetch_add(1, Ordering::Relaxed) % TRIM_EVERY == TRIM_EVERY - 1 {
            self.union.trim();
            sys::process::trim_memory();
        }
    }

    fn getattr(&self, _: &Caller, node: NodeId, _: Option<Handle>) -> Result<(Attributes, Duration)> {
        self.attributes(&*self.node(node)?)
    }

    fn statx(
        &self,
        _: &Caller,
        node: NodeId,
        _: Option<Handle>,
    ) -> Result<(Attributes, Duration, Option<Time>)> {
        let node = self.node(node)?;
        let shown = self.union.attributes(&node)?;
        let born = rustix::fs::StatxFlags::BTIME.bits() & shown.stat.stx_mask != 0;
        Ok((wire(&shown), self.attr_ttl(&node), born.then(|| time(shown.stat.stx_btime))))
    }

    fn setattr(&self, _: &Caller, node: NodeId, set: &SetAttributes) -> Result<(Attributes, Duration)> {
        let node = self.node(node)?;
        let when = |time: SetTime| match time {
            SetTime::Now => When::Now,
            SetTime::At(at) => When::At(Timespec { tv_sec: at.seconds, tv_nsec: at.nanos.into() }),
        };
        let change = Change {
            mode: set.mode,
            uid: set.uid,
            gid: set.gid,
            size: set.size,
            atime: set.atime.map(when),
            mtime: set.mtime.map(when),
            // A write past the server comes with nothing set at all (Linux 6.18, union-fs.md §3.3).
            drop_privileges: set.kill_suidgid
                || SetAttributes { handle: None, ..*set } == SetAttributes::default(),
        };
        self.changes.note(self.union.change(&node, &change))?;
        if set.size.is_some() {
            self.files.content_changed(&node);
        }
        self.attributes(&node)
    }

    fn readlink(&self, _: &Caller, node: NodeId) -> Result<OsString> {
        Ok(OsString::from_vec(self.node(node)?.with(|at| at.link_target())?))
    }

    fn symlink(&self, caller: &Caller, parent: NodeId, name: &OsStr, target: &OsStr) -> Result<Entry> {
        let new = New { parent, name, mode: 0o777, umask: 0, rdev: 0 };
        self.entry(&self.make(caller, &new, |new| self.union.symlink(new, target))?)
    }

    fn mknod(&self, caller: &Caller, new: &New<'_>) -> Result<Entry> {
        let device = device_parts(new.rdev);
        self.entry(&self.make(caller, new, |made| self.union.mknod(made, new.mode & TYPE, device))?)
    }

    fn mkdir(&self, caller: &Caller, new: &New<'_>) -> Result<Entry> {
        self.entry(&self.make(caller, new, |new| self.union.mkdir(new))?)
    }

    fn unlink(&self, _: &Caller, parent: NodeId, name: &OsStr) -> Result<()> {
        self.changes.note(self.union.unlink(&self.node(parent)?, name))
    }

    fn rmdir(&self, _: &Caller, parent: NodeId, name: &OsStr) -> Result<()> {
        self.union.rmdir(&self.node(parent)?, name)
    }

    fn rename(
        &self,
        _: &Caller,
        parent: NodeId,
        name: &OsStr,
        new_parent: NodeId,
        new_name: &OsStr,
        flags: u32,
    ) -> Result<()> {
        let flags = RenameFlags::from_bits_retain(flags);
        let (parent, new_parent) = (self.node(parent)?, self.node(new_parent)?);
        self.changes.note(self.union.rename(&parent, name, &new_parent, new_name, flags))
    }

    fn link(&self, _: &Caller, node: NodeId, new_parent: NodeId, new_name: &OsStr) -> Result<Entry> {
        let node = self.node(node)?;
        let stat = self.changes.note(self.union.link(&node, &self.node(new_parent)?, new_name))?;
        self.entry(&(node, stat))
    }

    fn open(&self, _: &Caller, node: NodeId, open: &Open) -> Result<Opened> {
        let opened = self.open_file(&self.node(node)?, open);
        match OFlags::from_bits_retain(open.flags).intersects(OFlags::RWMODE | OFlags::TRUNC) {
            true => self.changes.note(opened),
            false => opened,
        }
    }

    fn create(&self, caller: &Caller, new: &New<'_>, _: &Open) -> Result<(Entry, Opened)> {
        let (node, stat, file) = self.make(caller, new, |new| self.union.create(new))?;
        let opened = self.opened_file(&node, file)?;
        let entry = self.entry(&(node, stat))?;
        // The kernel looks at the attributes once more before the open is done.
        Ok((Entry { attr_ttl: entry.attr_ttl.max(OPENING), ..entry }, opened))
    }

    fn tmpfile(&self, caller: &Caller, new: &New<'_>, _: &Open) -> Result<(Entry, Opened)> {
        let (node, stat, file) = self.make(caller, new, |new| self.union.tmpfile(new))?;
        let opened = self.opened_file(&node, file)?;
        Ok((self.entry(&(node, stat))?, opened))
    }

    fn read(&self, _: &Caller, node: NodeId, handle: Handle, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let file = self.file_of(node, handle)?;
        self.union.read(&file, offset, buf)
    }

    fn write(&self, _: &Caller, write: &Write<'_>) -> Result<usize> {
        let file = self.file_of(write.node, write.handle)?;
        self.changes.note(self.union.write(&file, write.offset, write.data, write.kill_suidgid))
    }

    fn flush(&self, _: &Caller, _: NodeId, _: Handle) -> Result<()> {
        Err(Errno::NOSYS) // nothing to do at a close, now and for ever
    }

    fn fsync(&self, _: &Caller, node: NodeId, handle: Handle, data_only: bool) -> Result<()> {
        let file = self.file_of(node, handle)?;
        self.union.fsync(&file, data_only)
    }

    fn release(&self, _: NodeId, handle: Handle) {
        if self.files.release(handle) {
            self.changes.note(());
        }
    }

    fn opendir(&self, _: &Caller, node: NodeId, _: &Open) -> Result<Opened> {
        Ok(self.directories.open(&self.node(node)?))
    }

    fn releasedir(&self, _: NodeId, handle: Handle) {
        self.close_directory(handle);
    }

    fn fsyncdir(&self, _: &Caller, node: NodeId, _: Handle, _: bool) -> Result<()> {
        self.union.fsync_dir(&*self.node(node)?)
    }

    fn readdir(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Handle,
        offset: u64,
        plus: bool,
        out: &mut DirBuffer<'_>,
    ) -> Result<()> {
        self.read_directory(caller, &self.node(node)?, handle, offset, plus, out)
    }

    fn listed(&self, node: NodeId, handle: Handle) {
        if let Ok(node) = self.node(node) {
            self.read_ahead(&node, handle);
        }
    }

    fn statfs(&self, _: &Caller, _: NodeId) -> Result<Statfs> {
        let st = self.union.statfs()?;
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Statfs {
            blocks: st.f_blocks,
            bfree: st.f_bfree,
            bavail: st.f_bavail,
            files: st.f_files,
            ffree: st.f_ffree,
            bsize: small(st.f_bsize),
            namelen: small(st.f_namemax),
            frsize: small(st.f_frsize),
        })
    }

    fn setxattr(
        &self,
        _: &Caller,
        node: NodeId,
        name: &OsStr,
        value: &[u8],
        flags: u32,
        kill_sgid: bool,
    ) -> Result<()> {
        let flags = XattrFlags::from_bits_retain(flags);
        self.changes.note(self.union.set_xattr(&self.node(node)?, name, value, flags, kill_sgid))
    }

    fn getxattr(&self, _: &Caller, node: NodeId, name: &OsStr) -> Result<Vec<u8>> {
        self.union.xattr(&*self.node(node)?, name)
    }

    fn listxattr(&self, _: &Caller, node: NodeId) -> Result<Vec<u8>> {
        self.union.xattrs(&*self.node(node)?)
    }

    fn removexattr(&self, _: &Caller, node: NodeId, name: &OsStr) -> Result<()> {
        self.changes.note(self.union.remove_xattr(&self.node(node)?, name))
    }

    fn fallocate(
        &self,
        _: &Caller,
        node: NodeId,
        handle: Handle,
        offset: u64,
        length: u64,
        mode: u32,
    ) -> Result<()> {
        let file = self.file_of(node, handle)?;
        let mode = FallocateFlags::from_bits_retain(mode);
        self.changes.note(self.union.fallocate(&file, mode, offset, length))
    }

    fn lseek(&self, _: &Caller, node: NodeId, handle: Handle, offset: u64, whence: u32) -> Result<u64> {
        const SEEK_DATA: u32 = 3;
        const SEEK_HOLE: u32 = 4;
        let to = match whence {
            SEEK_DATA => SeekFrom::Data(offset),
            SEEK_HOLE => SeekFrom::Hole(offset),
            _ => return Err(Errno::INVAL),
        };
        self.union.seek(&*self.file_of(node, handle)?, to)
    }

    fn copy_file_range(
        &self,
        _: &Caller,
        from: (NodeId, Handle, u64),
        to: (NodeId, Handle, u64),
        len: u64,
        _: u64,
    ) -> Result<usize> {
        let input = self.file_of(from.0, from.1)?;
        let output = self.file_of(to.0, to.1)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.changes.note(self.union.copy_range((&input, from.2), (&output, to.2), len))
    }

    fn syncfs(&self, _: NodeId) -> Result<()> {
        self.union.sync()
    }

    fn ioctl(
        &self,
        _: &Caller,
        node: NodeId,
        _: Handle,
        cmd: u32,
        input: &[u8],
        _: u32,
    ) -> Result<(i32, Vec<u8>)> {
        let node = self.node(node)?;
        match cmd {
            GET_FLAGS => Ok((0, self.union.file_flags(&node)?.to_ne_bytes().to_vec())),
            SET_FLAGS => {
                let flags = input.get(..4).and_then(|b| b.try_into().ok()).ok_or(Errno::INVAL)?;
                self.changes.note(self.union.set_file_flags(&node, u32::from_ne_bytes(flags)))?;
                Ok((0, Vec::new()))
            }
            _ => Err(Errno::NOTTY),
        }
    }
}

/// `FS_IOC_GETFLAGS`, which says that it hands over a long and hands over an int.
const GET_FLAGS: u32 = 0x8008_6601;
/// `FS_IOC_SETFLAGS`.
const SET_FLAGS: u32 = 0x4008_6602;

fn wire(shown: &attributes::Attributes) -> Attributes {
    let stat = &shown.stat;
    let mode = u32::from(stat.stx_mode);
    Attributes {
        ino: shown.ino,
        size: stat.stx_size,
        blocks: stat.stx_blocks,
        atime: time(stat.stx_atime),
        mtime: time(stat.stx_mtime),
        ctime: time(stat.stx_ctime),
        mode,
        nlink: if mode & TYPE == DIR { shown.nlink.max(1) } else { shown.nlink },
        uid: shown.uid,
        gid: shown.gid,
        rdev: device_number(stat.stx_rdev_major, stat.stx_rdev_minor),
        blksize: stat.stx_blksize,
    }
}

fn time(stamp: StatxTimestamp) -> Time {
    Time { seconds: stamp.tv_sec, nanos: stamp.tv_nsec }
}
