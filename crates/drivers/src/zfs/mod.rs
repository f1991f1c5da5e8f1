//! The driver `zfs`: each layer is a dataset, a clone of its parent's (moby.md §9.5).
//!
//! ```text
//! <fsname>/<id>                    the layer: a dataset with mountpoint=legacy
//! <fsname>/layercake-<16 hex>      a layer that is staged or discarded
//! <data root>/zfs/                 0710
//!   graph/<id>/                    0755: where the layer is mounted
//! ```
//!
//! `<fsname>` is the dataset that the data root is on, or that of the option `zfs.fsname`. Layers that are staged or
//! discarded have a file in `.layercake/staging/<16 hex>/<id>`, or in the trash, with the name of their dataset in it;
//! publishing and discarding rename the dataset, which ZFS makes durable at once.
//!
//! Trees are read through mounts that have no place: only what makes, names and removes datasets starts a program.

mod command;
mod probe;
mod status;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use model::CacheId;
use sys::lock::{self, Lock, Mutual};
use sys::mount::{Detached, FileSystem};
use sys::{Errno, OwnedFd, Root, atomic, dir, meta};

use self::command::{Destroyed, Zfs as Command};
use crate::config::Config;
use crate::driver::{Access, Capabilities, LayerKind};
use crate::whole::{Ended, Home, MountPoints, Place, Snapshots, Source, Whole, layer_name};
use crate::{Error, Result, Stage, aside};

const NAME: &str = "zfs";

/// What the names of datasets begin with that are no layers.
const ASIDE: &str = "layercake-";

/// The directory of our own for datasets that were in use when they were to be removed.
const BUSY: &str = "busy";

/// Layers as datasets. Its format is described at the top of the source file.
pub type Zfs = Whole<Datasets>;

/// Trees as clones of each other.
#[derive(Debug)]
pub struct Datasets {
    home: Home,
    /// The dataset that holds the layers'.
    parent: String,
}

impl Zfs {
    /// Opens the driver's home in the data root, and makes it if it is not there. Takes the option `zfs.fsname`.
    ///
    /// # Errors
    /// [`Error::Devices`] if the data root is on no dataset, and none is named.
    pub fn open(config: &Config) -> Result<Self> {
        let parent = match fs_name(config)? {
            Some(name) => name,
            None => dataset_of(&config.root)?,
        };
        let fd = dir::ensure(dir::open_path(&config.root)?, OsStr::new(NAME), 0o710)?;
        let home = Home { fd, path: config.root.join(NAME) };
        Ok(Self::new(Datasets { home, parent }, config.user_namespace))
    }
}

/// The dataset that the user names.
fn fs_name(config: &Config) -> Result<Option<String>> {
    let mut name = None;
    for option in config.options()? {
        match option.key.to_lowercase().as_str() {
            "zfs.fsname" => name = Some(option.value),
            key => return Err(Error::Option(format!("Unknown option {key}"))),
        }
    }
    Ok(name)
}

/// The dataset that a directory is on.
fn dataset_of(path: &Path) -> Result<String> {
    let device = meta::of_path(path)?.dev;
    let mounts = sys::mount::table(Path::new("/"))?;
    let is_it = |target: &Path| meta::of_path(target).is_ok_and(|meta| meta.dev == device);
    let found = mounts.into_iter().find(|mount| mount.fs_type == "zfs" && is_it(&mount.target));
    found.map(|mount| mount.source).ok_or_else(|| {
        let path = path.display();
        Error::Devices(format!(
            "zfs: Failed to find zfs dataset mounted on '{path}' in /proc/mounts: name one with --storage-opt \
             zfs.fsname=POOL/DATASET, or put the data root on ZFS"
        ))
    })
}

impl Datasets {
    /// The dataset of a layer.
    fn published(&self, id: &CacheId) -> Result<String> {
        layer_name(id)?;
        if id.as_str().starts_with(ASIDE) {
            return Err(Error::Reserved(id.clone()));
        }
        Ok(format!("{}/{id}", self.parent))
    }

    /// A name for a dataset that is no layer.
    fn unpublished(&self) -> String {
        format!("{}/{ASIDE}{:016x}", self.parent, u64::from_le_bytes(sys::process::random()))
    }

    /// The dataset of a layer; for a staged one, what its file says, nothing if there is none.
    fn dataset(&self, place: Place<'_>, id: &CacheId) -> Result<Option<String>> {
        let published = self.published(id)?;
        match place {
            Place::Published => Ok(Some(published)),
            Place::Staged(stage) => self.noted(stage.fd(), OsStr::new(id.as_str())),
        }
    }

    /// The dataset that a file names. A file that a power cut left empty, or that names anything else, names none.
    fn noted(&self, dir: &OwnedFd, name: &OsStr) -> Result<Option<String>> {
        let text = atomic::find(dir, name)?.and_then(|text| String::from_utf8(text).ok());
        Ok(text.filter(|text| text.starts_with(&format!("{}/{ASIDE}", self.parent))))
    }

    /// Mounts a dataset, nowhere; `None` if there is none of the name.
    fn mount_dataset(&self, dataset: &str, read_only: bool) -> Result<Option<Detached>> {
        match (FileSystem { kind: "zfs", source: dataset, options: "" }).mount_detached(read_only) {
            Ok(mount) => Ok(Some(mount)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn points(&self) -> MountPoints<'_> {
        MountPoints::new(&self.home, "graph")
    }

    /// The lock on mounting and discarding.
    fn lock(&self) -> Result<Lock> {
        Ok(lock::lock(dir::reopen(&self.home.fd)?, Mutual::Exclusive)?)
    }

    /// Removes the dataset that a file names, and the file; or keeps the file for later if the dataset is in use.
    fn remove_noted(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        if let Some(dataset) = self.noted(dir, name)?
            && Command::destroy(&dataset)? == Destroyed::InUse
        {
            let own = dir::ensure(&self.home.fd, OsStr::new(aside::NAME), 0o700)?;
            let busy = dir::ensure(own, OsStr::new(BUSY), 0o700)?;
            let new = dataset.rsplit('/').next().unwrap_or_default();
            return match dir::rename_noreplace(dir, name, &busy, OsStr::new(new)) {
                Err(e) if e.is_exists() => Ok(()),
                other => Ok(other?),
            };
        }
        match dir::unlink(dir, name) {
            Err(e) if !e.is_not_found() => Err(e.into()),
            _ => Ok(()),
        }
    }
}

impl Snapshots for Datasets {
    const NAME: &'static str = NAME;

    fn home(&self) -> &Home {
        &self.home
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            whole_trees: true,
            independent_layers: false,
            page_cache_sharing: false,
            mounts: true,
            read_only_views: true,
            quota: true,
        }
    }

    fn status(&self) -> Result<Vec<(String, String)>> {
        status::lines(&self.parent)
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        let point = self.points().path(id).display().to_string();
        Ok(vec![("Dataset".to_owned(), self.published(id)?), ("Mountpoint".to_owned(), point)])
    }

    fn make(&self, stage: &Stage, id: &CacheId, from: Option<&Source<'_>>, kind: LayerKind) -> Result<()> {
        let quota = match kind {
            LayerKind::Writable { size } => size,
            LayerKind::ReadOnly => None,
        };
        let parent = match from {
            Some(from) => {
                Some(self.dataset(from.place, from.id)?.ok_or_else(|| Error::NoLayer(from.id.clone()))?)
            }
            None => None,
        };
        self.published(id)?;
        let dataset = self.unpublished();
        // The file first: what it names can be removed from then on.
        atomic::create(stage, OsStr::new(id.as_str()), 0o600, dataset.as_bytes())?;
        dir::sync(stage)?;
        match parent {
            Some(parent) => Command::clone(&parent, &dataset, quota),
            None => Command::create(&dataset, quota),
        }
    }

    /// A staged tree can be written to; a published one is on a mount that refuses it.
    fn root(&self, place: Place<'_>, id: &CacheId) -> Result<Option<Root>> {
        let Some(dataset) = self.dataset(place, id)? else { return Ok(None) };
        let read_only = matches!(place, Place::Published);
        let Some(mount) = self.mount_dataset(&dataset, read_only)? else { return Ok(None) };
        Ok(Some(Root::from_fd(mount.open(Path::new("."))?, self.points().path(id))))
    }

    fn publish(&self, stage: &Stage, id: &CacheId) -> Result<()> {
        let staged = self.dataset(Place::Staged(stage), id)?.ok_or_else(|| Error::NoLayer(id.clone()))?;
        if !Command::rename(&staged, &self.published(id)?)? {
            return Err(Error::Exists(id.clone()));
        }
        Ok(dir::unlink(stage, OsStr::new(id.as_str()))?)
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        let names = Command::children(&self.parent)?;
        let ids = names.iter().filter(|name| !name.starts_with(ASIDE));
        Ok(ids.filter_map(|name| CacheId::parse(name).ok()).collect())
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        let (dataset, _lock) = (self.published(id)?, self.lock()?);
        if !self.exists(id)? {
            return Ok(());
        }
        self.points().end(id)?;
        let (new, own) = (self.unpublished(), dir::ensure(&self.home.fd, OsStr::new(aside::NAME), 0o700)?);
        let trash = dir::ensure(&own, OsStr::new(aside::TRASH), 0o700)?;
        let note = OsStr::new(new.rsplit('/').next().unwrap_or_default());
        atomic::write(&trash, note, 0o600, new.as_bytes())?;
        Command::rename(&dataset, &new).map(drop)
    }

    /// ZFS makes durable what it renames.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn sync_stage(&self, stage: &Stage) -> Result<()> {
        for entry in dir::list(stage)? {
            if let Some(dataset) = self.noted(stage.fd(), &entry.name)?
                && let Some(mount) = self.mount_dataset(&dataset, false)?
            {
                dir::sync_fs(mount.open(Path::new("."))?)?;
            }
        }
        Ok(dir::sync_fs(stage)?)
    }

    fn remove(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        match dir::open(dir, name) {
            Ok(stage) => {
                for entry in dir::list(&stage)? {
                    self.remove_noted(&stage, &entry.name)?;
                }
                Ok(sys::tree::remove(dir, name)?)
            }
            Err(e) if e.errno == Errno::NOTDIR => self.remove_noted(dir, name),
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// What was in use may be free by now: children, which have to go before their parents, are gone.
    fn tidy(&self) -> Result<()> {
        let Ok(own) = dir::open(&self.home.fd, OsStr::new(aside::NAME)) else { return Ok(()) };
        let Ok(busy) = dir::open(&own, OsStr::new(BUSY)) else { return Ok(()) };
        for entry in dir::list(&busy)? {
            self.remove_noted(&busy, &entry.name)?;
        }
        Ok(())
    }

    fn mount(&self, id: &CacheId, access: Access) -> Result<PathBuf> {
        let (dataset, _lock) = (self.published(id)?, self.lock()?);
        let point = self.points().path(id);
        match self.points().mounted(id)? {
            Some(mounted) if mounted.read_only && access == Access::Write => {
                Err(Error::ReadOnly { id: id.clone(), why: "it is mounted for reading" })
            }
            Some(_) => Ok(point),
            None => {
                let mount = self.mount_dataset(&dataset, access == Access::Read)?;
                self.points().attach(id, mount.ok_or_else(|| Error::NoLayer(id.clone()))?)?;
                Ok(point)
            }
        }
    }

    fn unmount(&self, id: &CacheId) -> Result<bool> {
        let _lock = self.lock()?;
        Ok(self.points().end(id)? != Ended::Absent)
    }

    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>> {
        Ok(self.points().mounted(id)?.map(|_| self.points().path(id)))
    }

    /// What the dataset alone takes on the disk, where it has a limit: ZFS counts it then in any case.
    fn counted(&self, id: &CacheId) -> Result<Option<u64>> {
        Command::used_of_quota(&self.published(id)?)
    }
}
