//! The driver `devicemapper`: each layer is a thin device with a file system of its own, made as a snapshot of its
//! parent's (moby.md §9.7).
//!
//! ```text
//! <data root>/devicemapper/          0700
//!   metadata/                        0700
//!     base, <id>                     0600, JSON: number in the pool, size, transaction
//!     deviceset-metadata             0600, JSON: UUID and file system of the base device
//!     transaction-metadata           0600, JSON: what was begun last
//!   devicemapper/{data,metadata}     0600, sparse: the pool's devices where no others are given (`loopback-lvm`)
//!   setup-config.json                0600: how LVM made the pool (`direct-lvm`)
//!   mnt/<id>/                        0755: where the layer is mounted; the tree is in its `rootfs`
//! ```
//!
//! What is staged and what is in the trash is such a file, too (`.layercake/staging/<16 hex>/<id>`,
//! `.layercake/trash/<id>+<16 hex>`), and its device is in the pool: publishing and discarding rename the file. To
//! Docker these devices are numbers that it finds to be taken.
//!
//! Devices are active while somebody uses them, and go by themselves (the kernel's deferred removal), so that nothing
//! stays active when a process is killed. Trees are read through mounts that have no place.

mod activate;
mod base;
mod lvm;
mod metadata;
mod mount;
mod options;
mod pool;
mod session;
mod status;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::CacheId;
use sys::lock::{self, Lock, Mutual};
use sys::{Errno, OwnedFd, Root, dir, meta};

use self::metadata::{BASE, Device, Files};
use self::mount::ROOT;
use self::options::Options;
use self::pool::{Active, Pool};
use self::session::{Origin, Session};
use crate::config::Config;
use crate::driver::{Access, Capabilities, LayerKind};
use crate::whole::{Ended, Home, MountPoints, Place, Snapshots, Source, Whole, layer_name};
use crate::{Error, Result, Stage, aside};

const NAME: &str = "devicemapper";
const MOUNTS: &str = "mnt";

/// Layers as thin devices. Its format is described at the top of the source file.
pub type DeviceMapper = Whole<ThinDevices>;

/// Trees on devices that are snapshots of each other.
#[derive(Debug)]
pub struct ThinDevices {
    home: Home,
    metadata: Files,
    options: Options,
    /// What the names of our devices begin with.
    prefix: String,
    pool: Mutex<Option<Arc<Pool>>>,
    is_recognized: AtomicBool,
}

/// A file that says of a device that it is staged, or to be deleted.
#[derive(Debug)]
struct Note {
    dir: OwnedFd,
    name: String,
    device: Device,
}

impl Note {
    /// The layer's name.
    fn id(&self) -> &str {
        self.name.split('+').next().unwrap_or_default()
    }
}

impl DeviceMapper {
    /// Opens the driver's home in the data root, and makes it if it is not there. The pool is made, or looked for, when
    /// it is needed.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn open(config: &Config) -> Result<Self> {
        let options = Options::parse(config)?;
        let fd = dir::ensure(dir::open_path(&config.root)?, OsStr::new(NAME), 0o700)?;
        let metadata = Files(dir::ensure(&fd, OsStr::new("metadata"), 0o700)?);
        let meta = meta::of_fd(&fd)?;
        let (major, minor) = sys::block::numbers(meta.dev);
        let prefix = format!("docker-{major}:{minor}-{}", meta.ino);
        let home = Home { fd, path: config.root.join(NAME) };
        let (pool, is_recognized) = (Mutex::default(), AtomicBool::new(false));
        let devices = ThinDevices { home, metadata, options, prefix, pool, is_recognized };
        Ok(Self::new(devices, config.user_namespace))
    }
}

impl ThinDevices {
    /// Under which name the device of a layer, or the base device, is active.
    fn device_name(&self, id: &str) -> String {
        format!("{}-{id}", self.prefix)
    }

    /// Under which name a device is active that is no layer's yet.
    fn staged_name(&self, device: &Device) -> String {
        format!("{}-staged{}", self.prefix, device.id)
    }

    fn is_recognized(&self) -> bool {
        self.is_recognized.load(Ordering::Relaxed)
    }

    fn note_recognized(&self) {
        self.is_recognized.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> Result<Lock> {
        Ok(lock::lock(dir::reopen(&self.metadata.0)?, Mutual::Exclusive)?)
    }

    /// The pool, which stays active as long as this driver does.
    fn pool(&self) -> Result<Arc<Pool>> {
        let known = self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(pool) => Ok(pool),
            None => {
                let _lock = self.lock()?;
                self.locked_pool()
            }
        }
    }

    /// As [`pool`](Self::pool), for who has the lock.
    fn locked_pool(&self) -> Result<Arc<Pool>> {
        let mut known = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*known {
            return Ok(pool.clone());
        }
        Ok(known.insert(Arc::new(self.find_or_make_pool()?)).clone())
    }

    /// The right to change the pool. What others left half done is undone.
    fn session(&self) -> Result<Session<'_>> {
        let lock = self.lock()?;
        let session = Session { devices: self, pool: self.locked_pool()?, _lock: lock };
        session.roll_back()?;
        // Whoever made it may have been killed before he said so.
        if self.options.thin_pool.is_none() && self.options.lvm.is_none() {
            session.pool.release(&session.pool.name)?;
        }
        Ok(session)
    }

    /// Makes a device active. Whoever stopped it for a snapshot and died has left it so.
    fn activate(&self, name: &str, device: &Device) -> Result<Active> {
        let pool = self.pool()?;
        if pool.control.info(name)?.is_some_and(|info| info.suspended) {
            self.session()?.wake(name)?;
        }
        pool.activate(name, device)
    }

    /// All devices in Docker's directory but the base, those too that are to be deleted.
    fn published(&self) -> Result<Vec<(String, Device)>> {
        let mut found = Vec::new();
        for entry in dir::list(&self.metadata.0)? {
            let name = entry.name.to_string_lossy();
            if metadata::is_layer(&name)
                && let Some(device) = self.metadata.device(&name)?
            {
                found.push((name.into_owned(), device));
            }
        }
        Ok(found)
    }

    /// All files of devices in stages and in the trash.
    fn notes(&self) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        let Some(own) = open(&self.home.fd, aside::NAME)? else { return Ok(notes) };
        for place in session::directories(&own)? {
            notes.extend(notes_in(&place)?);
            for below in session::directories(&place)? {
                notes.extend(notes_in(&below)?);
            }
        }
        Ok(notes)
    }

    /// A layer's device, and the name under which it is active.
    fn find(&self, place: Place<'_>, id: &CacheId) -> Result<Option<(Device, String)>> {
        let name = device_file(id)?;
        let (device, active) = match place {
            Place::Staged(stage) => {
                let device = metadata::read_device(stage.fd(), name)?;
                let active = device.as_ref().map(|device| self.staged_name(device));
                (device, active.unwrap_or_default())
            }
            Place::Published => (self.metadata.device(name)?, self.device_name(name)),
        };
        Ok(device.filter(|device| !device.deleted).map(|device| (device, active)))
    }

    fn require(&self, id: &CacheId) -> Result<(Device, String)> {
        self.find(Place::Published, id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    /// The size of a new device: its parent's, or what was asked for.
    fn size_for(kind: LayerKind, origin: &Device) -> Result<u64> {
        match kind {
            LayerKind::Writable { size: Some(size) } if size < origin.size => {
                let least = model::size::human(origin.size);
                Err(Error::Devices(format!("devmapper: Container size cannot be smaller than {least}")))
            }
            // Devices have whole sectors.
            LayerKind::Writable { size: Some(size) } => Ok(size / 512 * 512),
            _ => Ok(origin.size),
        }
    }

    fn points(&self) -> MountPoints<'_> {
        MountPoints::new(&self.home, MOUNTS)
    }

    /// The lock on what is done with one layer.
    fn lock_layer(&self, id: &CacheId) -> Result<Lock> {
        let file = dir::open_file(&self.metadata.0, OsStr::new(device_file(id)?));
        let file = file.map_err(|e| if e.is_not_found() { Error::NoLayer(id.clone()) } else { e.into() })?;
        Ok(lock::lock(file, Mutual::Exclusive)?)
    }

    /// Unmounts a layer, and says whether it was mounted. The caller has its lock.
    fn end_mount(&self, id: &CacheId) -> Result<bool> {
        let ended = self.points().end(id)?;
        match ended {
            Ended::Unused if !self.options.deferred_removal => {
                self.pool()?.deactivate(&self.device_name(id.as_str()))?;
            }
            Ended::InUse if !self.options.deferred_removal => {
                let why = "in use, and dm.use_deferred_removal is false";
                return Err(Error::Devices(format!("devmapper: Error unmounting device {id}: it is {why}")));
            }
            _ => {}
        }
        Ok(ended != Ended::Absent)
    }
}

impl Snapshots for ThinDevices {
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
        self.status_lines()
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        let (device, name) = self.require(id)?;
        Ok([
            ("DeviceId", device.id.to_string()),
            ("DeviceName", name),
            ("DeviceSize", device.size.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec())
    }

    fn make(&self, stage: &Stage, id: &CacheId, from: Option<&Source<'_>>, kind: LayerKind) -> Result<()> {
        let name = device_file(id)?;
        let session = self.session()?;
        let (origin, active) = match from {
            Some(from) => self.find(from.place, from.id)?.ok_or_else(|| Error::NoLayer(from.id.clone()))?,
            None => (session.base()?, self.device_name(BASE)),
        };
        let size = Self::size_for(kind, &origin)?;
        session.wake(&active)?;
        let origin = Origin { device: &origin, name: &active };
        let device = session.make(name, Some(origin), size, (stage.fd(), name))?;
        if size > origin.device.size {
            session.grow(&self.staged_name(&device), &device)?;
        }
        Ok(())
    }

    /// A staged tree can be written to; a published one is on a mount that refuses it.
    fn root(&self, place: Place<'_>, id: &CacheId) -> Result<Option<Root>> {
        let Some((device, name)) = self.find(place, id)? else { return Ok(None) };
        let read_only = matches!(place, Place::Published);
        let active = self.activate(&name, &device)?;
        let mount = self.mount_device(&active, read_only)?;
        let fd = match mount::tree(&mount, id.as_str(), read_only) {
            // A layer of Docker's that was never mounted has no tree yet: one mount makes it.
            Err(Error::Sys(e)) if e.is_not_found() => {
                mount::tree(&self.mount_device(&active, false)?, id.as_str(), false)?;
                mount::tree(&mount, id.as_str(), true)?
            }
            other => other?,
        };
        Ok(Some(Root::from_fd(fd, self.points().path(id).join(ROOT))))
    }

    fn publish(&self, stage: &Stage, id: &CacheId) -> Result<()> {
        let name = OsStr::new(device_file(id)?);
        let (_, staged) = self.find(Place::Staged(stage), id)?.ok_or_else(|| Error::NoLayer(id.clone()))?;
        dir::rename_noreplace(stage, name, &self.metadata.0, name).map_err(|e| match e {
            e if e.is_exists() => Error::Exists(id.clone()),
            e if e.is_not_found() => Error::NoLayer(id.clone()),
            e => e.into(),
        })?;
        // Active under two names it would be two devices to the kernel.
        let pool = self.pool()?;
        match pool.control.rename(&staged, &self.device_name(id.as_str())) {
            Err(e) if e.errno != Errno::NXIO => Err(e.into()),
            _ => Ok(()),
        }
    }

    fn exists(&self, id: &CacheId) -> Result<bool> {
        Ok(self.find(Place::Published, id)?.is_some())
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        let devices = self.published()?.into_iter().filter(|(_, device)| !device.deleted);
        Ok(devices.filter_map(|(name, _)| session::layer_of(&name)).collect())
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        let name = OsStr::new(device_file(id)?);
        let _lock = match self.lock_layer(id) {
            Err(Error::NoLayer(_)) => return Ok(()),
            other => other?,
        };
        if !self.exists(id)? {
            return Ok(());
        }
        self.end_mount(id)?;
        match aside::discard_as(&self.home.fd, &self.metadata.0, name, |random| format!("{id}+{random}")) {
            Err(Error::Sys(e)) if e.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn sync(&self) -> Result<()> {
        Ok(dir::sync(&self.metadata.0)?)
    }

    /// The file systems on the devices, then the files that name them.
    fn sync_stage(&self, stage: &Stage) -> Result<()> {
        for note in notes_in(stage.fd())? {
            let active = self.activate(&self.staged_name(&note.device), &note.device)?;
            dir::sync_fs(self.mount_device(&active, false)?.open(Path::new("."))?)?;
        }
        Ok(dir::sync_fs(stage)?)
    }

    fn remove(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        if let Some(stage) = open(dir, &name.to_string_lossy())? {
            for note in notes_in(&stage)? {
                self.session()?.remove(&note)?;
            }
            return Ok(sys::tree::remove(dir, name)?);
        }
        let name = name.to_string_lossy().into_owned();
        match metadata::read_device(dir, &name)? {
            Some(device) => self.session()?.remove(&Note { dir: dir::reopen(dir)?, name, device }),
            None => Ok(()),
        }
    }

    fn tidy(&self) -> Result<()> {
        if self.published()?.iter().any(|(_, device)| device.deleted) {
            return self.session()?.delete_deferred();
        }
        Ok(())
    }

    fn mount(&self, id: &CacheId, access: Access) -> Result<PathBuf> {
        let _lock = self.lock_layer(id)?;
        let (device, name) = self.require(id)?;
        let tree = self.points().path(id).join(ROOT);
        match self.points().mounted(id)? {
            Some(mounted) if mounted.read_only && access == Access::Write => {
                return Err(Error::ReadOnly { id: id.clone(), why: "it is mounted for reading" });
            }
            Some(_) => return Ok(tree),
            None => {}
        }
        let active = self.activate(&name, &device)?;
        let read_only = access == Access::Read;
        let mount = self.mount_device(&active, read_only)?;
        if mount::tree(&mount, id.as_str(), read_only).is_err() {
            mount::tree(&self.mount_device(&active, false)?, id.as_str(), false)?;
        }
        self.points().attach(id, mount)?;
        Ok(tree)
    }

    fn unmount(&self, id: &CacheId) -> Result<bool> {
        let _lock = self.lock_layer(id)?;
        self.end_mount(id)
    }

    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>> {
        let mounted = self.points().mounted(id)?;
        Ok(mounted.map(|_| self.points().path(id).join(ROOT)))
    }
}

/// The name of a layer's file.
fn device_file(id: &CacheId) -> Result<&str> {
    layer_name(id)?;
    if metadata::is_layer(id.as_str()) { Ok(id.as_str()) } else { Err(Error::Reserved(id.clone())) }
}

/// Opens a directory, if there is one of that name.
fn open(dir: &OwnedFd, name: &str) -> Result<Option<OwnedFd>> {
    match dir::open(dir, OsStr::new(name)) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The files of devices in a directory.
fn notes_in(dir: &OwnedFd) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    for entry in dir::list(dir)? {
        let name = entry.name.to_string_lossy().into_owned();
        if entry.kind == Some(sys::FileKind::Dir) || !metadata::is_layer(&name) {
            continue;
        }
        if let Some(device) = metadata::read_device(dir, &name)? {
            notes.push(Note { dir: dir::reopen(dir)?, name, device });
        }
    }
    Ok(notes)
}

/// Runs a program of the machine, which must succeed.
fn run(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(|e| {
        let program = command.get_program().to_string_lossy();
        Error::Devices(format!("devmapper: {program}: {e}: install it, or put it into the PATH"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Devices(format!("devmapper: {command:?}: {}: {}", output.status, said.trim())))
}
