//! Open files, and which way their reads and writes go (union-fs.md §3.3; [`crate::passing`]).

use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fusewire::{BackingId, Backings, Handle, NodeId, Open, OpenFlags, Opened};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::backing::{FILE, Result};
use crate::files::File;
use crate::handles::Handles;
use crate::node::{Node, lock};
use crate::passing::{PassedFile, Passing, Way};

use super::Served;

/// The files that are open.
pub struct Files {
    open: Handles<OpenFile>,
    backings: Option<Box<dyn Backings>>,
    /// Whether the kernel takes files: known for sure when it took the first.
    passes: AtomicBool,
    /// Lower files of fewer bytes go through the cache: opening them is cheaper so, and their readers see what others
    /// write later.
    from: u64,
}

/// One open of a file.
struct OpenFile {
    file: Arc<File>,
    way: Way,
}

impl Files {
    /// No file is open yet.
    pub fn new(backings: Option<Box<dyn Backings>>, from: u64) -> Self {
        Self { open: Handles::default(), backings, passes: AtomicBool::new(false), from }
    }

    /// What the kernel granted.
    pub fn started(&self, passthrough: bool) {
        self.passes.store(passthrough && self.backings.is_some(), Ordering::Relaxed);
    }

    /// The kernel closed a file. Answers whether it could be written to.
    pub fn release(&self, handle: Handle) -> bool {
        let Some(open) = self.open.remove(handle.0) else { return false };
        let writable = open.file.is_writable();
        let Ok(other) = open.file.node.other() else { return writable };
        let mut passing = lock(&other.passing);
        match open.way {
            Way::Passed => {
                passing.passed = passing.passed.saturating_sub(1);
                passing.writers = passing.writers.saturating_sub(u32::from(writable));
                if passing.passed == 0 {
                    self.let_go(&mut passing);
                }
            }
            Way::Cached | Way::Anew => passing.cached = passing.cached.saturating_sub(1),
        }
        writable
    }

    /// The content changed past the kernel's cache of it.
    pub fn content_changed(&self, node: &Node) {
        if let Ok(other) = node.other() {
            let mut passing = lock(&other.passing);
            passing.stale_pages |= passing.passed > 0;
        }
    }

    fn let_go(&self, passing: &mut Passing) {
        if let (Some(file), Some(backings)) = (passing.file.take(), &self.backings)
            && let Some(id) = NonZeroU32::new(file.id)
        {
            backings.unregister(BackingId(id));
        }
    }

    /// Gives the kernel a file to go to. A kernel that refuses is not asked again.
    fn register(&self, file: &OwnedFd) -> Option<BackingId> {
        match self.backings.as_ref()?.register(file.as_fd()) {
            Ok(id) => Some(id),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOTTY) => {
                self.passes.store(false, Ordering::Relaxed);
                None
            }
            // A file of a file system that cannot: those of others may.
            Err(_) => None,
        }
    }
}

impl Served {
    /// Opens a file.
    ///
    /// # Errors
    /// `ESTALE`: see [`Way::Anew`]. The kernel looks the name up again and asks once more, without the user's noticing.
    pub(super) fn open_file(&self, node: &Arc<Node>, open: &Open) -> Result<Opened> {
        if !self.union.has_upper() {
            // Nothing ever changes: no file needs opening, and the kernel reads through its cache.
            return Err(Errno::NOSYS);
        }
        let flags = OFlags::from_bits_retain(open.flags);
        let file = self.union.open_file(node, flags)?;
        let opened = self.choose(node, file, flags.contains(OFlags::DIRECT))?;
        if opened.backing.is_some() && flags & OFlags::RWMODE != OFlags::RDONLY {
            // What the kernel remembers is going to change without its noticing (stores through mappings).
            let _ = self.notifier.inval_inode(NodeId(node.id), -1, 0);
        }
        if flags.contains(OFlags::TRUNC) {
            let open_file = self.files.open.get(opened.handle.0)?;
            let truncated = match open.kill_suidgid {
                true => node.with(crate::attributes::drop_privileges),
                false => Ok(()),
            };
            truncated.and_then(|()| self.union.truncate(&open_file.file)).inspect_err(|_| {
                let _ = self.files.release(opened.handle);
            })?;
        }
        Ok(opened)
    }

    /// Opens a file that was made just now.
    pub(super) fn opened_file(&self, node: &Arc<Node>, file: OwnedFd) -> Result<Opened> {
        self.choose(node, self.union.opened(node, file), false)
    }

    /// Chooses the way of an open file, and gives it a number.
    fn choose(&self, node: &Arc<Node>, file: File, direct: bool) -> Result<Opened> {
        let other = node.other()?;
        if other.kind != FILE {
            return Err(Errno::NXIO);
        }
        let writable = file.is_writable();
        let mut passing = lock(&other.passing);
        let upper = self.union.has_own_data(node);
        let passes = self.files.passes.load(Ordering::Relaxed);
        let wanted = passes && !direct && (upper || other.size >= self.files.from);
        let mut way = passing.way(upper, wanted);
        if way == Way::Passed && passing.file.is_none() {
            match self.union.with_file(&file, |fd| self.backing_of(node, fd, upper, writable))? {
                Some(id) => passing.file = Some(PassedFile { id: id.0.get(), upper }),
                None => way = Way::Cached,
            }
        }
        let mut opened = Opened { handle: Handle(0), flags: OpenFlags::NOFLUSH, backing: None };
        match way {
            Way::Anew => {
                // Its readers stay with this node, which is found no more.
                drop(passing);
                let _ = node.place().hold();
                self.union.replace(node);
                return Err(Errno::STALE);
            }
            Way::Passed => {
                passing.passed += 1;
                passing.stale_pages |= writable;
                passing.writers += u32::from(writable);
                opened.backing = passing.file.and_then(|file| NonZeroU32::new(file.id)).map(BackingId);
            }
            Way::Cached => {
                passing.cached += 1;
                if !std::mem::take(&mut passing.stale_pages) {
                    opened.flags |= OpenFlags::KEEP_CACHE;
                }
            }
        }
        opened.handle = Handle(self.files.open.insert(OpenFile { file: Arc::new(file), way }));
        Ok(opened)
    }

    /// Registers the file that an inode's data is in. The kernel opens it again with the flags of each user's open, so a
    /// file of the upper layer must be given to it open for writing.
    fn backing_of(
        &self,
        node: &Node,
        fd: &OwnedFd,
        upper: bool,
        writable: bool,
    ) -> Result<Option<BackingId>> {
        if upper && !writable {
            let again = node.with(|at| at.open(OFlags::RDWR));
            return Ok(again.ok().and_then(|fd| self.files.register(&fd)));
        }
        Ok(self.files.register(fd))
    }

    /// The open file of a request. A union that cannot change has none: then it is opened for this request.
    pub(super) fn file_of(&self, node: NodeId, handle: Handle) -> Result<Arc<File>> {
        match self.files.open.get(handle.0) {
            Ok(open) => Ok(Arc::clone(&open.file)),
            Err(_) if !self.union.has_upper() => {
                Ok(Arc::new(self.union.open_file(&self.node(node)?, OFlags::RDONLY)?))
            }
            Err(e) => Err(e),
        }
    }
}
