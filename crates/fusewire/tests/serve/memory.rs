//! A file system in memory: just enough to see the protocol work.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use fusewire::{
    Attributes, BackingId, Caller, DirBuffer, Entry, Errno, FileSystem, Handle, Negotiated, New, NodeId,
    Open, OpenFlags, Opened, Result, SetAttributes, SetTime, Statfs, Time, Write,
};

pub const DAY: Duration = Duration::from_secs(86_400);
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
/// The time of birth of every file.
pub const BIRTH: Time = Time { seconds: 1_000, nanos: 7 };

#[derive(Default)]
struct Node {
    attributes: Attributes,
    names: BTreeMap<OsString, NodeId>,
    data: Vec<u8>,
    xattrs: BTreeMap<OsString, Vec<u8>>,
    lookups: u64,
}

pub struct Memory {
    nodes: Mutex<HashMap<NodeId, Node>>,
    last: AtomicU64,
    pub negotiated: OnceLock<Negotiated>,
    pub reads: AtomicU64,
    pub releases: AtomicU64,
    pub destroyed: AtomicU64,
    /// Stands behind every file that is opened.
    pub backing: OnceLock<BackingId>,
    /// How many look-ups of `wait …` are under way; `None`, they need not wait any more.
    waiting: Mutex<Option<usize>>,
    waiting_changed: Condvar,
}

impl Memory {
    pub fn new() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let root =
            Attributes { ino: 1, mode: DIRECTORY | 0o755, nlink: 2, uid, gid, ..Attributes::default() };
        Self {
            nodes: Mutex::new([(NodeId::ROOT, Node { attributes: root, ..Node::default() })].into()),
            last: AtomicU64::new(1),
            negotiated: OnceLock::new(),
            reads: AtomicU64::new(0),
            releases: AtomicU64::new(0),
            destroyed: AtomicU64::new(0),
            backing: OnceLock::new(),
            waiting: Mutex::new(Some(0)),
            waiting_changed: Condvar::new(),
        }
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, Node>> {
        self.nodes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The look-ups that the kernel has not taken back, of the file of that number.
    pub fn lookups(&self, node: NodeId) -> u64 {
        self.nodes().get(&node).map_or(0, |node| node.lookups)
    }

    /// Waits until so many look-ups of `wait …` have come.
    pub fn until_waiting(&self, count: usize) {
        let waiting = self.waiting.lock().unwrap();
        drop(self.waiting_changed.wait_while(waiting, |waiting| waiting.is_some_and(|n| n < count)).unwrap());
    }

    /// Lets them be answered.
    pub fn end_waiting(&self) {
        *self.waiting.lock().unwrap() = None;
        self.waiting_changed.notify_all();
    }

    fn wait(&self) {
        let mut waiting = self.waiting.lock().unwrap();
        *waiting = waiting.map(|n| n + 1);
        self.waiting_changed.notify_all();
        drop(self.waiting_changed.wait_while(waiting, |waiting| waiting.is_some()).unwrap());
    }

    /// Changes a file without the kernel.
    pub fn set_data(&self, node: NodeId, data: &[u8]) {
        let mut nodes = self.nodes();
        let node = nodes.get_mut(&node).unwrap();
        node.data = data.to_vec();
        node.attributes.size = data.len() as u64;
    }

    fn entry(node: NodeId, of: &mut Node) -> Entry {
        of.lookups += 1;
        Entry { node, attributes: of.attributes, entry_ttl: DAY, attr_ttl: DAY }
    }

    fn add(&self, caller: &Caller, new: &New<'_>, data: &[u8]) -> Result<Entry> {
        let id = NodeId(self.last.fetch_add(1, Ordering::SeqCst) + 1);
        let attributes = Attributes {
            ino: id.0,
            mode: new.mode & !new.umask,
            nlink: if new.name.is_empty() { 0 } else { 1 },
            size: data.len() as u64,
            uid: caller.uid,
            gid: caller.gid,
            rdev: new.rdev,
            ..Attributes::default()
        };
        let mut node = Node { attributes, data: data.to_vec(), ..Node::default() };
        let mut nodes = self.nodes();
        if !new.name.is_empty() {
            let parent = nodes.get_mut(&new.parent).ok_or(Errno::STALE)?;
            parent.names.insert(new.name.to_owned(), id);
        }
        let entry = Self::entry(id, &mut node);
        nodes.insert(id, node);
        Ok(entry)
    }

    fn remove(&self, parent: NodeId, name: &OsStr) -> Result<()> {
        let mut nodes = self.nodes();
        let parent = nodes.get_mut(&parent).ok_or(Errno::STALE)?;
        let id = parent.names.remove(name).ok_or(Errno::NOENT)?;
        nodes.get_mut(&id).ok_or(Errno::IO)?.attributes.nlink -= 1;
        Ok(())
    }
}

const OPENED: Opened = Opened { handle: Handle(77), flags: OpenFlags::empty(), backing: None };

impl FileSystem for Memory {
    fn started(&self, session: &Negotiated) {
        self.negotiated.set(*session).unwrap();
    }

    fn destroy(&self) {
        self.destroyed.fetch_add(1, Ordering::SeqCst);
    }

    fn lookup(&self, _: &Caller, parent: NodeId, name: &OsStr) -> Result<Entry> {
        assert!(name != "panic", "as this test wants it");
        if name.as_bytes().starts_with(b"wait ") {
            self.wait();
        }
        let mut nodes = self.nodes();
        let Some(id) = nodes.get(&parent).ok_or(Errno::STALE)?.names.get(name).copied() else {
            return Ok(Entry::negative(DAY));
        };
        nodes.get_mut(&id).map(|node| Self::entry(id, node)).ok_or(Errno::IO)
    }

    fn forget(&self, node: NodeId, lookups: u64) {
        if let Some(node) = self.nodes().get_mut(&node) {
            node.lookups -= lookups;
        }
    }

    fn getattr(&self, _: &Caller, node: NodeId, _: Option<Handle>) -> Result<(Attributes, Duration)> {
        self.nodes().get(&node).map(|node| (node.attributes, DAY)).ok_or(Errno::STALE)
    }

    fn statx(
        &self,
        caller: &Caller,
        node: NodeId,
        handle: Option<Handle>,
    ) -> Result<(Attributes, Duration, Option<Time>)> {
        let (attributes, ttl) = self.getattr(caller, node, handle)?;
        Ok((attributes, ttl, Some(BIRTH)))
    }

    fn setattr(&self, caller: &Caller, node: NodeId, set: &SetAttributes) -> Result<(Attributes, Duration)> {
        let time = |set: SetTime| match set {
            SetTime::Now => Time { seconds: 1, nanos: 0 },
            SetTime::At(time) => time,
        };
        {
            let mut nodes = self.nodes();
            let node = nodes.get_mut(&node).ok_or(Errno::STALE)?;
            let a = &mut node.attributes;
            a.mode = a.mode & 0o170_000 | set.mode.unwrap_or(a.mode) & 0o7777;
            a.uid = set.uid.unwrap_or(a.uid);
            a.gid = set.gid.unwrap_or(a.gid);
            a.atime = set.atime.map_or(a.atime, time);
            a.mtime = set.mtime.map_or(a.mtime, time);
            if let Some(size) = set.size {
                a.size = size;
                node.data.resize(usize::try_from(size).unwrap(), 0);
            }
        }
        self.getattr(caller, node, None)
    }

    fn readlink(&self, _: &Caller, node: NodeId) -> Result<OsString> {
        self.nodes().get(&node).map(|node| OsStr::from_bytes(&node.data).to_owned()).ok_or(Errno::STALE)
    }

    fn symlink(&self, caller: &Caller, parent: NodeId, name: &OsStr, target: &OsStr) -> Result<Entry> {
        let new = New { parent, name, mode: LINK | 0o777, umask: 0, rdev: 0 };
        self.add(caller, &new, target.as_bytes())
    }

    fn mknod(&self, caller: &Caller, new: &New<'_>) -> Result<Entry> {
        self.add(caller, new, &[])
    }

    fn mkdir(&self, caller: &Caller, new: &New<'_>) -> Result<Entry> {
        self.add(caller, new, &[])
    }

    fn unlink(&self, _: &Caller, parent: NodeId, name: &OsStr) -> Result<()> {
        self.remove(parent, name)
    }

    fn rmdir(&self, _: &Caller, parent: NodeId, name: &OsStr) -> Result<()> {
        self.remove(parent, name)
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
        if flags != 0 {
            return Err(Errno::INVAL);
        }
        let mut nodes = self.nodes();
        let id = nodes.get_mut(&parent).and_then(|node| node.names.remove(name)).ok_or(Errno::NOENT)?;
        nodes.get_mut(&new_parent).ok_or(Errno::STALE)?.names.insert(new_name.to_owned(), id);
        Ok(())
    }

    fn link(&self, _: &Caller, node: NodeId, new_parent: NodeId, new_name: &OsStr) -> Result<Entry> {
        let mut nodes = self.nodes();
        nodes.get_mut(&new_parent).ok_or(Errno::STALE)?.names.insert(new_name.to_owned(), node);
        let linked = nodes.get_mut(&node).ok_or(Errno::STALE)?;
        linked.attributes.nlink += 1;
        Ok(Self::entry(node, linked))
    }

    fn open(&self, _: &Caller, _: NodeId, _: &Open) -> Result<Opened> {
        Ok(Opened { backing: self.backing.get().copied(), ..OPENED })
    }

    fn create(&self, caller: &Caller, new: &New<'_>, _: &Open) -> Result<(Entry, Opened)> {
        Ok((self.add(caller, new, &[])?, OPENED))
    }

    fn tmpfile(&self, caller: &Caller, new: &New<'_>, _: &Open) -> Result<(Entry, Opened)> {
        assert!(new.name.is_empty());
        Ok((self.add(caller, new, &[])?, OPENED))
    }

    fn read(&self, _: &Caller, node: NodeId, handle: Handle, offset: u64, buf: &mut [u8]) -> Result<usize> {
        assert_eq!(handle, OPENED.handle);
        self.reads.fetch_add(1, Ordering::SeqCst);
        let nodes = self.nodes();
        let data = &nodes.get(&node).ok_or(Errno::STALE)?.data;
        let from = data.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let len = from.len().min(buf.len());
        buf[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn write(&self, _: &Caller, write: &Write<'_>) -> Result<usize> {
        let mut nodes = self.nodes();
        let node = nodes.get_mut(&write.node).ok_or(Errno::STALE)?;
        let start = usize::try_from(write.offset).unwrap();
        let end = start + write.data.len();
        if node.data.len() < end {
            node.data.resize(end, 0);
        }
        node.data[start..end].copy_from_slice(write.data);
        node.attributes.size = node.data.len() as u64;
        Ok(write.data.len())
    }

    fn release(&self, _: NodeId, handle: Handle) {
        assert_eq!(handle, OPENED.handle);
        self.releases.fetch_add(1, Ordering::SeqCst);
    }

    fn opendir(&self, _: &Caller, _: NodeId, _: &Open) -> Result<Opened> {
        Ok(OPENED)
    }

    fn readdir(
        &self,
        _: &Caller,
        node: NodeId,
        _: Handle,
        offset: u64,
        plus: bool,
        out: &mut DirBuffer<'_>,
    ) -> Result<()> {
        let mut nodes = self.nodes();
        let names = nodes.get(&node).ok_or(Errno::STALE)?.names.clone();
        for (at, (name, id)) in (0_u64..).zip(&names).skip(usize::try_from(offset).unwrap()) {
            let name = name.as_bytes();
            if !out.fits(name.len(), plus) {
                break;
            }
            let child = nodes.get_mut(id).ok_or(Errno::IO)?;
            let kind = child.attributes.mode >> 12;
            // Every third entry goes without a look-up, as a server may choose.
            let added = if plus && at % 3 != 0 {
                out.add_plus(Some(&Self::entry(*id, child)), id.0, at + 1, kind, name)
            } else if plus {
                out.add_plus(None, id.0, at + 1, kind, name)
            } else {
                out.add(id.0, at + 1, kind, name)
            };
            assert!(added, "it did fit");
        }
        Ok(())
    }

    fn statfs(&self, _: &Caller, _: NodeId) -> Result<Statfs> {
        Ok(Statfs {
            blocks: 1000,
            bfree: 600,
            bavail: 500,
            bsize: 4096,
            frsize: 4096,
            namelen: 255,
            ..Statfs::default()
        })
    }

    fn setxattr(&self, _: &Caller, node: NodeId, name: &OsStr, value: &[u8], _: u32, _: bool) -> Result<()> {
        let mut nodes = self.nodes();
        nodes.get_mut(&node).ok_or(Errno::STALE)?.xattrs.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    fn getxattr(&self, _: &Caller, node: NodeId, name: &OsStr) -> Result<Vec<u8>> {
        self.nodes().get(&node).ok_or(Errno::STALE)?.xattrs.get(name).cloned().ok_or(Errno::NODATA)
    }

    fn listxattr(&self, _: &Caller, node: NodeId) -> Result<Vec<u8>> {
        let nodes = self.nodes();
        let names = nodes.get(&node).ok_or(Errno::STALE)?.xattrs.keys();
        Ok(names.flat_map(|name| [name.as_bytes(), &[0]].concat()).collect())
    }

    fn removexattr(&self, _: &Caller, node: NodeId, name: &OsStr) -> Result<()> {
        let mut nodes = self.nodes();
        nodes.get_mut(&node).ok_or(Errno::STALE)?.xattrs.remove(name).map(drop).ok_or(Errno::NODATA)
    }
}
