//! `userns-remap`: containers whose ids are others of the host's (moby.md §2).
//!
//! On the disk, layers and volumes have the host's ids; we see and write those of containers: the driver's layers and
//! what is read of volumes through a [`Shift`], what is written into mounted trees and volumes by the map.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::HostConfig;
use sys::Root;
use sys::idmap::{IdMap, Shift};
use sys::userns::Privilege;

use crate::{Engine, Error, Result};

/// The shift by the map.
pub(crate) fn shift(map: &IdMap) -> Result<Shift> {
    if sys::userns::privilege()? != Privilege::Root {
        return Err(Error::invalid(
            "userns-remap needs root of the machine: without it, containers are in your user namespace already",
        ));
    }
    Ok(Shift::new(map.clone())?)
}

/// The data root in the directory `base` that the user names: that directory, or for containers with ids of their own
/// the one in it that is named by the ids of their user and group 0.
pub fn root(base: &Path, map: Option<&IdMap>) -> PathBuf {
    match map.map(IdMap::root) {
        Some((uid, gid)) => base.join(format!("{uid}.{gid}")),
        None => base.to_owned(),
    }
}

/// Makes the data root. Containers can pass through all directories above it, or it is an error.
pub(crate) fn make(base: &Path, root: &Path, map: Option<&IdMap>) -> Result<()> {
    store::DataRoot::make(base)?;
    let Some((uid, gid)) = map.map(IdMap::root) else { return Ok(()) };
    let passes = |path: &Path| -> Result<bool> {
        let meta = std::fs::metadata(path).map_err(Error::io("stat", path))?;
        let right = if meta.uid() == uid {
            0o100
        } else if meta.gid() == gid {
            0o010
        } else {
            0o001
        };
        Ok(meta.mode() & right != 0)
    };
    if !passes(base)? {
        let dir = sys::dir::open_path(base)?;
        sys::meta::chown_fd(&dir, sys::meta::of_fd(&dir)?.uid, gid)?;
    }
    for above in base.ancestors() {
        if !passes(above)? {
            return Err(Error::invalid(format!(
                "a subdirectory in your graphroot path ({}) restricts access to the remapped root uid/gid; please fix \
                 by allowing 'o+x' permissions on existing directories",
                above.display()
            )));
        }
    }
    Ok(store::DataRoot::make(root)?)
}

impl Engine {
    /// The ids of containers.
    pub(crate) fn id_map(&self) -> Option<&IdMap> {
        self.config.shift.as_ref().map(Shift::map)
    }

    /// The ids of a container, unless it is to have the host's.
    pub(crate) fn id_map_of(&self, host: &HostConfig) -> Option<&IdMap> {
        self.id_map().filter(|_| host.userns_mode != "host")
    }

    /// Opens a directory of the host's that containers have, with the ids that they see in it. Where the file system
    /// cannot show them, those of the host show.
    pub(crate) fn open_shown(&self, path: &Path) -> Result<Root> {
        let shown = self.config.shift.as_ref().and_then(|shift| shift.show(path).ok());
        match shown {
            Some(fd) => Ok(Root::from_fd(fd, path)),
            None => Ok(Root::open(path)?),
        }
    }

    /// Gives what is open to user and group 0 of containers.
    pub(crate) fn give_to_containers(&self, file: impl sys::AsFd) -> Result<()> {
        let Some((uid, gid)) = self.id_map().map(IdMap::root) else { return Ok(()) };
        Ok(sys::meta::chown_fd(file, uid, gid)?)
    }
}

/// The host's ids for a container's user and group, or Docker's words if it has none.
pub(crate) fn host_ids(ids: &IdMap, uid: u32, gid: u32) -> Result<(u32, u32)> {
    let unmapped = |id: u32| Error::invalid(format!("Container ID {id} cannot be mapped to a host ID"));
    let host_uid = ids.uid(uid).ok_or_else(|| unmapped(uid))?;
    let host_gid = ids.gid(gid).ok_or_else(|| unmapped(gid))?;
    Ok((host_uid, host_gid))
}

/// What containers in a user namespace cannot have, in Docker's words.
pub(crate) fn refuse(host: &HostConfig) -> Result<()> {
    if host.privileged {
        return Err(Error::invalid(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace \
             when running privileged mode",
        ));
    }
    if host.pid_mode == "host" {
        return Err(Error::invalid("cannot share PID namespace when user namespaces are enabled"));
    }
    Ok(())
}
