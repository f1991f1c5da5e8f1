//! Mounting and unmounting.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use model::{CacheId, LinkId};
use sys::lock::Lock;
use sys::mount::Branch;
use sys::{Errno, dir, meta};

use super::layer::{DIFF, LINKS, Layer, MERGED, WORK};
use super::{Stacked, Tree, Union};
use crate::driver::Access;
use crate::mountpoint::{Ended, State};
use crate::{Damage, Error, Result, Stamp, directories};

impl<U: Union> Stacked<U> {
    pub(super) fn mount_layer(&self, id: &CacheId, access: Access, label: &str) -> Result<PathBuf> {
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
        if layer.mount_point().serves(id, access)? {
            return Ok(merged);
        }
        let tree = Tree { label, ..self.tree(&layer, &lowers, access)? };
        let place = dir::ensure(&layer.fd, OsStr::new(MERGED), 0o700)?;
        if let Some(shifted) = &self.shifted {
            shifted.give(&place)?;
        }
        drop(place);
        if let Err(e) = self.union.mount(tree, &merged) {
            let _ = dir::rmdir(&layer.fd, OsStr::new(MERGED));
            return Err(e);
        }
        if let Some(shifted) = &self.shifted
            && let Ok(work) =
                dir::open(&layer.fd, OsStr::new(WORK)).and_then(|work| dir::open(work, OsStr::new(WORK)))
        {
            // The kernel's own, which Docker gives away too.
            shifted.give(&work)?;
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
        Ok(Tree { lowers: branches, upper, home: &self.home, path: &self.path, label: "" })
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
        match layer.mount_point().end(|| Self::has_ended(layer))? {
            Ended::Free => return Ok(false),
            Ended::Lingers => return Ok(true),
            Ended::Settled => {}
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

    /// Waits until nobody else mounts, unmounts, repairs or discards the layer.
    pub(super) fn lock(&self, layer: &Layer) -> Result<Lock> {
        directories::lock(&self.home, super::layer_name(&layer.id)?, &layer.fd, &layer.id)
    }

    /// A writable layer changes only while it is mounted, and each mount leaves its mark on the layer's directory:
    /// `merged` comes and goes, and the kernel makes `work/work` anew. Docker's mounts do the same.
    pub(super) fn stamp(&self, layer: &Layer) -> Result<Option<Stamp>> {
        if layer.mount_point().state()? != State::Free || meta::find(&layer.fd, OsStr::new(MERGED))?.is_some()
        {
            return Ok(None);
        }
        let Some(work) = meta::find(&layer.fd, OsStr::new(WORK))? else { return Ok(None) };
        let Some(diff) = meta::find(&layer.fd, OsStr::new(DIFF))? else { return Ok(None) };
        Ok(Stamp::of_times(&[meta::of_fd(&layer.fd)?.ctime, work.ctime, diff.ctime]))
    }
}
