//! Copy-up: what is about to change is first copied to the upper layer (union-fs.md rules 19 to 31).
//!
//! A copy is built in the work directory, is given data, owner, attributes and times there, is made durable, and appears
//! in one step. Nobody sees half of it; a crash leaves nothing but a file in the work directory. The copies of the
//! parents come first, and keep their times.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{
    self as rfs, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Statx, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use crate::backing::{self, At, Result, magic};
use crate::identity;
use crate::lookup::key_of;
use crate::marks::{self, DirMarks};
use crate::node::{LayerIndex, Node, Part, Place, Stack};
use crate::union::Union;
use crate::work::Work;

/// How much of a file's data a copy needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// All of it.
    All,
    /// What is before this offset: the rest is about to be cut off (rules 25 and 26).
    Before(u64),
}

/// A copy that is not linked in yet.
enum Built {
    /// Without a name.
    File(OwnedFd),
    /// In the work directory.
    Named(OsString, OwnedFd),
}

impl Union {
    /// The directory in the upper layer, made first if need be.
    ///
    /// # Errors
    /// `EROFS` without an upper layer, `ENOENT` for a directory that was removed.
    pub(crate) fn upper_dir(&self, node: &Arc<Node>) -> Result<Arc<OwnedFd>> {
        let dir = node.dir()?;
        if let Some(upper) = self.upper_of(&dir.stack()) {
            return Ok(upper);
        }
        let work = self.work()?;
        let parent = node.place().parent.clone().ok_or(Errno::ROFS)?;
        let parent_dir = self.upper_dir(&parent)?;
        let _one = node.copying();
        let stack = dir.stack();
        if let Some(upper) = self.upper_of(&stack) {
            return Ok(upper);
        }
        if node.place().gone {
            return Err(Errno::NOENT);
        }
        let source = stack.parts.first().ok_or(Errno::STALE)?;
        let at = At::itself(&source.dir);
        let stat = at.stat()?;
        let temp = work.name();
        rfs::mkdirat(&work.dir, &temp, Mode::RWXU)?;
        let _changing = parent.dir()?.changing();
        let upper = (|| {
            let copy = backing::open_dir(work.dir.as_fd(), &temp)?;
            self.copy_attributes(at, source.layer, &stat, &copy)?;
            let place = node.place();
            let times = times_of(&At::itself(&parent_dir).stat()?);
            rfs::renameat_with(&work.dir, &temp, &parent_dir, &place.name, RenameFlags::NOREPLACE)?;
            let _ = set_times(&parent_dir, &times);
            Ok(copy)
        })()
        .inspect_err(|_| work.discard(&temp))?;
        self.mark_impure(&parent, &parent_dir)?;
        let (key, upper) = (key_of(&At::itself(&upper).stat()?), Arc::new(upper));
        let part = Part::new(0, Arc::clone(&upper), DirMarks::default());
        dir.set_stack(Stack { parts: [part].into_iter().chain(stack.parts.iter().cloned()).collect() });
        self.table.rekey(node, key);
        Ok(upper)
    }

    /// Makes sure that an inode is in the upper layer, with as much of its data as is wanted. A regular file that was
    /// copied by this call is returned open for reading and writing.
    pub(crate) fn copy_up(&self, node: &Arc<Node>, data: Data) -> Result<Option<OwnedFd>> {
        if node.is_dir() {
            return self.upper_dir(node).map(|_| None);
        }
        let parent = {
            let place = node.place();
            if self.is_upper(place.layer) && place.data.is_none() {
                return Ok(None);
            }
            if place.gone || place.adrift { None } else { place.parent.clone() }
        };
        let work = self.work()?;
        let parent_dir = parent.as_ref().map(|parent| self.upper_dir(parent)).transpose()?;
        let _one = node.copying();
        let (source, layer, below) = {
            let place = node.place();
            (Source::open(&place, node.other()?.kind)?, place.layer, place.data.clone())
        };
        if self.is_upper(layer) {
            if let Some(below) = below {
                self.complete(node, &source.fd, &below, data)?;
            }
            return Ok(None);
        }
        let stat = source.at().stat()?;
        let built = self.build(work, &source, layer, &stat, below.as_deref(), data)?;
        let many = stat.stx_nlink > 1 && backing::kind(&stat) == backing::FILE;
        let changing;
        let mut place = node.place();
        match (&parent, &parent_dir) {
            (Some(parent), Some(dir)) if !place.gone && !place.adrift => {
                changing = Some(parent.dir()?.changing());
                let times = times_of(&At::itself(dir).stat()?);
                let index =
                    if many { self.index_add(source.at(), built.fd(), stat.stx_nlink)? } else { None };
                match &built {
                    Built::Named(temp, _) => rfs::renameat(&work.dir, temp, dir, &place.name)?,
                    Built::File(file) => link_nameless(file, dir, &place.name)?,
                }
                let _ = set_times(dir, &times);
                self.mark_impure(parent, dir)?;
                place.counted = index.is_some();
                if place.counted {
                    place.held = Some(Arc::new(At::itself(built.fd()).pin()?));
                }
            }
            // It lost its name: whoever has it open goes on with a copy that has none either, or the one that leads
            // its other names to it.
            _ => {
                if let Built::Named(temp, _) = &built {
                    work.discard(temp);
                }
                if many && !place.gone {
                    place.counted = self.index_add(source.at(), built.fd(), stat.stx_nlink)?.is_some();
                }
                place.held = Some(Arc::new(At::itself(built.fd()).pin()?));
                changing = None;
            }
        }
        (place.layer, place.data) = (0, None);
        match place.gone {
            true => self.table.unkey(node),
            false => self.table.rekey(node, key_of(&At::itself(built.fd()).stat()?)),
        }
        drop(changing);
        Ok(match built {
            Built::File(file) => Some(file),
            Built::Named(..) => None,
        })
    }

    /// Builds the copy of anything but a directory.
    fn build(
        &self,
        work: &Work,
        source: &Source,
        layer: LayerIndex,
        stat: &Statx,
        below: Option<&OwnedFd>,
        data: Data,
    ) -> Result<Built> {
        let kind = backing::kind(stat);
        let mode = Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o777);
        if kind == backing::FILE && work.nameless {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            let file = rfs::openat(&work.dir, ".", flags, mode)?;
            self.fill(source, layer, stat, below, data, &file)?;
            return Ok(Built::File(file));
        }
        let temp = work.name();
        let make = || -> Result<OwnedFd> {
            if kind == backing::FILE {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
                let file = rfs::openat(&work.dir, &temp, flags, mode)?;
                self.fill(source, layer, stat, below, data, &file)?;
                return Ok(file);
            }
            if kind == backing::LINK {
                rfs::symlinkat(OsStr::from_bytes(&source.at().link_target()?), &work.dir, &temp)?;
            } else {
                let device = rfs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
                rfs::mknodat(&work.dir, &temp, FileType::from_raw_mode(kind), mode, device)?;
            }
            let copy = At::child(&work.dir, &temp).pin()?;
            self.copy_attributes(source.at(), layer, stat, &copy)?;
            Ok(copy)
        };
        let copy = make().inspect_err(|_| work.discard(&temp))?;
        Ok(Built::Named(temp, copy))
    }

    /// Data first, for writing would drop file capabilities and set-user-ID again (rule 21).
    fn fill(
        &self,
        source: &Source,
        layer: LayerIndex,
        stat: &Statx,
        below: Option<&OwnedFd>,
        data: Data,
        file: &OwnedFd,
    ) -> Result<()> {
        let len = data.of(stat.stx_size);
        if len > 0 {
            match below {
                Some(below) => copy_data(&At::itself(below).open_to_read()?, file, stat, len)?,
                None if source.readable => copy_data(&source.fd, file, stat, len)?,
                None => return Err(Errno::ACCESS),
            }
        }
        self.copy_attributes(source.at(), layer, stat, file)?;
        if !self.options.volatile {
            rfs::fsync(file)?;
        }
        Ok(())
    }

    /// Gives a file of the upper layer that has none the data which is below.
    fn complete(&self, node: &Node, upper: &OwnedFd, below: &OwnedFd, data: Data) -> Result<()> {
        let at = At::itself(upper);
        let stat = at.stat()?;
        let file = at.open(OFlags::RDWR)?;
        let len = data.of(stat.stx_size);
        if len > 0 {
            copy_data(&At::itself(below).open_to_read()?, &file, &stat, len)?;
        }
        set_times(&file, &times_of(&stat))?;
        if !self.options.volatile {
            rfs::fsync(&file)?;
        }
        rfs::fremovexattr(&file, &self.marks.metacopy)?;
        node.place().data = None;
        Ok(())
    }

    /// Owner, extended attributes, mode and times, in the order in which none undoes another; and the origin.
    fn copy_attributes(&self, from: At<'_>, layer: LayerIndex, stat: &Statx, to: &OwnedFd) -> Result<()> {
        let made = At::itself(to).stat()?;
        if (made.stx_uid, made.stx_gid) != (stat.stx_uid, stat.stx_gid) {
            let (uid, gid) = (Uid::from_raw(stat.stx_uid), Gid::from_raw(stat.stx_gid));
            rfs::chownat(to, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        }
        let path = magic(to);
        let mut list = Vec::new();
        for key in from.xattrs(&mut list)?.split(|b| *b == 0).filter(|key| !key.is_empty()) {
            if self.marks.is_own(key) {
                continue;
            }
            let key = CString::new(key).map_err(|_| Errno::INVAL)?;
            let Some(value) = from.xattr_vec(&key)? else { continue };
            match rfs::setxattr(&path, key.as_c_str(), &value, XattrFlags::empty()) {
                Ok(()) => {}
                // What the upper's file system, or this user, cannot keep: labels of a security module and the like.
                Err(Errno::OPNOTSUPP | Errno::PERM) if !key.as_bytes().starts_with(b"user.") => {}
                Err(e) => return Err(e),
            }
        }
        // Attributes in `user.` are for files and directories only.
        let takes_marks =
            !self.marks.are_for_users() || matches!(backing::kind(stat), backing::FILE | backing::DIR);
        if takes_marks && let Some(origin) = identity::encode_origin(from, &self.layer(layer)?.uuid()) {
            ignore_unsupported(rfs::setxattr(&path, &self.marks.origin, &origin, XattrFlags::empty()))?;
        }
        if backing::kind(stat) != backing::LINK && made.stx_mode & 0o7777 != stat.stx_mode & 0o7777 {
            rfs::chmod(&path, Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o7777))?;
        }
        set_times(to, &times_of(stat))
    }

    /// Marks a directory of the upper layer as one that holds things which were copied up (rule 41).
    pub(crate) fn mark_impure(&self, node: &Node, upper: &OwnedFd) -> Result<()> {
        let dir = node.dir()?;
        if dir.impure.load(Ordering::Relaxed) {
            return Ok(());
        }
        ignore_unsupported(marks::set(At::itself(upper), &self.marks.impure, b"y"))?;
        dir.impure.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Built {
    fn fd(&self) -> &OwnedFd {
        let (Self::File(fd) | Self::Named(_, fd)) = self;
        fd
    }
}

/// What is copied.
struct Source {
    fd: OwnedFd,
    /// Whether the descriptor is open for reading.
    readable: bool,
}

impl Source {
    /// Opens a regular file for reading; stands for anything else, and for what this process may not read.
    fn open(place: &Place, kind: u32) -> Result<Self> {
        if kind == backing::FILE {
            match place.with(|at| at.open_to_read()) {
                Err(Errno::ACCESS | Errno::PERM) => {}
                opened => return Ok(Self { fd: opened?, readable: true }),
            }
        }
        Ok(Self { fd: place.with(|at| at.pin())?, readable: false })
    }

    fn at(&self) -> At<'_> {
        At::itself(&self.fd)
    }
}

impl Data {
    fn of(self, size: u64) -> u64 {
        match self {
            Self::All => size,
            Self::Before(len) => size.min(len),
        }
    }
}

impl Place {
    /// Whether it is the only thing that a node can be reached by.
    pub(crate) fn is_at(&self, parent: &Node, name: &OsStr) -> bool {
        self.parent.as_ref().is_some_and(|own| own.id == parent.id) && self.name == name
    }
}

/// Fewer bytes are read and written by one call each; what shares blocks and finds holes takes more. (To find a hole,
/// tmpfs walks over all pages of a file.)
const SMALL: u64 = 64 << 10;

/// Copies the data before `len`. Holes stay holes, and blocks are shared where the file system can (rule 24).
fn copy_data(from: &OwnedFd, to: &OwnedFd, stat: &Statx, len: u64) -> Result<()> {
    if len <= SMALL && stat.stx_blocks * 512 >= stat.stx_size {
        let mut buf = vec![0; usize::try_from(len).unwrap_or(0)];
        let n = sys::file::read_at(from, &mut buf, 0).map_err(|e| e.errno)?;
        return sys::file::write_at(to, &buf[..n], 0).map_err(|e| e.errno);
    }
    sys::file::copy(from, to, len).map_err(|e| e.errno)
}

/// Gives a file without a name one.
pub(crate) fn link_nameless(file: &OwnedFd, dir: &OwnedFd, name: &OsStr) -> Result<()> {
    match rfs::linkat(file, "", dir, name, AtFlags::EMPTY_PATH) {
        // Only for those with CAP_DAC_READ_SEARCH before Linux 6.10.
        Err(Errno::NOENT) => rfs::linkat(rfs::CWD, magic(file), dir, name, AtFlags::SYMLINK_FOLLOW),
        other => other,
    }
}

/// The access and modification times of an inode.
pub(crate) fn times_of(stat: &Statx) -> Timestamps {
    let spec = |t: rfs::StatxTimestamp| Timespec { tv_sec: t.tv_sec, tv_nsec: t.tv_nsec.into() };
    Timestamps { last_access: spec(stat.stx_atime), last_modification: spec(stat.stx_mtime) }
}

/// Sets the times of what a descriptor stands for, `O_PATH` or not.
pub(crate) fn set_times(fd: impl AsFd, times: &Timestamps) -> Result<()> {
    let fd: BorrowedFd<'_> = fd.as_fd();
    rfs::utimensat(fd, "", times, AtFlags::EMPTY_PATH)
}

/// A mark that the file system cannot keep is one that nobody will read.
fn ignore_unsupported(result: Result<()>) -> Result<()> {
    match result {
        Err(Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}
