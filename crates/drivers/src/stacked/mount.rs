//! Mounting and unmounting.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::{CacheId, LinkId};
use sys::lock::{self, Lock, Mutual};
use sys::mount::Branch;
use sys::{Errno, Time, dir, meta};

use super::layer::{DIFF, LINKS, Layer, MERGED, WORK};
use super::{Stacked, Tree, Union, same};
use crate::driver::{Access, Stamp};
use crate::{Damage, Error, Result};

/// What is on a layer's mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing, or there is no mount point.
    Free,
    /// A mount.
    Mounted {
        /// Whether it refuses writes.
        read_only: bool,
    },
    /// A mount whose server died.
    Dead,
}

impl<U: Union> Stacked<U> {
    pub(super) fn mount_layer(&self, id: &CacheId, access: Access) -> Result<PathBuf> {
        let layer = self.published(id)?;
        let read_only = |why| Error::ReadOnly { id: id.clone(), why };
        if access == Access::Write && layer.is_committed()? {
            return Err(read_only("other layers are built on it"));
        }
        let lowers = self.lowers(None, &layer)?;
        if access == Access::Write && lowers.is_empty() {
            layer.root()?;
            return Ok(layer.path.join(DIFF));
        }
        let _lock = self.lock(&layer)?;
        let merged = layer.path.join(MERGED);
        match self.state(&layer)? {
            State::Mounted { read_only: true } if access == Access::Write => {
                return Err(read_only("it is mounted for reading"));
            }
            State::Mounted { .. } => return Ok(merged),
            State::Dead => sys::mount::detach(&merged)?,
            State::Free => {}
        }
        let tree = self.tree(&layer, &lowers, access)?;
        dir::ensure(&layer.fd, OsStr::new(MERGED), 0o700)?;
        if let Err(e) = self.union.mount(tree, &merged) {
            let _ = dir::rmdir(&layer.fd, OsStr::new(MERGED));
            return Err(e);
        }
        Ok(merged)
    }

    fn tree(&self, layer: &Layer, lowers: &[(LinkId, CacheId)], access: Access) -> Result<Tree<'_>> {
        let mut branches = Vec::with_capacity(lowers.len() + 2);
        if access == Access::Read {
            branches.push(self.branch(&format!("{}/{DIFF}", layer.id), layer, Damage::NoDiff)?);
        }
        for (link, id) in lowers {
            // By the id, which is checked, and where names should be short by the short one.
            let mut branch = self.branch(&format!("{id}/{DIFF}"), layer, Damage::DanglingLower(*link))?;
            branch.path = format!("{LINKS}/{link}").into();
            branches.push(branch);
        }
        let upper = match access {
            Access::Read => None,
            Access::Write => Some((
                self.branch(&format!("{}/{DIFF}", layer.id), layer, Damage::NoDiff)?,
                self.branch(&format!("{}/{WORK}", layer.id), layer, Damage::NoWork)?,
            )),
        };
        Ok(Tree { lowers: branches, upper, home: &self.home, path: &self.path })
    }

    /// Opens a directory by its path in the home; what it means if it is not there.
    fn branch(&self, path: &str, layer: &Layer, missing: Damage) -> Result<Branch> {
        match sys::mount::open_layer(&self.home, Path::new(path)) {
            Ok(fd) => Ok(Branch { fd, path: path.into() }),
            Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR) => Err(layer.finding(missing).into()),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn unmount_layer(&self, layer: &Layer) -> Result<bool> {
        let _lock = self.lock(layer)?;
        self.end_mount(layer)
    }

    /// Unmounts, and says whether there was a mount; the caller holds the layer's lock.
    pub(super) fn end_mount(&self, layer: &Layer) -> Result<bool> {
        let merged = layer.path.join(MERGED);
        let ended = match self.state(layer)? {
            State::Free => return Ok(false),
            State::Dead => sys::mount::detach(&merged).map(|()| true)?,
            State::Mounted { read_only } => match sys::mount::unmount(&merged) {
                Err(e) if e.errno == Errno::BUSY => sys::mount::detach(&merged).map(|()| read_only)?,
                other => other.map_err(Error::from).and_then(|()| Self::has_ended(layer))?,
            },
        };
        if !ended {
            return Ok(true);
        }
        match dir::rmdir(&layer.fd, OsStr::new(MERGED)) {
            // Something else is mounted there, or somebody has put files there: it does no harm.
            Err(e) if matches!(e.errno, Errno::BUSY | Errno::NOTEMPTY | Errno::NOENT) => Ok(true),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Whether nothing works on the layer any more, after a moment of waiting.
    fn has_ended(layer: &Layer) -> Result<bool> {
        match dir::open(&layer.fd, OsStr::new(WORK)) {
            Ok(work) => U::has_ended(&work),
            Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    /// What is mounted for the layer in the namespace of this thread.
    pub(super) fn state(&self, layer: &Layer) -> Result<State> {
        match sys::mount::at(&layer.fd, OsStr::new(MERGED)) {
            Ok(None) => Ok(State::Free),
            Ok(Some(mounted)) => Ok(State::Mounted { read_only: mounted.read_only }),
            Err(e) if e.errno == Errno::NOTCONN => Ok(State::Dead),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits until nobody else mounts, unmounts, repairs or discards the layer.
    pub(super) fn lock(&self, layer: &Layer) -> Result<Lock> {
        let lock = lock::lock(dir::reopen(&layer.fd)?, Mutual::Exclusive)?;
        let now = meta::find(&self.home, super::layer_name(&layer.id)?)?;
        let mine = meta::of_fd(&layer.fd)?;
        // Whoever had the lock may have discarded it.
        if now.is_some_and(|now| same(&now, &mine)) {
            Ok(lock)
        } else {
            Err(Error::NoLayer(layer.id.clone()))
        }
    }

    /// A writable layer changes only while it is mounted, and each mount leaves its mark on the layer's directory:
    /// `merged` comes and goes, and the kernel makes `work/work` anew. Docker's mounts do the same.
    pub(super) fn stamp(&self, layer: &Layer) -> Result<Option<Stamp>> {
        if self.state(layer)? != State::Free || meta::find(&layer.fd, OsStr::new(MERGED))?.is_some() {
            return Ok(None);
        }
        let Some(work) = meta::find(&layer.fd, OsStr::new(WORK))? else { return Ok(None) };
        let Some(diff) = meta::find(&layer.fd, OsStr::new(DIFF))? else { return Ok(None) };
        let times = [meta::of_fd(&layer.fd)?.ctime, work.ctime, diff.ctime];
        if !settled(&times) {
            return Ok(None);
        }
        let text: Vec<String> = times.iter().map(|t| format!("{}.{:09}", t.secs, t.nanos)).collect();
        Ok(Some(Stamp::from_text(text.join("-"))))
    }
}

/// Whether the clock has moved on since these times, so that a change now would give another time. Kernels before
/// 6.13 take times from a clock that ticks every few milliseconds; some file systems keep whole seconds.
fn settled(times: &[Time]) -> bool {
    let whole_seconds = times.iter().all(|t| t.nanos == 0);
    let tick = Duration::from_millis(if whole_seconds { 1100 } else { 20 });
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let newest = times.iter().max().copied().unwrap_or_default();
    let newest = Duration::new(u64::try_from(newest.secs).unwrap_or(0), newest.nanos);
    newest + tick < now
}
