//! Directories of the driver that no record names.

use super::{Check, Finding, REPAIR};
use crate::Result;
use model::CacheId;

impl Check<'_> {
    /// Looks for directories that nothing can use. While some record cannot be read nobody knows what it needs, and
    /// while a container is mounted with layers that were replaced it uses the old ones: nothing is removed then.
    pub(super) fn orphans(&mut self) -> Result<()> {
        let unknown = self.unreadable_records()? > 0
            || self.report.findings.iter().any(|f| f.kind == "torn-lower" && !f.repaired);
        let unnamed = if self.options.repair {
            // Directories are made and recorded under one lock: what has no record now never gets one.
            let _lock = self.engine.store.commit()?;
            self.unnamed_directories()?
        } else {
            // Looked at twice, because a layer's directory comes a moment before its record.
            let first = self.unnamed_directories()?;
            let again = if first.is_empty() { Vec::new() } else { self.unnamed_directories()? };
            first.into_iter().filter(|id| again.contains(id)).collect()
        };
        for id in unnamed {
            let ours = is_layer_name(&id);
            let advice = match (ours, unknown) {
                (true, false) => format!("{REPAIR}: no record names it, it is removed"),
                (true, true) => "first see to the damaged records: it may belong to one of them".to_owned(),
                (false, _) => "look at it; nothing of Docker's or layercake's uses it".to_owned(),
            };
            let finding = Finding {
                kind: "orphan-directory",
                subject: self.directory(&id).display().to_string(),
                message: "no layer and no container has it on record".to_owned(),
                affects: Vec::new(),
                advice,
                harmful: false,
                repaired: false,
            };
            let removable = ours && !unknown;
            self.found(finding, |engine| {
                if removable {
                    engine.driver.discard(&id)?;
                }
                Ok(removable)
            })?;
        }
        Ok(())
    }

    fn unreadable_records(&self) -> Result<usize> {
        let store = &self.engine.store;
        let mut unreadable = 0;
        for chain in store.layers().list()? {
            unreadable +=
                usize::from(matches!(store.layers().find(&chain), Err(store::Error::BrokenLayer { .. })));
        }
        for id in store.mounts().list()? {
            unreadable +=
                usize::from(matches!(store.mounts().find(&id), Err(store::Error::BrokenContainer { .. })));
        }
        Ok(unreadable)
    }
}

/// Docker's names, and ours: 64 hexadecimal digits, with `-init` for an init layer.
fn is_layer_name(id: &CacheId) -> bool {
    let hex = id.as_str().strip_suffix("-init").unwrap_or(id.as_str());
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}
