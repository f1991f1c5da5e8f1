//! Mounting and unmounting.

use std::path::{Path, PathBuf};

use model::CacheId;
use sys::lock::{self, Lock, Mutual};
use sys::mount::Branch;
use sys::{Errno, dir, meta};

use super::layer::Layer;
use super::stage::{WORK, WRITABLE};
use super::{Aufs, DIFF, MNT, layer_name};
use crate::driver::Access;
use crate::fuse_overlayfs::UserUnion;
use crate::mountpoint::{Ended, MountPoint};
use crate::stacked::{Tree, Union};
use crate::{Damage, Error, Result, aside};

impl Aufs {
    pub(super) fn mount_layer(&self, id: &CacheId, access: Access) -> Result<PathBuf> {
        let layer = self.published(id)?;
        let below = layer.ancestors()?;
        if access == Access::Write && below.is_empty() {
            return Ok(self.files(&layer)?.path().to_owned());
        }
        let _lock = self.lock(&layer)?;
        let point = self.mount_point(id)?;
        if point.serves(id, access)? {
            return Ok(point.path);
        }
        let tree = self.tree(&layer, &below, access)?;
        dir::ensure(&self.mnt, layer_name(id)?, 0o755)?;
        self.union.mount(tree, &point.path)?;
        Ok(point.path)
    }

    fn tree(&self, layer: &Layer, below: &[CacheId], access: Access) -> Result<Tree<'_>> {
        let own = self.branch(Path::new(DIFF).join(layer_name(&layer.id)?), layer, Damage::NoDiff)?;
        let (mut lowers, mut upper) = (Vec::with_capacity(below.len() + 1), None);
        match access {
            Access::Read => lowers.push(own),
            Access::Write => {
                let path = work_path(&layer.id)?;
                let mut work = dir::reopen(&self.home)?;
                for name in &path {
                    work = dir::ensure(&work, name, 0o700)?;
                }
                upper = Some((own, self.branch(path, layer, Damage::NoWork)?));
            }
        }
        for id in below {
            let missing = Damage::NoLower(id.clone());
            lowers.push(self.branch(Path::new(DIFF).join(layer_name(id)?), layer, missing)?);
        }
        Ok(Tree { lowers, upper, home: &self.home, path: &self.path, label: "" })
    }

    /// Opens a directory by its path in the home; what it means if it is not there.
    fn branch(&self, path: PathBuf, layer: &Layer, missing: Damage) -> Result<Branch> {
        match sys::mount::open_layer(&self.home, &path) {
            Ok(fd) => Ok(Branch { fd, path }),
            Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR) => Err(layer.finding(missing).into()),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn mount_point<'a>(&'a self, id: &'a CacheId) -> Result<MountPoint<'a>> {
        let name = layer_name(id)?;
        Ok(MountPoint { dir: &self.mnt, name, path: self.path.join(MNT).join(name) })
    }

    /// Unmounts, and says whether there was a mount; the caller holds the layer's lock.
    pub(super) fn end_mount(&self, id: &CacheId) -> Result<bool> {
        let work = self.path.join(work_path(id)?);
        let has_ended = || match dir::open_path(&work) {
            Ok(work) => UserUnion::has_ended(&work),
            Err(e) if e.is_not_found() => Ok(true),
            Err(e) => Err(e.into()),
        };
        Ok(self.mount_point(id)?.end(has_ended)? != Ended::Free)
    }

    /// Waits until nobody else mounts, unmounts, repairs or discards the layer.
    pub(super) fn lock(&self, layer: &Layer) -> Result<Lock> {
        let (name, gone) = (layer_name(&layer.id)?, || Error::NoLayer(layer.id.clone()));
        loop {
            // Not the mount point, which is another directory while it is mounted.
            let list = match dir::open_file(&self.layers, name) {
                Err(e) if e.is_not_found() => return Err(gone()),
                other => other?,
            };
            let mine = meta::of_fd(&list)?;
            let lock = lock::lock(list, Mutual::Exclusive)?;
            // Whoever had the lock may have discarded it, or written the list anew.
            match meta::find(&self.layers, name)? {
                Some(now) if (now.dev, now.ino) == (mine.dev, mine.ino) => return Ok(lock),
                Some(_) => {}
                None => return Err(gone()),
            }
        }
    }
}

/// Where the union's work directory of a layer is in the home.
fn work_path(id: &CacheId) -> Result<PathBuf> {
    Ok(Path::new(aside::NAME).join(WRITABLE).join(layer_name(id)?).join(WORK))
}
