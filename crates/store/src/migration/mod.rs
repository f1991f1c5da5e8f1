//! `layercake/migrate/`: the store on its way from one storage driver to another (`docs/format/layercake-private.md`).
//!
//! What is moved goes into `new/`, a data root of its own for the new driver, where nobody looks. [`Migration::switch`]
//! is the one step that counts: it writes down that from now on the new driver's data is the store. What it takes to
//! make that true are renames and the containers' documents, done under the same lock; if it is interrupted, the next
//! command that writes goes on with it ([`Migration::complete`]). What the old driver had is then in `old/`, and can
//! be removed at any time.

mod copy;
mod record;
mod switch;

use std::path::{Path, PathBuf};

use sys::OwnedFd;
use sys::lock::{Lock, Mutual};

use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::root::{DataRoot, PRIVATE};
use crate::small::{absent, find_dir, os};

pub use record::{MigrationRecord, MigrationState, Side};

const DIR: &str = "migrate";
const NEW: &str = "new";
const OLD: &str = "old";

/// A migration that nobody else works on: its directory is locked while this is there.
#[derive(Debug)]
pub struct Migration {
    root: OwnedFd,
    private: OwnedFd,
    dir: OwnedFd,
    path: PathBuf,
    record: MigrationRecord,
    _lock: Lock,
}

impl Migration {
    /// What is known of a migration in the data root at `root`; `None` if there is none. Takes no lock.
    ///
    /// # Errors
    /// System calls; [`Error::BrokenFile`].
    pub fn peek(root: &Path) -> Result<Option<MigrationRecord>> {
        let Some(root_fd) = absent(sys::dir::open_path(root))? else { return Ok(None) };
        let Some(private) = find_dir(&root_fd, PRIVATE)? else { return Ok(None) };
        let Some(dir) = find_dir(&private, DIR)? else { return Ok(None) };
        MigrationRecord::find(&dir)
    }

    /// The driver whose data in the data root is whole, while a switch is under way: both have directories there then.
    ///
    /// # Errors
    /// As [`Migration::peek`].
    pub fn chosen(root: &Path) -> Result<Option<String>> {
        let Some(record) = Self::peek(root)?.filter(|record| record.state == MigrationState::Switched) else {
            return Ok(None);
        };
        let new = root.join(PRIVATE).join(DIR).join(NEW).join(&record.to.driver);
        let is_in_place = sys::meta::of_path(&new).is_err_and(|e| e.is_not_found());
        Ok(Some(if is_in_place { record.to.driver } else { record.from.driver }))
    }

    /// Begins a migration, or goes on with the interrupted one between the same drivers. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::Migrating`] if another process migrates, or one was interrupted that led somewhere else;
    /// [`Error::ReadOnly`]; system calls.
    pub fn begin(root: &DataRoot, wanted: &MigrationRecord) -> Result<Self> {
        let private = root.writable(&root.dirs.private)?;
        let busy = || Error::Migrating("another process migrates this data root: wait for it".to_owned());
        loop {
            let dir = sys::dir::ensure(private, os(DIR), 0o700)?;
            let lock = sys::lock::try_lock(sys::dir::reopen(&dir)?, Mutual::Exclusive)?.ok_or_else(busy)?;
            // Whoever had the lock may have removed the directory when he was done.
            let mine = sys::meta::of_fd(&dir)?.ino;
            if sys::meta::find(private, os(DIR))?.is_none_or(|now| now.ino != mine) {
                continue;
            }
            match MigrationRecord::find(&dir)? {
                Some(found) if found.leads_as(wanted) => {}
                Some(found) => return Err(Error::Migrating(found.advice())),
                None => {
                    wanted.write(&dir)?;
                    sys::dir::sync(&dir)?;
                    sys::dir::sync(private)?;
                }
            }
            return Self::open(root.path(), dir, wanted.clone(), lock);
        }
    }

    /// Takes a migration that was begun, whatever its state; `None` if there is none, or if another process works on it
    /// and `wait` does not say to wait for it.
    ///
    /// # Errors
    /// System calls; [`Error::BrokenFile`].
    pub fn claim(root: &Path, wait: bool) -> Result<Option<Self>> {
        let Some(private) = absent(sys::dir::open_path(&root.join(PRIVATE)))? else { return Ok(None) };
        let Some(dir) = find_dir(&private, DIR)? else { return Ok(None) };
        let fd = sys::dir::reopen(&dir)?;
        let lock = if wait {
            sys::lock::lock(fd, Mutual::Exclusive)?
        } else {
            let Some(lock) = sys::lock::try_lock(fd, Mutual::Exclusive)? else { return Ok(None) };
            lock
        };
        // It may have been removed while we waited: then the record is gone, too.
        match MigrationRecord::find(&dir)? {
            Some(record) => Self::open(root, dir, record, lock).map(Some),
            None => Ok(None),
        }
    }

    fn open(root: &Path, dir: OwnedFd, record: MigrationRecord, lock: Lock) -> Result<Self> {
        let fd = sys::dir::open_path(root)?;
        let private = sys::dir::open(&fd, os(PRIVATE))?;
        Ok(Self { root: fd, private, dir, path: root.to_owned(), record, _lock: lock })
    }

    /// What it is about.
    pub fn record(&self) -> &MigrationRecord {
        &self.record
    }

    /// The data root of what is moved, which may not be there yet.
    pub fn new_root(&self) -> PathBuf {
        self.path.join(PRIVATE).join(DIR).join(NEW)
    }

    /// The data root of what is to be removed after the switch.
    pub fn old_root(&self) -> PathBuf {
        self.path.join(PRIVATE).join(DIR).join(OLD)
    }

    /// Copies what the store knows beside its layers: images, what is known of them, their names, where their layers were
    /// seen. What was copied before is replaced. Nothing is durable when this returns.
    ///
    /// # Errors
    /// System calls.
    pub fn copy_metadata(&self, _lock: &CommitLock<'_>) -> Result<()> {
        let image = |root: &OwnedFd, driver: &str| {
            sys::dir::open(root, os("image")).and_then(|image| sys::dir::open(image, os(driver)))
        };
        let from = image(&self.root, &self.record.from.driver)?;
        let to = image(&sys::dir::open(&self.dir, os(NEW))?, &self.record.to.driver)?;
        for name in ["imagedb", "distribution", "repositories.json"] {
            copy::replace(&from, &to, os(name))?;
        }
        Ok(())
    }

    /// Makes the new driver's data the store. Everything in `new/` has to be durable before. Durable when this returns,
    /// and from then on no open engine of the old driver can publish anything.
    ///
    /// # Errors
    /// System calls. If the switch itself had been written, the next command that writes goes on with it.
    pub fn switch(&mut self, _lock: &CommitLock<'_>) -> Result<()> {
        self.advance(MigrationState::Switched)?;
        self.roll_forward()
    }

    /// Goes on with a switch that was interrupted; does nothing in any other state. For commands that write, before
    /// they choose a driver. Costs one look at a directory if there is nothing to do.
    ///
    /// # Errors
    /// [`Error::DaemonRunning`]; system calls.
    pub fn complete(root: &Path) -> Result<()> {
        if !Self::peek(root)?.is_some_and(|record| record.state == MigrationState::Switched) {
            return Ok(());
        }
        let Some(mut migration) = Self::claim(root, true)? else { return Ok(()) };
        if migration.record.state != MigrationState::Switched {
            return Ok(());
        }
        let _lock = sys::lock::take(&migration.private, os("commit.lock"), Mutual::Exclusive)?;
        let _guard = crate::daemon::guard(root)?;
        migration.roll_forward()
    }

    /// Removes all that is left of it: what was moved before the switch, what the old driver had after it. Files that
    /// lie elsewhere are the drivers' to remove before.
    ///
    /// # Errors
    /// System calls; later attempts can go on.
    pub fn remove(self) -> Result<()> {
        // Nobody may go on with a half of what was moved.
        self.set_aside(&self.dir, NEW)?;
        sys::dir::sync(&self.dir)?;
        // The record last: it says what the rest is.
        sys::tree::remove(&self.dir, os(OLD))?;
        Ok(sys::tree::remove(&self.private, os(DIR))?)
    }

    fn advance(&mut self, state: MigrationState) -> Result<()> {
        let record = MigrationRecord { state, ..self.record.clone() };
        record.write(&self.dir)?;
        sys::dir::sync(&self.dir)?;
        self.record = record;
        Ok(())
    }
}
