//! Containers must not run, be mounted, started or removed while they are moved.

use model::ContainerId;
use sys::lock::Lock;

use crate::{Engine, Error, Result};

/// A container that nobody starts or removes while this is there.
#[derive(Debug)]
pub(super) struct Claim {
    id: ContainerId,
    _lock: Lock,
}

impl Engine {
    /// Claims all containers of this driver.
    ///
    /// # Errors
    /// Names those that run or are mounted.
    pub(super) fn claim_containers(&self) -> Result<Vec<Claim>> {
        self.claim_others(&[])
    }

    /// As [`claim_containers`](Self::claim_containers), but for those that are claimed already.
    pub(super) fn claim_others(&self, claimed: &[Claim]) -> Result<Vec<Claim>> {
        let (mut claims, mut running, mut mounted) = (Vec::new(), Vec::new(), Vec::new());
        for container in self.stored_containers()? {
            let id = *container.id();
            if claimed.iter().any(|claim| claim.id == id) {
                continue;
            }
            let name = || container.name().trim_start_matches('/').to_owned();
            match self.store.running().claim(&id) {
                // It was removed just now.
                Err(store::Error::NoContainer(_)) => continue,
                Ok(Some(_lock)) if !container.state().running => claims.push(Claim { id, _lock }),
                Ok(_) => running.push(name()),
                Err(e) => return Err(e.into()),
            }
            let mount = self.store.mounts().find(&id)?;
            if let Some(mount) = mount
                && matches!(self.driver.mounted(&mount.mount_id.into()), Ok(Some(_)))
            {
                mounted.push(name());
            }
        }
        refuse(&running, "running", "stop")?;
        refuse(&mounted, "mounted", "unmount")?;
        Ok(claims)
    }
}

fn refuse(names: &[String], are: &str, act: &str) -> Result<()> {
    match names {
        [] => Ok(()),
        [one] => Err(Error::conflict(format!("container {one} is {are}: {act} it before the migration"))),
        all => Err(Error::conflict(format!(
            "containers {} are {are}: {act} them before the migration",
            all.join(", ")
        ))),
    }
}
