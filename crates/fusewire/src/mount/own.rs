//! Mounting by this process: fsopen(2), or mount(2) before Linux 5.2. (`filesystems/fuse` of the kernel's
//! documentation.)

use std::ffi::CString;
use std::path::{Path, PathBuf};

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::mount::{self as rm, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags};
use sys::At;

use super::MountOptions;

const OP: &str = "mount fuse at";

/// Mounts on the directory behind `place`. `PERM`: this process may not mount.
pub(super) fn mount(place: &OwnedFd, target: &Path, options: &MountOptions) -> sys::Result<OwnedFd> {
    let fs = match rm::fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC) {
        Err(Errno::NOSYS) => {
            let device = sys::fuse::open_device()?;
            return mount_classic(place, options, &device).at(OP, target).map(|()| device);
        }
        other => other.at(OP, target)?,
    };
    // Opened after the question whether we may mount: who may not often cannot open the device either.
    let device = sys::fuse::open_device()?;
    mount_new(&fs, place, options, &device).at(OP, target)?;
    Ok(device)
}

fn mount_new(
    fs: &OwnedFd,
    place: &OwnedFd,
    options: &MountOptions,
    device: &OwnedFd,
) -> rustix::io::Result<()> {
    rm::fsconfig_set_string(fs, "source", options.source.as_str())?;
    if !options.subtype.is_empty() {
        rm::fsconfig_set_string(fs, "subtype", options.subtype.as_str())?;
    }
    if options.read_only {
        rm::fsconfig_set_flag(fs, "ro")?;
    }
    for option in settings(options, device) {
        match option.split_once('=') {
            Some((key, value)) => rm::fsconfig_set_string(fs, key, value),
            None => rm::fsconfig_set_flag(fs, option.as_str()),
        }?;
    }
    rm::fsconfig_create(fs)?;
    let mut attributes = MountAttrFlags::empty();
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, options.read_only);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOSUID, options.nosuid);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NODEV, options.nodev);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, options.noexec);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOATIME, options.noatime);
    let mount = rm::fsmount(fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rm::move_mount(&mount, "", place, "", by_descriptor)
}

fn mount_classic(place: &OwnedFd, options: &MountOptions, device: &OwnedFd) -> rustix::io::Result<()> {
    let place = PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd()));
    let kind = match options.subtype.as_str() {
        "" => "fuse".to_owned(),
        subtype => format!("fuse.{subtype}"),
    };
    let mut flags = MountFlags::empty();
    flags.set(MountFlags::RDONLY, options.read_only);
    flags.set(MountFlags::NOSUID, options.nosuid);
    flags.set(MountFlags::NODEV, options.nodev);
    flags.set(MountFlags::NOEXEC, options.noexec);
    flags.set(MountFlags::NOATIME, options.noatime);
    let data = CString::new(settings(options, device).join(",")).map_err(|_| Errno::INVAL)?;
    rm::mount(options.source.as_str(), &place, kind, flags, data.as_c_str())
}

/// The options of the file system itself. The user of the mount is the one that this process runs as.
fn settings(options: &MountOptions, device: &OwnedFd) -> Vec<String> {
    let mut settings = vec![
        format!("fd={}", device.as_raw_fd()),
        "rootmode=40000".to_owned(),
        format!("user_id={}", sys::process::euid()),
        format!("group_id={}", sys::process::egid()),
    ];
    settings.extend(super::helper::common(options));
    settings
}
