//! What nothing can use: layers without users, entries without containers, directories that no record names. A daemon
//! that was killed leaves them, and never looks at them again (moby.md §7). And what pulls left: downloads that were
//! interrupted, kept blobs of layers that are gone.

use std::collections::BTreeSet;
use std::path::Path;

use model::{CacheId, ChainId, ContainerId, DiffId, Digest};
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
    /// Downloads that were interrupted.
    downloads: Vec<Digest>,
    /// Kept blobs whose layers are gone.
    blobs: Vec<Digest>,
    /// Bytes in all of it.
    pub size: u64,
    /// Why there may be more.
    warning: Option<String>,
}

impl Garbage {
    /// Whether a kept blob is garbage.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blobs.contains(digest)
    }
}

impl Engine {
    /// Looks for garbage. `directories` are those of the driver as they were before the survey: what has come since
    /// is somebody's. Where records cannot be read, nobody knows what they need, and nothing is garbage.
    pub(crate) fn find_garbage(&self, survey: &Survey, directories: &[CacheId]) -> Result<Garbage> {
        let mut garbage = Garbage::default();
        for left in self.store.downloads().interrupted()? {
            garbage.size += left.size;
            garbage.downloads.push(left.digest);
        }
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
        for (digest, size) in self.unused_blobs(survey)? {
            garbage.size += size;
            garbage.blobs.push(digest);
        }
        Ok(garbage)
    }

    /// Kept blobs with their sizes whose layers the store has not, as far as it knows which layers they are.
    fn unused_blobs(&self, survey: &Survey) -> Result<Vec<(Digest, u64)>> {
        let diffs: BTreeSet<DiffId> = survey.layers.values().map(|layer| layer.diff).collect();
        let mut unused = Vec::new();
        for (digest, size) in self.store.blobs().list()? {
            let layer = self.store.distribution().diff_id(&digest)?;
            if !layer.is_some_and(|diff| diffs.contains(&diff)) {
                unused.push((digest, size));
            }
        }
        Ok(unused)
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
        for digest in &garbage.downloads {
            self.store.downloads().discard(digest)?;
        }
        for digest in &garbage.blobs {
            self.store.blobs().remove(digest)?;
        }
        Ok(pruned)
    }

    /// Removes all kept blobs but those that are gone with the garbage.
    pub(super) fn prune_blobs(&self, dry_run: bool, garbage: &Pruned) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for (digest, size) in self.store.blobs().list()? {
            let path = self.store.blobs().path(&digest).display().to_string();
            if !garbage.garbage.contains(&path) {
                if !dry_run {
                    self.store.blobs().remove(&digest)?;
                }
                pruned.reclaimed += size;
                pruned.garbage.push(path);
            }
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
        let downloads = garbage.downloads.iter().map(|digest| self.store.downloads().path(digest));
        let blobs = garbage.blobs.iter().map(|digest| self.store.blobs().path(digest));
        let paths = layers.chain(mounts).chain(directories).chain(downloads).chain(blobs);
        paths.map(|path| path.to_string_lossy().into_owned()).collect()
    }
}
