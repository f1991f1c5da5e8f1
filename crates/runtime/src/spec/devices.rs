//! Devices of a container: nodes, and the rules of its control group.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime as oci;

use crate::error::{Error, Result};

/// A device of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its path in the container.
    pub path: PathBuf,
    /// Whether it is a block device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Mode.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What it may be used for: of `r`, `w` and `m` (making nodes).
    pub access: String,
}

impl Device {
    /// The device at `source` on the host, to be at `path` in the container.
    ///
    /// # Errors
    /// It is not there, or is no device.
    pub fn of_host(source: &Path, path: impl Into<PathBuf>, access: &str) -> Result<Self> {
        let meta = std::fs::metadata(source).map_err(Error::io("gather device information of", source))?;
        let kind = meta.file_type();
        if !kind.is_block_device() && !kind.is_char_device() {
            let text = format!(
                "error gathering device information while adding custom device \"{}\"",
                source.display()
            );
            return Err(Error::invalid(format!("{text}: not a device node")));
        }
        let number = meta.rdev();
        Ok(Self {
            path: path.into(),
            block: kind.is_block_device(),
            major: rustix::fs::major(number),
            minor: rustix::fs::minor(number),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            access: access.to_owned(),
        })
    }

    /// Every device below `/dev` of the host, for a privileged container.
    pub(super) fn all_of_host() -> Vec<Self> {
        let mut devices = Vec::new();
        collect(Path::new("/dev"), &mut devices);
        devices
    }

    pub(super) fn document(&self) -> oci::LinuxDevice {
        let mut device = oci::LinuxDevice::default();
        device
            .set_path(self.path.clone())
            .set_typ(self.kind())
            .set_major(self.major.into())
            .set_minor(self.minor.into())
            .set_file_mode(Some(self.mode))
            .set_uid(Some(self.uid))
            .set_gid(Some(self.gid));
        device
    }

    fn kind(&self) -> oci::LinuxDeviceType {
        if self.block { oci::LinuxDeviceType::B } else { oci::LinuxDeviceType::C }
    }
}

/// Terminals and what other programs mount there are not the container's.
fn collect(dir: &Path, devices: &mut Vec<Device>) {
    let skipped = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if !skipped.iter().any(|skipped| name == *skipped) {
                collect(&path, devices);
            }
        } else if (kind.is_block_device() || kind.is_char_device())
            && name != "console"
            && let Ok(device) = Device::of_host(&path, &path, "rwm")
        {
            devices.push(device);
        }
    }
}

/// What a container's control group allows: any node may be made, and the harmless ones used.
pub(super) fn rules(devices: &[Device], privileged: bool) -> Vec<oci::LinuxDeviceCgroup> {
    if privileged {
        return vec![rule(true, None, None, None, "rwm")];
    }
    let character = Some(oci::LinuxDeviceType::C);
    let mut rules = vec![
        rule(false, None, None, None, "rwm"),
        rule(true, character, None, None, "m"),
        rule(true, Some(oci::LinuxDeviceType::B), None, None, "m"),
    ];
    // linux/Documentation/admin-guide/devices.txt: null, zero, full, random, urandom; tty, console, ptmx; the slaves of
    // pseudo terminals.
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)]
        .map(|(a, b)| (a, Some(b)))
        .into_iter()
        .chain([(136, None)])
    {
        rules.push(rule(true, character, Some(major), minor, "rwm"));
    }
    for device in devices {
        let (major, minor) = (Some(device.major.into()), Some(device.minor.into()));
        rules.push(rule(true, Some(device.kind()), major, minor, &device.access));
    }
    rules
}

fn rule(
    allow: bool,
    kind: Option<oci::LinuxDeviceType>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> oci::LinuxDeviceCgroup {
    let mut rule = oci::LinuxDeviceCgroup::default();
    rule.set_allow(allow).set_typ(kind).set_major(major).set_minor(minor).set_access(Some(access.to_owned()));
    rule
}
