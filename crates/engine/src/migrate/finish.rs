//! What is left of a driver that has nothing any more.

use std::path::Path;

use drivers::Config;
use store::{Migration, MigrationState, Side};

use super::target::config_at;
use crate::{Engine, Result};

impl Engine {
    /// Whether a migration has come to its end but for what the old driver had.
    pub(crate) fn has_migrated_from(&self) -> Result<bool> {
        Ok(Migration::peek(self.store.path())?.is_some_and(|record| record.state == MigrationState::Removing))
    }

    /// Removes what the driver had that the store was migrated from, unless somebody else is at it.
    pub(crate) fn remove_migrated_from(&self) -> Result<()> {
        if !self.has_migrated_from()? {
            return Ok(());
        }
        match Migration::claim(self.store.path(), false)? {
            Some(migration) if migration.record().state == MigrationState::Removing => {
                remove_old(migration, &self.config)
            }
            _ => Ok(()),
        }
    }
}

/// Removes what the old driver had.
pub(super) fn remove_old(migration: Migration, config: &Config) -> Result<()> {
    destroy(config, &migration.record().from, &migration.old_root())?;
    Ok(migration.remove()?)
}

/// Removes all layers of a driver in a data root that is about to go: what they have elsewhere than in files goes, too.
pub(super) fn destroy(config: &Config, side: &Side, root: &Path) -> Result<()> {
    if !root.join(&side.driver).is_dir() {
        return Ok(());
    }
    let driver = drivers::open(&side.driver, &config_at(config, root, side))?;
    for id in driver.list()? {
        driver.discard(&id)?;
    }
    driver.sync()?;
    driver.sweep()?;
    Ok(())
}
