//! Mounting and unmounting.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use model::CacheId;
use sys::lock::Lock;
use sys::mount::Branch;
use sys::{Errno, dir, meta};

use super::LegacyOverlay;
use super::layer::{Form, Layer, MERGED, ROOT, UPPER, WORK};
use crate::driver::Access;
use crate::mountpoint::{Ended, State};
use crate::stacked::{Tree, Union};
use crate::whole::layer_name;
use crate::{Damage, Result, Stamp, directories};

impl LegacyOverlay {
    pub(super) fn mount_layer(&self, id: &CacheId, access: Access, label: &str) -> Result<PathBuf> {
        let layer = self.published(id)?;
        let form = layer.form()?;
        if let (Access::Write, Form::Tree(root)) = (access, &form) {
            return Ok(root.path().to_owned());
        }
        let _lock = self.lock(&layer)?;
        let point = layer.mount_point();
        if point.serves(id, access)? {
            return Ok(point.path);
        }
        let tree = Tree { label, ..self.tree(&layer, &form, access)? };
        dir::ensure(&layer.fd, OsStr::new(MERGED), 0o700)?;
        if let Err(e) = self.kernel.mount(tree, &point.path) {
            let _ = dir::rmdir(&layer.fd, OsStr::new(MERGED));
            return Err(e);
        }
        Ok(point.path)
    }

    fn tree(&self, layer: &Layer, form: &Form, access: Access) -> Result<Tree<'_>> {
        let id = &layer.id;
        let (mut lowers, mut upper) = (Vec::with_capacity(2), None);
        match form {
            Form::Tree(_) => lowers.push(self.branch(id, ROOT, layer, Damage::NoDiff)?),
            Form::Upper { lower, .. } => {
                let changes = self.branch(id, UPPER, layer, Damage::NoDiff)?;
                match access {
                    Access::Read => lowers.push(changes),
                    Access::Write => upper = Some((changes, self.branch(id, WORK, layer, Damage::NoWork)?)),
                }
                lowers.push(self.branch(lower, ROOT, layer, Damage::NoLower(lower.clone()))?);
            }
        }
        Ok(Tree { lowers, upper, home: &self.home, path: &self.path, label: "" })
    }

    /// Opens a directory of a layer; what it means if it is not there.
    fn branch(&self, id: &CacheId, name: &str, layer: &Layer, missing: Damage) -> Result<Branch> {
        let path = Path::new(layer_name(id)?).join(name);
        match sys::mount::open_layer(&self.home, &path) {
            Ok(fd) => Ok(Branch { fd, path }),
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
        match layer.mount_point().end(|| Ok(true))? {
            Ended::Free => return Ok(false),
            // The sign that the layer may still change.
            Ended::Lingers => return Ok(true),
            Ended::Settled => {}
        }
        match dir::rmdir(&layer.fd, OsStr::new(MERGED)) {
            Err(e) if matches!(e.errno, Errno::BUSY | Errno::NOTEMPTY | Errno::NOENT) => Ok(true),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Waits until nobody else mounts, unmounts, seals, repairs or discards the layer.
    pub(super) fn lock(&self, layer: &Layer) -> Result<Lock> {
        directories::lock(&self.home, layer_name(&layer.id)?, &layer.fd, &layer.id)
    }

    /// A writable layer changes only while it is mounted, and each mount leaves its mark: `merged` comes and goes, and the
    /// kernel makes `work/work` anew. Docker's mounts do the same.
    pub(super) fn stamp(&self, layer: &Layer) -> Result<Option<Stamp>> {
        let find = |name: &str| meta::find(&layer.fd, OsStr::new(name));
        if layer.mount_point().state()? != State::Free || find(MERGED)?.is_some() || find(ROOT)?.is_some() {
            return Ok(None);
        }
        let (Some(work), Some(upper)) = (find(WORK)?, find(UPPER)?) else { return Ok(None) };
        Ok(Stamp::of_times(&[meta::of_fd(&layer.fd)?.ctime, work.ctime, upper.ctime]))
    }
}
