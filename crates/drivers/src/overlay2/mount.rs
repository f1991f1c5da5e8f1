//! Mounting and unmounting.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::CacheId;
use sys::lock::{self, Lock, Mutual};
use sys::mount::{Branch, Overlay};
use sys::{Errno, Time, dir, meta};

use super::layer::{DIFF, LINKS, Layer, MERGED, WORK};
use super::{Overlay2, same};
use crate::driver::{Access, Stamp};
use crate::{Damage, Error, Result, aside};

/// The mount options of this kernel.
pub(super) type Options = Vec<(&'static str, Option<&'static str>)>;

/// A directory without anything in it: what is below a base layer in a view for reading, for an overlay needs two.
const EMPTY: &str = "empty";

impl Overlay2 {
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
        match sys::mount::at(&layer.fd, OsStr::new(MERGED))? {
            Some(mounted) if access == Access::Write && mounted.read_only => {
                return Err(read_only("it is mounted for reading"));
            }
            Some(_) => return Ok(merged),
            None => {}
        }
        let overlay = self.overlay(&layer, &lowers, access)?;
        dir::ensure(&layer.fd, OsStr::new(MERGED), 0o700)?;
        if let Err(e) = overlay.mount(&merged) {
            let _ = dir::rmdir(&layer.fd, OsStr::new(MERGED));
            return Err(e.into());
        }
        Ok(merged)
    }

    fn overlay<'a>(
        &'a self,
        layer: &Layer,
        lowers: &[(model::LinkId, CacheId)],
        access: Access,
    ) -> Result<Overlay<'a>> {
        let mut branches = Vec::with_capacity(lowers.len() + 2);
        if access == Access::Read {
            branches.push(self.branch(&format!("{}/{DIFF}", layer.id), layer, Damage::NoDiff)?);
        }
        for (link, id) in lowers {
            // By the id, which is checked, and for mount(2) by the short name.
            let mut branch = self.branch(&format!("{id}/{DIFF}"), layer, Damage::DanglingLower(*link))?;
            branch.path = format!("{LINKS}/{link}").into();
            branches.push(branch);
        }
        if branches.len() < 2 && access == Access::Read {
            let beside = dir::ensure(&self.home, OsStr::new(aside::NAME), 0o700)?;
            dir::ensure(&beside, OsStr::new(EMPTY), 0o755)?;
            branches.push(self.branch(&format!("{}/{EMPTY}", aside::NAME), layer, Damage::NoDiff)?);
        }
        let upper = match access {
            Access::Read => None,
            Access::Write => Some((
                self.branch(&format!("{}/{DIFF}", layer.id), layer, Damage::NoDiff)?,
                self.branch(&format!("{}/{WORK}", layer.id), layer, Damage::NoWork)?,
            )),
        };
        let options = self.options.get_or_init(|| options(self.user_namespace)).clone();
        Ok(Overlay { lowers: branches, upper, options, home: &self.path })
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
        let name = OsStr::new(MERGED);
        let Some(mounted) = sys::mount::at(&layer.fd, name)? else { return Ok(false) };
        let merged = layer.path.join(MERGED);
        match sys::mount::unmount(&merged) {
            Err(e) if e.errno == Errno::BUSY => {
                sys::mount::detach(&merged)?;
                if !mounted.read_only {
                    return Ok(true);
                }
            }
            other => other?,
        }
        match dir::rmdir(&layer.fd, name) {
            // Something else is mounted there, or somebody has put files there: it does no harm.
            Err(e) if matches!(e.errno, Errno::BUSY | Errno::NOTEMPTY | Errno::NOENT) => Ok(true),
            other => Ok(other.map(|()| true)?),
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
    /// the kernel makes `work/work` anew, and `merged` comes and goes. Docker's mounts do the same.
    pub(super) fn stamp(&self, layer: &Layer) -> Result<Option<Stamp>> {
        if meta::find(&layer.fd, OsStr::new(MERGED))?.is_some() {
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

/// Docker's options for this kernel (moby.md §8.2), and those that keep uppers readable without a mount.
pub(super) fn options(user_namespace: bool) -> Options {
    let parameter = |name: &str| {
        let value = std::fs::read_to_string(Path::new("/sys/module/overlay/parameters").join(name));
        value.ok().map(|value| value.trim().to_owned())
    };
    let is_on = |name: &str| parameter(name).is_some_and(|value| value == "Y");
    let mut options = Options::new();
    if parameter("index").is_some() {
        options.push(("index", Some("off")));
    }
    if user_namespace {
        // With userxattr neither redirects nor metacopy are possible.
        options.push(("userxattr", None));
        return options;
    }
    if is_on("redirect_dir") || is_on("metacopy") {
        options.push(("redirect_dir", Some("off")));
        options.push(("metacopy", Some("off")));
    }
    options
}
