//! Moves the whole store to another storage driver, in place (`system migrate`).
//!
//! What is moved goes into a data root of its own, in the private directory ([`store::Migration`]), layer by layer: each
//! layer's archive is put together from the old driver's files, unpacked with the new driver, put together again from
//! there, and published if both have the DiffID. Files that are the same for both drivers are hard links, or share their
//! blocks: then nothing is written. A container's writable layers go the same way, by way of their differences.
//!
//! The old state is as it was until everything is there and durable. Then, under the commit lock, the store is switched
//! in one step, and the old state is removed. An interrupted migration is gone on with where it was.

mod claims;
mod dry_run;
mod fill;
mod finish;
mod plan;
mod target;

use model::progress::{Phase, Progress};
use store::{Migration, MigrationState};

use crate::{Engine, Error, Result};

pub use dry_run::{Estimate, Sharing};

use claims::Claim;
use fill::Mover;
use plan::Plan;

/// Where to.
#[derive(Debug, Clone, Default)]
pub struct MigrateOptions {
    /// The storage driver.
    pub to: String,
    /// Its `--storage-opt`s.
    pub storage_opts: Vec<(String, String)>,
}

/// What was moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The storage driver that had the store.
    pub from: String,
    /// The one that has it.
    pub to: String,
    /// Images.
    pub images: usize,
    /// Containers.
    pub containers: usize,
    /// Layers of images, with those that an interrupted migration had moved.
    pub layers: usize,
    /// What was done with the content of their files.
    pub content: Content,
    /// What could not be moved as it was, in words.
    pub warnings: Vec<String>,
}

/// What became of the content of files, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Content {
    /// In files that both drivers had in common.
    pub linked: u64,
    /// In files that shared their blocks.
    pub cloned: u64,
    /// In files that were written.
    pub written: u64,
}

impl Engine {
    /// Moves images and containers to another driver. The store is opened anew after that. Durable when this returns.
    ///
    /// # Errors
    /// Containers that run or are mounted, a live daemon, a driver that does not work here or has something in this data
    /// root already; a layer that is damaged. The store is as it was then, and what was moved is kept for the next
    /// attempt.
    pub fn migrate(self, options: &MigrateOptions, progress: &dyn Progress) -> Result<Migrated> {
        sys::process::expect_many_files(0);
        let wanted = self.migration_to(options)?;
        // What is refused is refused before anything is made.
        Plan::read(&self)?;
        drop(self.claim_containers()?);
        let mut migration = Migration::begin(&self.store, &wanted)?;
        let target = self.migration_target(&migration)?;
        let mut migrated = self.fill_target(&target, &mut migration, progress)?;
        drop(target);
        let config = self.config.clone();
        drop(self);
        progress.start(&wanted.from.driver, Phase::Removing, None);
        if let Err(e) = finish::remove_old(migration, &config) {
            // The store is the new driver's. The rest goes later.
            migrated.warnings.push(format!("{e}: what {} had is removed later", wanted.from.driver));
        }
        progress.finish(&wanted.from.driver);
        Ok(migrated)
    }

    /// Moves everything, and switches.
    fn fill_target(
        &self,
        target: &Engine,
        migration: &mut Migration,
        progress: &dyn Progress,
    ) -> Result<Migrated> {
        let work = target.store.begin()?;
        let mut mover = Mover::new(self, target, &work, progress);
        let mut moved = Plan::default();
        let mut claims = Vec::new();
        loop {
            let plan = Plan::read(self)?;
            let moving = self.move_plan(&plan, &moved, &mut mover, &mut claims);
            if let Err(error) = moving {
                // What somebody has removed meanwhile need not be moved.
                if Plan::read(self)? == plan {
                    return Err(error);
                }
                continue;
            }
            moved = plan;
            // Whoever works on the store meanwhile may have added something.
            let lock = self.store.commit()?;
            if Plan::read(self)? != moved {
                continue;
            }
            self.require_nothing_of(migration.record().to.driver.as_str())?;
            mover.drop_surplus(&moved)?;
            progress.start("store", Phase::Syncing, None);
            migration.copy_metadata(&lock)?;
            target.store.sync()?;
            progress.finish("store");
            migration.switch(&lock)?;
            break;
        }
        Ok(Migrated {
            from: migration.record().from.driver.clone(),
            to: migration.record().to.driver.clone(),
            images: moved.images.len(),
            containers: moved.containers.len(),
            layers: moved.layers.len(),
            content: mover.content,
            warnings: mover.warnings(),
        })
    }

    /// Moves the layers of a plan, and its containers but for those that are moved.
    fn move_plan(
        &self,
        plan: &Plan,
        moved: &Plan,
        mover: &mut Mover<'_>,
        claims: &mut Vec<Claim>,
    ) -> Result<()> {
        for layer in &plan.layers {
            mover.layer(layer).map_err(|e| plan.blame(layer, e))?;
        }
        // From here on none of the containers is started or removed.
        claims.extend(self.claim_others(claims)?);
        for container in plan.containers.iter().filter(|new| !moved.containers.contains(new)) {
            mover.container(container).map_err(|e| container.blame(e))?;
        }
        Ok(())
    }

    /// Takes back what an interrupted migration has moved; says whether there was one.
    ///
    /// # Errors
    /// Another process migrates; system calls.
    pub fn abandon_migration(&self) -> Result<bool> {
        match Migration::peek(self.store.path())? {
            None => return Ok(false),
            Some(record) if record.state != MigrationState::Moving => return Ok(false),
            Some(_) => {}
        }
        let migration = Migration::claim(self.store.path(), false)?;
        let migration =
            migration.ok_or_else(|| Error::conflict("another process migrates this data root"))?;
        finish::destroy(&self.config, &migration.record().to, &migration.new_root())?;
        migration.remove()?;
        Ok(true)
    }
}
