//! `builder prune`: what builds remember.

use std::collections::BTreeSet;

use model::{ChainId, Digest, Timestamp};

use super::Survey;
use crate::remove_image::Plan;
use crate::{Engine, Result};

/// What to forget.
#[derive(Debug, Clone, Default)]
pub struct BuildPruneOptions {
    /// Everything, cache mounts too; else only what no image and no container has.
    pub all: bool,
    /// Only what no build has used since.
    pub until: Option<Timestamp>,
    /// How many bytes of layers may stay, those used last; nothing stays if absent.
    pub keep: Option<u64>,
    /// Say what would go, and leave it.
    pub dry_run: bool,
}

/// What was forgotten.
#[derive(Debug, Clone, Default)]
pub struct PrunedBuilds {
    /// The keys of the records.
    pub records: Vec<Digest>,
    /// Cache mounts, by name.
    pub mounts: Vec<String>,
    /// Bytes given back, or as soon as the trash is emptied.
    pub reclaimed: u64,
}

impl Engine {
    /// Forgets steps of builds, with the layers that only these records hold. Those of images stay.
    pub fn prune_builds(&self, options: &BuildPruneOptions) -> Result<PrunedBuilds> {
        let survey = Survey::read(self)?;
        let mut needed = survey.image_layers();
        needed.extend(survey.container_layers());
        let mut records: Vec<_> = survey.builds.iter().collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.used));
        let mut kept: BTreeSet<ChainId> = BTreeSet::new();
        let mut pruned = PrunedBuilds::default();
        for record in records {
            let is_old = options.until.is_none_or(|until| record.used < until);
            let is_free = options.all || !needed.contains(&record.chain);
            if let Some(keep) = options.keep {
                let with: BTreeSet<ChainId> =
                    survey.with_all_below([record.chain].into_iter().chain(kept.iter().copied()));
                if survey.size_of(&with) <= keep {
                    kept = with;
                    continue;
                }
            }
            if is_old && is_free {
                pruned.records.push(record.key);
            }
        }
        let gone: BTreeSet<&Digest> = pruned.records.iter().collect();
        let staying = survey.builds.iter().filter(|record| !gone.contains(&record.key));
        let held = survey.with_all_below(staying.map(|record| record.chain));
        let freed: Vec<ChainId> = survey
            .with_all_below(survey.builds.iter().map(|record| record.chain))
            .into_iter()
            .filter(|chain| !held.contains(chain) && !needed.contains(chain))
            .collect();
        pruned.reclaimed = survey.size_of(&freed);
        if !options.dry_run && !pruned.records.is_empty() {
            let lock = self.store.commit()?;
            let mut tops = Vec::new();
            for key in &pruned.records {
                tops.extend(self.store.build_cache().remove(&lock, key)?);
            }
            let backrefs = self.store.backrefs();
            let mut plan = Plan::new(self, &backrefs)?;
            for top in &tops {
                plan.release_from(top)?;
            }
            self.carry_out(lock, plan)?;
        }
        if options.all {
            self.prune_cache_mounts(options, &mut pruned)?;
        }
        Ok(pruned)
    }

    /// Removes the directories of `RUN --mount=type=cache` that no build has.
    fn prune_cache_mounts(&self, options: &BuildPruneOptions, pruned: &mut PrunedBuilds) -> Result<()> {
        let Some(mounts) = self.store.build_cache().find_mounts()? else { return Ok(()) };
        for entry in sys::dir::list_sorted(&mounts)? {
            let Ok(dir) = sys::dir::open(&mounts, &entry.name) else { continue };
            let changed = sys::meta::of_fd(&dir)?.mtime;
            let changed = Timestamp::from_unix(changed.secs, changed.nanos);
            if options.until.is_some_and(|until| changed >= until) {
                continue;
            }
            let lock = sys::lock::try_lock(sys::dir::reopen(&dir)?, sys::lock::Mutual::Exclusive)?;
            if lock.is_none() {
                continue;
            }
            pruned.reclaimed += sys::tree::size(&dir)?;
            pruned.mounts.push(entry.name.to_string_lossy().into_owned());
            if !options.dry_run {
                sys::tree::remove(&mounts, &entry.name)?;
            }
        }
        Ok(())
    }

    /// Bytes in the directories of `RUN --mount=type=cache`, and how many there are.
    pub(crate) fn cache_mounts_usage(&self) -> Result<(usize, u64)> {
        let Some(mounts) = self.store.build_cache().find_mounts()? else { return Ok((0, 0)) };
        let (mut count, mut size) = (0, 0);
        for entry in sys::dir::list(&mounts)? {
            let Ok(dir) = sys::dir::open(&mounts, &entry.name) else { continue };
            count += 1;
            size += sys::tree::size(dir)?;
        }
        Ok((count, size))
    }
}
