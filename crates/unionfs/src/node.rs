//! Nodes: what the kernel holds on to. A node is one inode of the union, whatever names it has and whichever layer
//! its data lies in by now.
//!
//! A node's number is never used again, and is not the `st_ino` that users see: that one is the inode number of the
//! layer's file which the node stood for first, so that it stays the same over a copy-up (union-fs.md §1.2).

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustix::fs::Statx;
use rustix::io::Errno;

use crate::backing::{At, DIR, Result};
use crate::marks::DirMarks;
use crate::names::Names;
use crate::passing::Passing;

/// The number of a layer: 0 is the topmost.
pub type LayerIndex = u16;

/// The identity of a node: the device and inode number of what it is in the topmost layer that has it.
pub type Key = (u64, u64);

/// One inode of the union.
#[derive(Debug)]
pub struct Node {
    /// The number by which the kernel knows it.
    pub id: u64,
    /// The inode number that users see.
    pub ino: u64,
    /// How often the kernel was told of it, less what it forgot.
    pub lookups: AtomicU64,
    /// How many nodes have it for a parent.
    pub children: AtomicUsize,
    /// A directory, or anything else.
    pub body: Body,
    key: Mutex<Key>,
    place: Mutex<Place>,
    /// Held while it is being copied up.
    copying: Mutex<()>,
}

/// What a node is.
#[derive(Debug)]
pub enum Body {
    /// A directory.
    Dir(Dir),
    /// A regular file, symbolic link, device, FIFO or socket.
    Other(Other),
}

/// A directory.
#[derive(Debug)]
pub struct Dir {
    stack: RwLock<Arc<Stack>>,
    /// Whether its upper part is known to be marked as holding things that were copied up.
    pub impure: AtomicBool,
    /// Changes of its upper part that have begun, and that are done: see [`Dir::changing`].
    begun: AtomicU32,
    done: AtomicU32,
    /// The thread that read its names last without attributes: see [`crate::readdir`].
    pub listed_by: AtomicU32,
}

/// Anything but a directory.
#[derive(Debug)]
pub struct Other {
    /// The file type (`S_IFMT`).
    pub kind: u32,
    /// Its length when it was met first; of a file of a lower layer, always.
    pub size: u64,
    /// Who has it open, and how.
    pub passing: Mutex<Passing>,
}

/// Where a node's inode is found. A directory's name only; its parts are in its [`Stack`].
#[derive(Debug)]
pub struct Place {
    /// The directory that has it; the root has none.
    pub parent: Option<Arc<Node>>,
    /// Its name there; one of them, if it has several.
    pub name: OsString,
    /// The layer that it is in.
    pub layer: LayerIndex,
    /// The inode itself, once it has no name any more or its name cannot be relied on.
    pub held: Option<Arc<OwnedFd>>,
    /// The file below that has the data, if this inode has none of its own (`metacopy`).
    pub data: Option<Arc<OwnedFd>>,
    /// Whether it has no name any more.
    pub gone: bool,
    /// Whether it has names, but the one that is known here was taken from it.
    pub adrift: bool,
    /// Whether its link count is kept in an attribute, because not all of its names are in the upper layer.
    pub counted: bool,
}

/// The directories of one name in all layers, topmost first.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Never empty for a node that has a name.
    pub parts: Vec<Part>,
}

/// A directory of one layer.
#[derive(Debug, Clone)]
pub struct Part {
    /// The layer.
    pub layer: LayerIndex,
    /// The directory (`O_PATH`).
    pub dir: Arc<OwnedFd>,
    /// Whether empty files in it may be whiteouts.
    pub file_whiteouts: bool,
    /// Whether it is marked as holding things that were copied up.
    pub impure: bool,
    /// Its names, if it is a small one of many: what is not among them need not be looked for.
    pub names: Option<Arc<Names>>,
}

impl Part {
    /// A directory of a layer, with what its marks say.
    pub fn new(layer: LayerIndex, dir: Arc<OwnedFd>, marks: DirMarks) -> Self {
        Self { layer, dir, file_whiteouts: marks.file_whiteouts, impure: marks.impure, names: None }
    }

    /// Whether it certainly has no such name.
    pub fn lacks(&self, name: &OsStr) -> bool {
        self.names.as_ref().is_some_and(|names| !names.has(name))
    }
}

impl Stack {
    /// The directory in one layer.
    pub fn part(&self, layer: LayerIndex) -> Option<&Part> {
        self.parts.iter().find(|part| part.layer == layer)
    }
}

impl Node {
    /// A node that nobody knows yet.
    pub fn new(id: u64, ino: u64, key: Key, place: Place, body: Body) -> Self {
        if let Some(parent) = &place.parent {
            parent.children.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            id,
            ino,
            lookups: AtomicU64::new(0),
            children: AtomicUsize::new(0),
            body,
            key: Mutex::new(key),
            place: Mutex::new(place),
            copying: Mutex::new(()),
        }
    }

    /// Where it is.
    pub fn place(&self) -> MutexGuard<'_, Place> {
        lock(&self.place)
    }

    /// Its identity in the table.
    pub fn key(&self) -> MutexGuard<'_, Key> {
        lock(&self.key)
    }

    /// Waits until nobody else copies it up.
    pub fn copying(&self) -> MutexGuard<'_, ()> {
        lock(&self.copying)
    }

    /// The directory that it is.
    pub fn dir(&self) -> Result<&Dir> {
        match &self.body {
            Body::Dir(dir) => Ok(dir),
            Body::Other(_) => Err(Errno::NOTDIR),
        }
    }

    /// The file, link or device that it is.
    pub fn other(&self) -> Result<&Other> {
        match &self.body {
            Body::Other(other) => Ok(other),
            Body::Dir(_) => Err(Errno::ISDIR),
        }
    }

    /// Its file type (`S_IFMT`).
    pub fn kind(&self) -> u32 {
        match &self.body {
            Body::Dir(_) => DIR,
            Body::Other(other) => other.kind,
        }
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir(_))
    }

    /// The directories that it merges.
    pub fn stack(&self) -> Result<Arc<Stack>> {
        Ok(self.dir()?.stack())
    }

    /// Calls with the inode that has its attributes, which stays where it is meanwhile.
    pub fn with<T>(&self, call: impl FnOnce(At<'_>) -> Result<T>) -> Result<T> {
        if let Body::Dir(dir) = &self.body {
            let stack = dir.stack();
            return call(At::itself(&stack.parts.first().ok_or(Errno::STALE)?.dir));
        }
        let place = self.place();
        place.with(call)
    }

    /// The attributes of its inode.
    pub fn stat(&self) -> Result<Statx> {
        self.with(|at| at.stat())
    }

    /// The layer that has its attributes.
    pub fn layer(&self) -> LayerIndex {
        match &self.body {
            Body::Dir(dir) => dir.stack().parts.first().map_or(0, |part| part.layer),
            Body::Other(_) => self.place().layer,
        }
    }

    /// Puts it under another name. The kernel holds both parents meanwhile.
    pub fn move_to(&self, parent: &Arc<Node>, name: OsString) {
        let mut place = self.place();
        parent.children.fetch_add(1, Ordering::Relaxed);
        if let Some(old) = place.parent.replace(Arc::clone(parent)) {
            old.children.fetch_sub(1, Ordering::Relaxed);
        }
        place.name = name;
    }
}

impl Place {
    /// Calls with the inode.
    pub fn with<T>(&self, call: impl FnOnce(At<'_>) -> Result<T>) -> Result<T> {
        if let Some(held) = &self.held {
            return call(At::itself(held));
        }
        let stack = self.parent.as_ref().ok_or(Errno::STALE)?.stack()?;
        let part = stack.part(self.layer).ok_or(Errno::STALE)?;
        call(At::child(&part.dir, &self.name))
    }

    /// Keeps the inode itself, because its name is about to go.
    pub fn hold(&mut self) -> Result<()> {
        if self.held.is_none() {
            self.held = Some(Arc::new(self.with(|at| at.pin())?));
        }
        Ok(())
    }
}

/// A change that is under way.
#[derive(Debug)]
pub struct Changing<'a>(&'a Dir);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::AcqRel);
    }
}

impl Dir {
    /// From now until the guard goes, names in its upper part appear and disappear, and nodes become those of other
    /// inodes. The kernel keeps users' changes and look-ups of one directory apart, but not a copy-up.
    pub fn changing(&self) -> Changing<'_> {
        self.begun.fetch_add(1, Ordering::AcqRel);
        Changing(self)
    }

    /// A number that is another one after a change; waits for those that are under way.
    pub fn version(&self) -> u32 {
        loop {
            let done = self.done.load(Ordering::Acquire);
            if self.is_still(done) {
                return done;
            }
            std::thread::yield_now();
        }
    }

    /// Whether nothing changed since a [`version`](Self::version).
    pub fn is_still(&self, version: u32) -> bool {
        self.begun.load(Ordering::Acquire) == version
    }

    /// A directory of these parts.
    pub fn new(stack: Stack) -> Self {
        Self {
            stack: RwLock::new(Arc::new(stack)),
            impure: AtomicBool::new(false),
            begun: AtomicU32::new(0),
            done: AtomicU32::new(0),
            listed_by: AtomicU32::new(0),
        }
    }

    /// Its parts.
    pub fn stack(&self) -> Arc<Stack> {
        Arc::clone(&self.stack.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives it other parts.
    pub fn set_stack(&self, stack: Stack) {
        *self.stack.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(stack);
    }
}

/// Locks. A panic of another request does not make what it held unusable: every change is one assignment.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
