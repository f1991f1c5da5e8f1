//! What nothing can use: layers without users, entries without containers, directories that no record names. A daemon
//! that was killed leaves them, and never looks at them again (moby.md §7).

use std::path::Path;

use model::{CacheId, ChainId, ContainerId};
use store::{Intent, MountRecord};

use super::{BuildKit, Pruned, Survey};
use crate::remove_image::Plan;
use crate::{Engine, Result};

/// What nothing can use.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    /// Layers of the layerdb, those on top first.
    layers: Vec<ChainId>,
    /// Entries of `layerdb/mounts`.
    mounts: Vec<(ContainerId, MountRecord)>,
    /// Directories of the driver.
    directories: Vec<CacheId>,
    /// Bytes in all of it.
    pub size: u64,
    /// Why there may be more.
    warning: Option<String>,
}

impl Engine {
    /// Looks for garbage. `directories` are those of the driver as they were before the survey: what has come since
    /// is somebody's. Where records cannot be read, nobody knows what they need, and nothing is garbage.
    pub(crate) fn find_garbage(&self, survey: &Survey, directories: &[CacheId]) -> Result<Garbage> {
        let mut garbage = Garbage::default();
        if survey.damaged > 0 {
            let text =
                "damaged records: what they need is not known, so garbage was left alone; see check --repair";
            garbage.warning = Some(format!("the store has {} {text}", survey.damaged));
            return Ok(garbage);
        }
        if survey.build_cache == BuildKit::Unreadable {
            let text =
                "buildkit/snapshots.db cannot be read: anything may be BuildKit's, so garbage was left alone";
            garbage.warning = Some(text.to_owned());
            return Ok(garbage);
        }
        let named = survey.named_directories();
        let unnamed = directories.iter().filter(|id| !named.contains(id) && !survey.build_cache.may_own(id));
        garbage.directories = unnamed.cloned().collect();
        for id in &garbage.directories {
            garbage.size += self.directory_size(id)?;
        }
        garbage.mounts = survey.orphan_mounts.iter().map(|(id, record)| (*id, record.clone())).collect();
        for (_, record) in &garbage.mounts {
            garbage.size += self.directory_size(&record.mount_id.into())?;
        }
        for layer in survey.unused_layers() {
            garbage.size += layer.size;
            garbage.layers.push(layer.chain);
        }
        Ok(garbage)
    }

    /// Removes garbage.
    pub(super) fn prune_garbage(&self, dry_run: bool) -> Result<Pruned> {
        let directories = if dry_run {
            self.driver.list()?
        } else {
            // Directories are made and recorded under one lock: what is there now has its record by the time of
            // the survey, if it ever gets one.
            let _lock = self.store.commit()?;
            self.driver.list()?
        };
        let garbage = self.find_garbage(&Survey::read(self)?, &directories)?;
        let mut pruned =
            Pruned { garbage: self.paths(&garbage), reclaimed: garbage.size, ..Pruned::default() };
        pruned.warnings.extend(garbage.warning);
        if dry_run {
            return Ok(pruned);
        }
        for (id, record) in &garbage.mounts {
            self.remove_orphan_mount(id, record)?;
        }
        if !garbage.layers.is_empty() {
            let lock = self.store.commit()?;
            let backrefs = self.store.backrefs();
            let mut plan = Plan::new(self, &backrefs)?;
            for chain in &garbage.layers {
                plan.remove_if_unused(chain)?;
            }
            self.carry_out(lock, plan)?;
        }
        for id in &garbage.directories {
            self.driver.discard(id)?;
        }
        Ok(pruned)
    }

    fn remove_orphan_mount(&self, id: &ContainerId, record: &MountRecord) -> Result<()> {
        let work = self.store.begin()?;
        work.note(&[Intent::Mount { container: *id, mount_id: record.mount_id }])?;
        let lock = self.store.commit()?;
        if !self.store.containers().exists(id)? {
            self.store.mounts().remove(&lock, &work, id)?;
            self.driver.discard(&record.mount_id.into())?;
            self.driver.discard(&record.init_id.unwrap_or(record.mount_id.init()).into())?;
            self.release_layers(&lock, record.parent.as_slice())?;
        }
        drop(lock);
        Ok(work.finish()?)
    }

    /// Bytes in a directory of the driver; 0 if it went while we looked.
    pub(crate) fn directory_size(&self, id: &CacheId) -> Result<u64> {
        match self.driver.usage(id, None) {
            Err(drivers::Error::NoLayer(_) | drivers::Error::Damaged(_)) => Ok(0),
            Err(drivers::Error::Sys(e)) if e.is_not_found() => Ok(0),
            other => Ok(other?),
        }
    }

    /// Where the garbage is, relative to the data root.
    fn paths(&self, garbage: &Garbage) -> Vec<String> {
        let layerdb = Path::new("image").join(self.driver.name()).join("layerdb");
        let home = self.driver.home().strip_prefix(self.store.path()).unwrap_or(self.driver.home());
        let layers = garbage.layers.iter().map(|chain| layerdb.join("sha256").join(chain.hex()));
        let mounts = garbage.mounts.iter().map(|(id, _)| layerdb.join("mounts").join(id.hex()));
        let directories = garbage.directories.iter().map(|id| home.join(id.as_str()));
        layers.chain(mounts).chain(directories).map(|path| path.to_string_lossy().into_owned()).collect()
    }
}
