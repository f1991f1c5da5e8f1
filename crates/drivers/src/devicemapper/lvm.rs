//! `direct-lvm`: a thin pool that LVM makes of a whole device, by LVM's own commands, as Docker makes it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use sys::{OwnedFd, atomic};

use super::options::DirectLvm;
use super::run;
use crate::{Error, Result};

/// What was set up, so that nobody changes it later.
const SETUP: &str = "setup-config.json";

/// The pool that is made: LVM's name for the volume `thinpool` in the group `docker`.
pub(super) const POOL: &str = "docker-thinpool";

/// Makes the pool if it was not made before. `home` holds the note that it was.
///
/// # Errors
/// If another one was made before; if the device is in use, or holds a file system that is not to be lost.
pub(super) fn set_up(home: &OwnedFd, wanted: &DirectLvm, force: bool) -> Result<()> {
    let before = atomic::find(home, OsStr::new(SETUP))?.filter(|text| !text.is_empty());
    if let Some(text) = before {
        let before: DirectLvm = serde_json::from_slice(&text)
            .map_err(|e| Error::Devices(format!("error unmarshaling previous device setup config: {e}")))?;
        return match before == *wanted {
            true => Ok(()),
            false => Err(Error::Devices("changing direct-lvm config is not supported".to_owned())),
        };
    }
    check(&wanted.device, force)?;
    make(wanted)?;
    let text = serde_json::to_vec(wanted).map_err(|e| Error::Devices(format!("{SETUP}: {e}")))?;
    Ok(atomic::write(home, OsStr::new(SETUP), 0o600, &text)?)
}

/// Refuses a device that is something already.
fn check(device: &str, force: bool) -> Result<()> {
    sys::block::open(Path::new(device))?;
    let group = said(Command::new("pvs").args(["--noheadings", "-o", "vg_name", device]));
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        return Err(Error::Devices(format!(
            "{device} is already part of a volume group {group:?}: must remove this device from any volume group or \
             provide a different device"
        )));
    }
    let content = said(Command::new("blkid").args(["-s", "TYPE", "-o", "value", device]));
    if content.is_some_and(|kind| !kind.is_empty()) && !force {
        return Err(Error::Devices(format!(
            "{device} has a filesystem already, use dm.directlvm_device_force=true if you want to wipe the device"
        )));
    }
    Ok(())
}

fn make(wanted: &DirectLvm) -> Result<()> {
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    let extents = |percent: u64| format!("{percent}%VG");
    let volume = |name: &str, percent: u64| {
        let extents = extents(percent);
        run(Command::new("lvcreate").args([
            "--wipesignatures",
            "y",
            "-y",
            "-n",
            name,
            "docker",
            "--extents",
            &extents,
        ]))
    };
    run(Command::new("pvcreate").args(["-f", "-y", &wanted.device]))?;
    run(Command::new("vgcreate").args(["docker", &wanted.device]))?;
    volume("thinpool", or(wanted.thinp_percent, 95))?;
    volume("thinpoolmeta", or(wanted.thinp_meta_percent, 1))?;
    run(Command::new("lvconvert")
        .args(["-y", "--zero", "n", "-c", "512K", "--thinpool", "docker/thinpool"])
        .args(["--poolmetadata", "docker/thinpoolmeta"]))?;
    let threshold = or(wanted.auto_extend_threshold, 80);
    let percent = or(wanted.auto_extend_percent, 20);
    let profile = format!(
        "activation{{\nthin_pool_autoextend_threshold={threshold}\nthin_pool_autoextend_percent={percent}\n}}"
    );
    let dir = Path::new("/etc/lvm/profile");
    let io = |e: std::io::Error| Error::Devices(format!("write a profile to {}: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(io)?;
    std::fs::write(dir.join("docker-thinpool.profile"), profile).map_err(io)?;
    run(Command::new("lvchange").args(["--metadataprofile", "docker-thinpool", "docker/thinpool"]))
}

/// What a command prints; nothing if it is not there or fails.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
