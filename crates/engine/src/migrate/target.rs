//! The other driver, and where its data is made.

use std::path::Path;

use drivers::{Choice, Config, Why};
use store::{DataRoot, Migration, MigrationRecord, MigrationState, Mode, Side};

use crate::{Engine, Error, Result};

use super::MigrateOptions;

/// The most layers below one that any driver takes.
const MOST_LOWERS: usize = 500;

impl Engine {
    /// What a migration from here to there is, and that there is nothing against it.
    pub(super) fn migration_to(&self, options: &MigrateOptions) -> Result<MigrationRecord> {
        let (from, to) = (self.driver.name(), options.to.as_str());
        if !drivers::is_known(to) {
            return Err(drivers::Error::UnknownDriver(to.to_owned()).into());
        }
        if from == to {
            return Err(Error::invalid(format!("the storage driver is {to} already")));
        }
        self.require_nothing_of(to)?;
        for driver in [from, to] {
            self.require_no_mount_point(driver)?;
        }
        let pairs = options.storage_opts.iter().map(|(key, value)| format!("{key}={value}"));
        let to = Side { driver: to.to_owned(), options: pairs.collect() };
        if let Err(unmet) = drivers::probe(&to.driver, &config_at(&self.config, self.store.path(), &to))? {
            return Err(Error::invalid(format!(
                "the storage driver {} does not work here: {unmet}",
                to.driver
            )));
        }
        Ok(MigrationRecord {
            from: Side { driver: from.to_owned(), options: self.config.options.clone() },
            to,
            state: MigrationState::Moving,
        })
    }

    /// The new driver must not have anything in this data root: it is not said what should become of it.
    pub(super) fn require_nothing_of(&self, driver: &str) -> Result<()> {
        let root = self.store.path();
        let other = DataRoot::open(root, driver, Mode::Read)?;
        let refuse = |what: String| {
            Err(Error::conflict(format!(
                "the storage driver {driver} has {what} in this data root already: remove them first, with \
                 `layercake --storage-driver {driver} system prune --all`"
            )))
        };
        let (images, layers) = (other.images().list()?.len(), other.layers().list()?.len());
        if images + layers > 0 {
            return refuse(format!("{images} images and {layers} layers"));
        }
        let mut containers = other.mounts().list()?.len();
        for id in other.containers().list()? {
            let document = match other.containers().find(&id) {
                Err(store::Error::BrokenContainer { .. }) => None,
                document => document?,
            };
            containers += usize::from(document.is_some_and(|document| document.driver() == driver));
        }
        if containers > 0 {
            return refuse(format!("{containers} containers"));
        }
        if !root.join(driver).is_dir() {
            return Ok(());
        }
        let none = Side { driver: driver.to_owned(), options: Vec::new() };
        let others = drivers::open(driver, &config_at(&self.config, root, &none))?.list()?.len();
        if others > 0 {
            return refuse(format!("{others} layers that nothing names"));
        }
        Ok(())
    }

    /// The driver's directory is about to be renamed.
    fn require_no_mount_point(&self, driver: &str) -> Result<()> {
        let name = std::ffi::OsStr::new(driver);
        let Some(home) = sys::meta::find(self.store.fd(), name)? else { return Ok(()) };
        let other_disk = home.dev != sys::meta::of_fd(self.store.fd())?.dev;
        if !other_disk && sys::mount::at(self.store.fd(), name)?.is_none() {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "{} is a mount point: a migration takes place inside of one file system; unmount it, or mount the whole \
             data root there",
            self.store.path().join(driver).display()
        )))
    }

    /// Opens the new driver's data root, makes it if it is not there, and takes away what an interrupted attempt has left
    /// half.
    pub(super) fn migration_target(&self, migration: &Migration) -> Result<Engine> {
        let (root, to) = (migration.new_root(), &migration.record().to);
        let target = self.beside(&root, to)?;
        let work = root.join("layercake/work");
        let work = sys::dir::open_path(&work)?;
        // Notes would have what is there taken back, since it has no images.
        sys::tree::clear(&work)?;
        for left in target.store.layers().removing()? {
            target.finish_removal(left)?;
        }
        target.driver.sweep()?;
        Ok(target)
    }

    /// An engine of its own at `root`, which is made if it is not there.
    pub(super) fn beside(&self, root: &Path, side: &Side) -> Result<Engine> {
        DataRoot::make(root)?;
        let config = config_at(&self.config, root, side);
        let driver = drivers::open(&side.driver, &config)?;
        if config.shift.is_some() && !driver.shifts_owners() {
            let name = driver.name();
            return Err(Error::invalid(format!(
                "the storage driver {name} cannot be used with userns-remap"
            )));
        }
        let store = DataRoot::open(root, &side.driver, Mode::Write)?;
        Ok(Engine {
            store: match &config.shift {
                Some(shift) => store.for_containers_of(shift.map().root())?,
                None => store,
            },
            choice: Choice { driver: driver.name(), why: Why::Asked, refused: Vec::new() },
            driver,
            config,
            limits: self.limits.clone(),
            threads: self.threads,
        })
    }
}

/// How to open a driver there.
pub(super) fn config_at(config: &Config, root: &Path, side: &Side) -> Config {
    // What is there is moved, however deep it is.
    let max_lowers = config.max_lowers.max(MOST_LOWERS);
    Config { root: root.to_owned(), options: side.options.clone(), max_lowers, ..config.clone() }
}
