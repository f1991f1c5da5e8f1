//! What lies beside the layers: those that are being made, and those that are being removed.
//!
//! ```text
//! <home>/.layercake/               0700; Docker ignores directories that it does not know (moby.md §8.3)
//!   staging/<16 hex>/<id>/         layers in their final form; the owner holds a lock on staging/<16 hex>
//!   trash/<16 hex>/                what was renamed away and waits for removal
//! ```
//!
//! Nothing in here is part of the store. The kernel gives back a dead owner's lock, so whoever gets the lock of a
//! stage knows that its owner is gone, and may throw the stage away.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::{CacheId, LinkId};
use sys::lock::{self, Lock, Mutual};
use sys::{AsFd, Errno, OwnedFd, dir, meta, tree};

use crate::Result;

/// The name of the directory. No layer can have it: layers' names do not begin with a dot.
pub(crate) const NAME: &str = ".layercake";
const STAGING: &str = "staging";
pub(crate) const TRASH: &str = "trash";

/// Whether a name in a driver's home can be a layer's: everything else there begins with a dot or is listed by the
/// driver.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// How what lies in the trash is removed: of some drivers, more than names in a directory has to go.
pub(crate) trait Remove: Debug + Send + Sync {
    /// Removes `name` in `dir` with all that belongs to it: a stage, or something that was discarded. What is not there
    /// is no error.
    fn remove(&self, dir: &OwnedFd, name: &OsStr) -> Result<()>;
}

/// Files and directories, and nothing else.
#[derive(Debug)]
struct Files;

impl Remove for Files {
    fn remove(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        Ok(tree::remove(dir, name)?)
    }
}

/// Layers that are being made, invisible to everybody else.
///
/// A stage belongs to this process. When it is dropped, or the process dies, what was not published becomes garbage
/// that the next [`Driver::sweep`](crate::Driver::sweep) of any process removes; [`Stage::remove`] does so at once.
#[derive(Debug)]
pub struct Stage {
    dir: OwnedFd,
    path: PathBuf,
    parent: OwnedFd,
    name: OsString,
    _lock: Lock,
    links: Mutex<HashMap<LinkId, CacheId>>,
    remover: Arc<dyn Remove>,
}

impl Stage {
    /// Where the stage is. On the same file system as the driver's home.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.dir
    }

    /// Whether a layer of this name is staged here.
    pub fn contains(&self, id: &CacheId) -> Result<bool> {
        Ok(meta::find(&self.dir, OsStr::new(id.as_str()))?.is_some())
    }

    /// Keeps in mind that the staged layer `id` has this short name, which nothing on the disk leads from.
    pub(crate) fn note_link(&self, link: LinkId, id: &CacheId) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).insert(link, id.clone());
    }

    /// The staged layer that has this short name.
    pub(crate) fn linked(&self, link: &LinkId) -> Option<CacheId> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).get(link).cloned()
    }

    /// Removes the stage with all that was not published: the space is free when this returns.
    pub fn remove(self) -> Result<()> {
        self.remover.remove(&self.parent, &self.name)
    }
}

impl Drop for Stage {
    /// A stage from which all was published leaves nothing behind.
    fn drop(&mut self) {
        let _ = dir::rmdir(&self.parent, &self.name);
    }
}

impl AsFd for Stage {
    fn as_fd(&self) -> sys::BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Stages of dead owners that were thrown away.
    pub stages: usize,
    /// Things in the trash whose space was given back.
    pub removed: usize,
    /// Things in the trash that another process is removing.
    pub left: usize,
}

/// Makes a new stage below `home`, for layers that are files and directories.
pub(crate) fn stage(home: &OwnedFd, home_path: &Path) -> Result<Stage> {
    stage_with(home, home_path, Arc::new(Files))
}

/// Makes a new stage below `home`.
pub(crate) fn stage_with(home: &OwnedFd, home_path: &Path, remover: Arc<dyn Remove>) -> Result<Stage> {
    let staging = dir::ensure(dir::ensure(home, OsStr::new(NAME), 0o700)?, OsStr::new(STAGING), 0o700)?;
    loop {
        let name = random_name();
        dir::mkdir(&staging, &name, 0o700)?;
        // A sweep may find the new directory before it is locked, and throw it away: then there is one more try.
        let Some(fd) = found(dir::open(&staging, &name))? else { continue };
        let Some(lock) = lock::try_lock(dir::reopen(&fd)?, Mutual::Exclusive)? else { continue };
        let at_name = meta::find(&staging, &name)?;
        if at_name.is_some_and(|m| meta::of_fd(&fd).is_ok_and(|f| (f.dev, f.ino) == (m.dev, m.ino))) {
            let path = home_path.join(NAME).join(STAGING).join(&name);
            let links = Mutex::default();
            return Ok(Stage { dir: fd, path, parent: staging, name, _lock: lock, links, remover });
        }
    }
}

/// Renames `name` out of `from` into the trash. Returns at once, whatever hangs below.
pub(crate) fn discard(home: &OwnedFd, from: &OwnedFd, name: &OsStr) -> Result<()> {
    discard_as(home, from, name, |random| random.to_owned())
}

/// As [`discard`], with a name in the trash that is made of a random one.
pub(crate) fn discard_as(
    home: &OwnedFd,
    from: &OwnedFd,
    name: &OsStr,
    named: impl FnOnce(&str) -> String,
) -> Result<()> {
    let trash = dir::ensure(dir::ensure(home, OsStr::new(NAME), 0o700)?, OsStr::new(TRASH), 0o700)?;
    let new = named(&random_name().to_string_lossy());
    Ok(dir::rename_noreplace(from, name, &trash, OsStr::new(&new))?)
}

/// Whether something waits in the trash below `home`.
pub(crate) fn has_trash(home: &OwnedFd) -> Result<bool> {
    let Some(aside) = found(dir::open(home, OsStr::new(NAME)))? else { return Ok(false) };
    let Some(trash) = found(dir::open(&aside, OsStr::new(TRASH)))? else { return Ok(false) };
    Ok(!dir::list(&trash)?.is_empty())
}

/// Throws away the stages of dead owners and empties the trash. With nothing to do it costs three opens and two
/// lists. What another process is removing is left to it. Goes on after an error, and reports the first at the end.
pub(crate) fn sweep(home: &OwnedFd, home_path: &Path) -> Result<Swept> {
    sweep_with(home, home_path, &Files)
}

/// As [`sweep`], where more than files has to go.
pub(crate) fn sweep_with(home: &OwnedFd, home_path: &Path, remover: &dyn Remove) -> Result<Swept> {
    let mut swept = Swept::default();
    let Some(aside) = found(dir::open(home, OsStr::new(NAME)))? else { return Ok(swept) };
    let mut first_error = None;
    if let Some(staging) = found(dir::open(&aside, OsStr::new(STAGING)))? {
        for entry in dir::list(&staging)? {
            match bury(home, &staging, &entry.name) {
                Ok(dead) => swept.stages += usize::from(dead),
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
    }
    if let Some(trash) = found(dir::open(&aside, OsStr::new(TRASH)))? {
        let entries = dir::list(&trash)?;
        if !entries.is_empty() {
            unmount_below(&home_path.join(NAME).join(TRASH))?;
        }
        for entry in entries {
            match remove(&trash, &entry.name, remover) {
                Ok(true) => swept.removed += 1,
                Ok(false) => swept.left += 1,
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
    }
    first_error.map_or(Ok(swept), Err)
}

/// Moves a stage to the trash if its owner is dead.
fn bury(home: &OwnedFd, staging: &OwnedFd, name: &OsStr) -> Result<bool> {
    let Some(fd) = found(dir::open(staging, name))? else { return Ok(false) };
    let Some(_lock) = lock::try_lock(fd, Mutual::Exclusive)? else { return Ok(false) };
    match discard(home, staging, name) {
        Err(crate::Error::Sys(e)) if e.is_not_found() => Ok(false),
        other => other.map(|()| true),
    }
}

/// Removes one thing from the trash, unless somebody else is at it.
fn remove(trash: &OwnedFd, name: &OsStr, remover: &dyn Remove) -> Result<bool> {
    // What is neither a directory nor a file needs no lock: one system call removes it.
    let opened = dir::open(trash, name).or_else(|_| dir::open_file(trash, name));
    let lock = match opened {
        Ok(fd) => match lock::try_lock(fd, Mutual::Exclusive)? {
            None => return Ok(false),
            lock => lock,
        },
        Err(e) if e.is_not_found() => return Ok(true),
        Err(_) => None,
    };
    remover.remove(trash, name)?;
    drop(lock);
    Ok(true)
}

/// A layer that was mounted when it was thrown away: the removal must not go through the mount.
fn unmount_below(path: &Path) -> Result<()> {
    for mount in sys::mount::table(path)?.iter().rev() {
        sys::mount::detach(&mount.target)?;
    }
    Ok(())
}

fn found<T>(result: sys::Result<T>) -> sys::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.errno == Errno::NOENT => Ok(None),
        Err(e) => Err(e),
    }
}

fn random_name() -> OsString {
    format!("{:016x}", u64::from_le_bytes(sys::process::random())).into()
}
