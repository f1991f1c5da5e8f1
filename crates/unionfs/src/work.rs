//! The work directory: where things are built before they appear, and taken apart after they went (union-fs.md rules
//! 22, 27, 86, and §1.2).
//!
//! It looks as the kernel's: `work/` for what is under way, `index/` for files with several names
//! ([`crate::index`]), and `work/incompat/volatile/` while the upper layer may be incomplete (rule 59).

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use sys::lock::{Lock, Mutual};

use crate::backing::{At, Result};
use crate::config::Upper;
use crate::error::Error;
use crate::layer::Layer;
use crate::node::lock;

/// An open work directory. Its lock is held as long as it lives.
#[derive(Debug)]
pub struct Work {
    /// `work/`.
    pub dir: OwnedFd,
    root: OwnedFd,
    next: AtomicU64,
    whiteout: Mutex<Option<OsString>>,
    /// Whether the file system takes files without a name (`O_TMPFILE`).
    pub nameless: bool,
    _lock: Lock,
}

impl Work {
    /// Opens, locks and clears it.
    pub fn open(upper: &Upper, layer: &Layer, volatile: bool) -> std::result::Result<Self, Error> {
        let fail = |what| {
            let path = upper.work.clone();
            move |e: sys::Error| Error::Work { what, path, errno: e.errno }
        };
        let root = sys::dir::open_path(&upper.work).map_err(fail("open"))?;
        let same = At::itself(&root).stat().is_ok_and(|stat| crate::backing::device(&stat) == layer.device);
        if !same {
            let why =
                format!("{} and {} must be on one file system", upper.dir.display(), upper.work.display());
            return Err(Error::Config(why));
        }
        let again = sys::dir::reopen(&root).map_err(fail("open"))?;
        let Some(held) = sys::lock::try_lock(again, Mutual::Exclusive).map_err(fail("lock"))? else {
            return Err(Error::Busy(crate::union::absolute(&upper.work)));
        };
        let dir = sys::dir::ensure(&root, OsStr::new("work"), 0o700).map_err(fail("make"))?;
        refuse_incomplete(upper, &dir)?;
        sys::tree::clear(&dir).map_err(fail("clear"))?;
        if volatile {
            mark_volatile(&dir).map_err(fail("mark"))?;
        }
        let nameless = rfs::openat(&dir, ".", OFlags::TMPFILE | OFlags::RDWR, Mode::empty()).is_ok();
        let (next, whiteout) = (AtomicU64::new(0), Mutex::new(None));
        Ok(Self { dir, root, next, whiteout, nameless, _lock: held })
    }

    /// A name that nothing in the work directory has.
    pub fn name(&self) -> OsString {
        format!("#{:x}", self.next.fetch_add(1, Ordering::Relaxed)).into()
    }

    /// `index/`, made if there is none and it is wanted.
    pub fn index(&self, make: bool) -> Result<Option<OwnedFd>> {
        let name = OsStr::new("index");
        match crate::backing::open_dir(std::os::fd::AsFd::as_fd(&self.root), name) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) if make => {
                sys::dir::ensure(&self.root, name, 0o700).map(Some).map_err(|e| e.errno)
            }
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Puts a whiteout at a name that nothing in `dir` has. All whiteouts are links of one (rule 18).
    pub fn link_whiteout(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        let mut shared = lock(&self.whiteout);
        if let Some(source) = shared.as_ref() {
            match rfs::linkat(&self.dir, source, dir, name, AtFlags::empty()) {
                Err(Errno::MLINK | Errno::NOENT | Errno::PERM) => {}
                other => return other,
            }
        }
        let source = self.name();
        rfs::mknodat(&self.dir, &source, FileType::CharacterDevice, Mode::empty(), 0)?;
        if let Some(full) = shared.replace(source.clone()) {
            let _ = rfs::unlinkat(&self.dir, full, AtFlags::empty());
        }
        match rfs::linkat(&self.dir, &source, dir, name, AtFlags::empty()) {
            Err(Errno::PERM | Errno::MLINK | Errno::OPNOTSUPP) => {
                // A file system without hard links.
                rfs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0)
            }
            other => other,
        }
    }

    /// Puts a whiteout in the place of what has the name now; what had it is in the work directory afterwards, under
    /// the name that is returned.
    pub fn replace_by_whiteout(&self, dir: &OwnedFd, name: &OsStr) -> Result<OsString> {
        let aside = self.name();
        match rfs::renameat_with(dir, name, &self.dir, &aside, RenameFlags::WHITEOUT) {
            Ok(()) => return Ok(aside),
            // A file system that cannot, or a user namespace in which it may not.
            Err(Errno::INVAL | Errno::PERM) => {}
            Err(e) => return Err(e),
        }
        self.link_whiteout(&self.dir, &aside)?;
        rfs::renameat_with(&self.dir, &aside, dir, name, RenameFlags::EXCHANGE)
            .inspect_err(|_| self.discard(&aside))?;
        Ok(aside)
    }

    /// Removes what lies in the work directory under a name, whatever it is. What cannot be removed goes at the next
    /// mount.
    pub fn discard(&self, name: &OsStr) {
        if rfs::unlinkat(&self.dir, name, AtFlags::empty()).is_err() {
            let _ = sys::tree::remove(&self.dir, name);
        }
    }

    /// Clears up at the end. A `volatile` upper layer is whole again once it is synced.
    pub fn close(&self, volatile: bool, layer: &Layer) {
        if !volatile || layer.readable().and_then(rfs::syncfs).is_ok() {
            let _ = sys::tree::clear(&self.dir);
        }
    }
}

const INCOMPAT: &str = "incompat";
const VOLATILE: &str = "volatile";

/// Refuses an upper layer that may be incomplete.
fn refuse_incomplete(upper: &Upper, work: &OwnedFd) -> std::result::Result<(), Error> {
    let marked =
        sys::dir::open(work, OsStr::new(INCOMPAT)).and_then(|dir| sys::dir::open(&dir, OsStr::new(VOLATILE)));
    if marked.is_err() {
        return Ok(());
    }
    let mark = crate::union::absolute(&upper.work).join("work").join(INCOMPAT).join(VOLATILE);
    Err(Error::Volatile { upper: upper.dir.clone(), mark })
}

/// Marks an upper layer as one that may be incomplete from now on, as the kernel does.
fn mark_volatile(work: &OwnedFd) -> sys::Result<()> {
    let incompat = sys::dir::ensure(work, OsStr::new(INCOMPAT), 0o700)?;
    let volatile = sys::dir::ensure(&incompat, OsStr::new(VOLATILE), 0o700)?;
    sys::dir::create_file(&volatile, OsStr::new("dirty"), 0o600).map(drop)
}
