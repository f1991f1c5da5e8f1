//! How the pool comes to be there: somebody else's, LVM's, two devices', or two files'.
//!
//! A pool that was made here goes when nobody uses it any more: no process of ours, no mount. There is no daemon that
//! would keep it, and a data root with an idle pool can be unmounted.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sys::block::{self, Loop};
use sys::dm::Control;
use sys::{AsFd, BorrowedFd, Errno, OwnedFd, dir, file, meta};

use super::pool::Pool;
use super::{DeviceMapper, ThinDevices, lvm};
use crate::config::Config;
use crate::{Error, Prerequisite, Result, Unmet};

/// The directory of the two files in the home.
pub(super) const LOOPS: &str = "devicemapper";

/// A device of the pool: open, with its path, and the loop device if it is a file.
struct Part {
    fd: OwnedFd,
    path: PathBuf,
}

impl ThinDevices {
    /// The name of the pool's device.
    pub(super) fn pool_name(&self) -> String {
        match (&self.options.thin_pool, &self.options.lvm) {
            (Some(name), _) => name.clone(),
            (None, Some(_)) => lvm::POOL.to_owned(),
            (None, None) => format!("{}-pool", self.prefix),
        }
    }

    /// Takes hold of the pool, and makes it if it is not there. The caller has the home's lock.
    pub(super) fn find_or_make_pool(&self) -> Result<Pool> {
        let control = control()?;
        if let Some(wanted) = &self.options.lvm {
            lvm::set_up(&self.home.fd, wanted, self.options.lvm_force)?;
        }
        let name = self.pool_name();
        let control = match Pool::find(control, &name)? {
            Ok(pool) => return Ok(pool),
            Err(control) => control,
        };
        if self.options.thin_pool.is_some() || self.options.lvm.is_some() {
            return Err(Error::Devices(format!(
                "devmapper: there is no thin pool {name}: make it with lvcreate and lvconvert, or activate it with \
                 lvchange -ay"
            )));
        }
        let Options { data, metadata } = self.parts()?;
        let devices = format!("{} {}", metadata.path.display(), data.path.display());
        Pool::make(control, &name, &data.fd, &devices, self.options.block_sectors)
    }

    fn parts(&self) -> Result<Options> {
        let part = |device: &Option<PathBuf>, name, size| match device {
            Some(path) => Ok(Part { fd: block::open(path)?, path: path.clone() }),
            None => self.file(name, size),
        };
        Ok(Options {
            data: part(&self.options.data_device, "data", self.options.loop_data_size)?,
            metadata: part(&self.options.metadata_device, "metadata", self.options.loop_metadata_size)?,
        })
    }

    /// A sparse file as a device. It is made, or made larger, as the options say; it never shrinks.
    fn file(&self, name: &str, size: u64) -> Result<Part> {
        let dir = dir::ensure(&self.home.fd, OsStr::new(LOOPS), 0o700)?;
        let path = self.home.path.join(LOOPS).join(name);
        dir::open_or_create_file(&dir, OsStr::new(name), 0o600)?;
        let fd = block::open(&path)?;
        if meta::of_fd(&fd)?.size < size {
            file::truncate(&fd, size)?;
        }
        wait_until_free(fd.as_fd(), &path)?;
        let Loop { fd, path } = Loop::attach(&fd).map_err(|e| no_device(e, "loop"))?;
        Ok(Part { fd, path })
    }
}

/// The two devices of a pool.
struct Options {
    data: Part,
    metadata: Part,
}

/// The way to device-mapper, with its thin pools.
pub(super) fn control() -> Result<Control> {
    let control = Control::open().map_err(|e| no_device(e, "dm_thin_pool"))?;
    let has_pools = || Ok::<_, Error>(control.targets()?.iter().any(|kind| kind == "thin-pool"));
    if !has_pools()? {
        // The kernel would do so itself, when a pool is made.
        let _ = Command::new("modprobe").arg("dm_thin_pool").output();
        if !has_pools()? {
            let text = "devmapper: the kernel has device-mapper, but no thin pools: modprobe dm_thin_pool";
            return Err(Error::Devices(text.to_owned()));
        }
    }
    Ok(control)
}

impl DeviceMapper {
    /// Whether the kernel has thin pools for us.
    pub(crate) fn probe(config: &Config) -> Result<(), Unmet> {
        if config.user_namespace || sys::process::euid() != 0 {
            let remedy = "run as root, or choose another --storage-driver";
            return Err(Unmet::new(Prerequisite::Root, "an ordinary user", remedy));
        }
        control().map(drop).map_err(|e| {
            let remedy = "load it with 'modprobe dm_thin_pool', or choose another --storage-driver";
            Unmet::new(Prerequisite::Module("dm_thin_pool"), e.to_string(), remedy)
        })
    }
}

fn no_device(e: sys::Error, module: &str) -> Error {
    match e.errno {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => {
            Error::Devices(format!("devmapper: {e}: the kernel needs a module: modprobe {module}"))
        }
        _ => e.into(),
    }
}

/// A pool that is going away still writes to its files: another one must not begin before.
fn wait_until_free(file: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let file = meta::of_fd(file)?;
    for _ in 0..2000 {
        if loops_of(&file)?.is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let loops = loops_of(&file)?.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    Err(Error::Devices(format!(
        "devmapper: {} is in use by {}, which is not of the pool: losetup --detach",
        path.display(),
        loops.join(", ")
    )))
}

/// The loop devices of a file.
fn loops_of(file: &meta::Meta) -> Result<Vec<PathBuf>> {
    let is_it = |backing: &Path| {
        meta::of_path(backing).is_ok_and(|found| (found.dev, found.ino) == (file.dev, file.ino))
    };
    let loops = block::loops()?.into_iter().filter(|(_, backing)| is_it(backing));
    Ok(loops.map(|(device, _)| device).collect())
}
