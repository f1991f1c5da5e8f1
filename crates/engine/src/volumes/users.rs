//! Which containers use which volumes.

use std::collections::BTreeMap;

use model::ContainerId;
use model::mount::MountType;

use crate::{Engine, Result};

/// Who uses volumes.
#[derive(Debug, Default)]
pub(crate) struct Users {
    /// The containers by the name of the volume, sorted.
    pub of: BTreeMap<String, Vec<ContainerId>>,
    /// Containers whose documents are damaged: what they use is not known.
    pub damaged: usize,
}

impl Engine {
    /// Reads all containers, those of other storage drivers too: volumes are everybody's.
    pub(crate) fn volume_users(&self) -> Result<Users> {
        let found = self.in_parallel(&self.store.containers().list()?, |ids| {
            let mut found = Vec::new();
            for id in ids {
                match self.store.containers().find(id).and_then(|c| c.map(|c| c.mounts()).transpose()) {
                    Ok(Some(points)) => {
                        let volumes = points.into_values().filter(|point| point.kind == MountType::Volume);
                        found.extend(volumes.map(|point| (*id, Some(point.name))));
                    }
                    Ok(None) => {}
                    Err(store::Error::BrokenContainer { .. }) => found.push((*id, None)),
                    Err(e) => return Err(e.into()),
                }
            }
            Ok(found)
        })?;
        let mut users = Users::default();
        for (id, volume) in found {
            match volume {
                Some(name) => users.of.entry(name).or_default().push(id),
                None => users.damaged += 1,
            }
        }
        users.of.values_mut().for_each(|ids| ids.dedup());
        Ok(users)
    }
}
