//! The file system on a device, and the tree in it: `rootfs`, and beside it `id`, the name of the layer that was made
//! first, for people who look for their data.

use std::ffi::OsStr;
use std::path::Path;

use sys::mount::{Detached, FileSystem};
use sys::{OwnedFd, atomic, block, dir, meta};

use super::ThinDevices;
use super::pool::Active;
use crate::{Error, Result};

pub(super) const ROOT: &str = "rootfs";
const ID: &str = "id";

/// The kind of file system on a device.
pub(super) fn kind(active: &Active) -> Result<&'static str> {
    let unknown = || {
        let node = active.node.display();
        Error::Devices(format!("devmapper: Unknown filesystem type on {node}: it is neither ext4 nor xfs"))
    };
    block::content(&active.hold)?.map(|content| content.kind).ok_or_else(unknown)
}

impl ThinDevices {
    /// Mounts what is on a device, nowhere.
    pub(super) fn mount_device(&self, active: &Active, read_only: bool) -> Result<Detached> {
        let kind = kind(active)?;
        // All devices have the base's UUID, which XFS minds.
        let own = if kind == "xfs" { "nouuid," } else { "" };
        let options = format!("{own}{}", self.options.mount_options);
        let source = active.node.display().to_string();
        let fs = FileSystem { kind, source: &source, options: &options };
        let mount = fs.mount_detached(read_only)?;
        if let (false, "xfs", Some(retries)) = (read_only, kind, self.options.xfs_nospace_retries) {
            let name = active.node.file_name().unwrap_or_default().to_string_lossy();
            let path = format!("/sys/fs/xfs/{name}/error/metadata/ENOSPC/max_retries");
            std::fs::write(&path, retries.to_string()).map_err(|e| {
                Error::Devices(format!(
                    "devmapper: user specified daemon option dm.xfs_nospace_max_retries but it does not seem to be \
                     supported on this system: {path}: {e}"
                ))
            })?;
        }
        Ok(mount)
    }
}

/// Makes `rootfs` and `id` where a layer is the first to have them, and opens `rootfs`.
pub(super) fn tree(mount: &Detached, id: &str, read_only: bool) -> Result<OwnedFd> {
    match mount.open(Path::new(ROOT)) {
        Err(e) if e.is_not_found() && !read_only => {}
        other => return Ok(other?),
    }
    let top = mount.open(Path::new("."))?;
    if meta::find(&top, OsStr::new(ID))?.is_none() {
        atomic::create_unsynced(&top, OsStr::new(ID), 0o600, id.as_bytes())?;
    }
    Ok(dir::ensure(&top, OsStr::new(ROOT), 0o755)?)
}
