//! The base device: an empty file system that layers without a parent are snapshots of.

use std::path::Path;
use std::process::Command;

use sys::block;

use super::metadata::{BASE, Device};
use super::session::Session;
use crate::{Error, Result};

impl Session<'_> {
    /// The base device; made if there is none yet, or none that was finished.
    pub(super) fn base(&self) -> Result<Device> {
        let devices = self.devices;
        match devices.metadata.device(BASE)? {
            Some(base) if base.initialized && !base.deleted => {
                self.recognize(&base)?;
                self.grow_base(base)
            }
            found => {
                if let Some(half) = &found {
                    self.delete("", half, (&devices.metadata.0, BASE))?;
                } else if devices.options.thin_pool.is_some() || devices.options.lvm.is_some() {
                    self.require_empty_pool()?;
                }
                self.make_base()
            }
        }
    }

    fn make_base(&self) -> Result<Device> {
        let devices = self.devices;
        let (size, _) = devices.options.base_size;
        let mut base = self.make("", None, size, (&devices.metadata.0, BASE))?;
        let active = self.pool.activate(&devices.device_name(BASE), &base)?;
        let fs = devices.options.fs.unwrap_or_else(default_fs);
        make_file_system(fs, &devices.options.mkfs_args, &active.node)?;
        let content = block::content(&active.hold)?;
        let uuid = content.map(|content| content.uuid).unwrap_or_default();
        base.initialized = true;
        devices.metadata.write_device(BASE, &base)?;
        let mut set = devices.metadata.set()?;
        (set.base_uuid, set.base_fs) = (uuid, fs.to_owned());
        devices.metadata.write_set(&set)?;
        Ok(base)
    }

    /// Makes sure that this is the pool of before.
    fn recognize(&self, base: &Device) -> Result<()> {
        let devices = self.devices;
        if devices.is_recognized() {
            return Ok(());
        }
        let active = self.pool.activate(&devices.device_name(BASE), base)?;
        let content = block::content(&active.hold)?;
        let (kind, uuid) = content.map(|c| (c.kind, c.uuid)).unwrap_or_default();
        let mut set = devices.metadata.set()?;
        let before = set.clone();
        if set.base_uuid.is_empty() {
            set.base_uuid.clone_from(&uuid);
        }
        if set.base_fs.is_empty() {
            set.base_fs = kind.to_owned();
        }
        if set.base_uuid != uuid {
            return Err(Error::Devices(format!(
                "devmapper: Base Device UUID and Filesystem verification failed: devmapper: Current Base Device \
                 UUID:{uuid} does not match with stored UUID:{}. Possibly using a different thin pool than last \
                 invocation",
                set.base_uuid
            )));
        }
        if set != before {
            devices.metadata.write_set(&set)?;
        }
        devices.note_recognized();
        Ok(())
    }

    /// Makes the base device as large as the user wants it from now on.
    fn grow_base(&self, mut base: Device) -> Result<Device> {
        let devices = self.devices;
        let (size, asked) = devices.options.base_size;
        if !asked || size == base.size {
            return Ok(base);
        }
        if size < base.size {
            let now = model::size::human(base.size);
            return Err(Error::Devices(format!("devmapper: Base device size cannot be smaller than {now}")));
        }
        base.size = size;
        // As long as it is active it has the size of before.
        self.pool.deactivate(&devices.device_name(BASE))?;
        self.grow(&devices.device_name(BASE), &base)?;
        devices.metadata.write_device(BASE, &base)?;
        Ok(base)
    }

    /// Lets the file system on a device grow to the device's size.
    pub(super) fn grow(&self, name: &str, device: &Device) -> Result<()> {
        let active = self.pool.activate(name, device)?;
        let kind = super::mount::kind(&active)?;
        let root = self.devices.mount_device(&active, false)?.open(Path::new("."))?;
        block::grow(&root, kind, device.size)?;
        Ok(sys::dir::sync_fs(&root)?)
    }

    /// Docker takes no pool that somebody else has used.
    fn require_empty_pool(&self) -> Result<()> {
        let (usage, name) = (self.pool.usage()?, &self.pool.name);
        let why = if usage.data.0 != 0 {
            format!("({name}) that already has used data blocks")
        } else if usage.transaction != 0 {
            format!("({name}) with non-zero transaction ID")
        } else {
            return Ok(());
        };
        Err(Error::Devices(format!("devmapper: Unable to take ownership of thin-pool {why}")))
    }
}

/// xfs, where the kernel and the machine have it.
fn default_fs() -> &'static str {
    let has_tool = Command::new("mkfs.xfs").arg("-V").output().is_ok_and(|output| output.status.success());
    let has_kernel = || {
        let _ = Command::new("modprobe").arg("xfs").output();
        std::fs::read_to_string("/proc/filesystems")
            .is_ok_and(|text| text.lines().any(|l| l.ends_with("\txfs")))
    };
    if has_tool && has_kernel() { "xfs" } else { "ext4" }
}

/// All of the file system is written now: what were left for later would be written in each layer anew.
fn make_file_system(fs: &str, args: &[String], device: &Path) -> Result<()> {
    let (program, first): (_, &[&str]) = match fs {
        "xfs" => ("mkfs.xfs", &["-q"]),
        _ => ("mkfs.ext4", &["-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"]),
    };
    super::run(Command::new(program).args(first).args(args).arg(device))
}
