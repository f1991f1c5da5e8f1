//! Opens a data root, and takes back what dead commands left.

use std::path::Path;

use drivers::Config;
use store::{DataRoot, Intent, Mode, Undo};
use sys::userns::{Ids, Privilege};

use crate::{Access, Engine, Error, Options, Result};

/// Ours among the `--storage-opt`s: how many layers an image may have. Docker opens up to 128 below a container.
const MAX_LAYERS: &str = "layercake.max_layers";

impl Engine {
    /// Opens the data root. For [`Access::Write`] it is made first if there is none, and what dead commands left in it
    /// is swept.
    ///
    /// # Errors
    /// No data root, for reading; the root of a live daemon, for writing; a root of somebody else; no driver that works,
    /// or several.
    pub fn open(options: &Options, access: Access) -> Result<Self> {
        // Mounts and messages show paths that hold wherever the user goes next.
        let base = std::path::absolute(&options.root).map_err(Error::io("find", &options.root))?;
        let shift = options.remap.as_ref().map(crate::remap::shift).transpose()?;
        let root = crate::remap::root(&base, options.remap.as_ref());
        match access {
            Access::Write => {
                crate::remap::make(&base, &root, options.remap.as_ref())?;
                store::Migration::complete(&root)?;
            }
            Access::Read => require_data(&root, options.driver.as_deref())?,
        }
        let config = Config { shift, ..driver_config(&root, options)? };
        let switched = store::Migration::chosen(&root)?;
        let chosen = options.driver.as_deref().or(switched.as_deref());
        let drivers::Selected { driver, choice } = match chosen {
            // Opening a driver makes its part of the data root.
            Some(name) if access == Access::Read && !has_data(&root, name)? => {
                drivers::nothing(name, &config)?
            }
            _ => drivers::select(chosen, &config)?,
        };
        if config.shift.is_some() && !driver.shifts_owners() {
            let name = driver.name();
            return Err(Error::invalid(format!(
                "the storage driver {name} cannot be used with userns-remap"
            )));
        }
        let mode = if access == Access::Write { Mode::Write } else { Mode::Read };
        let mut store = DataRoot::open(&root, driver.name(), mode)?;
        if let Some(shift) = &config.shift {
            store = store.for_containers_of(shift.map().root())?;
        }
        let engine = Self {
            store,
            driver,
            choice,
            config,
            limits: options.limits.clone(),
            threads: options
                .threads
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        };
        if access == Access::Write {
            engine.sweep()?;
            engine.settle()?;
        }
        Ok(engine)
    }

    /// The metadata.
    pub fn store(&self) -> &DataRoot {
        &self.store
    }

    /// The storage driver.
    pub fn driver(&self) -> &dyn drivers::Driver {
        &*self.driver
    }

    /// How the storage driver came to be chosen.
    pub fn choice(&self) -> &drivers::Choice {
        &self.choice
    }

    /// Where the data root is.
    pub fn root(&self) -> &Path {
        self.store.path()
    }

    /// Finishes what dead commands had begun to remove, and removes what they had not published. Quick when there is
    /// nothing.
    pub(crate) fn sweep(&self) -> Result<()> {
        let leftovers = self.store.sweep()?;
        if leftovers.is_empty() {
            return Ok(());
        }
        let mut removing = leftovers.removing;
        if !removing.is_empty() {
            // Whoever died may not have come to what is below.
            let below: Vec<_> = removing.iter().filter_map(|layer| layer.parent).collect();
            let lock = self.store.commit()?;
            removing.extend(self.take_unneeded(&lock, &below)?);
        }
        self.discard_layers(removing)?;
        for work in leftovers.works {
            crate::build::end_steps(&work.path());
            {
                let lock = self.store.commit()?;
                for step in work.undo(&lock)? {
                    self.undo(&lock, step)?;
                }
            }
            self.driver.sync()?;
            work.finish()?;
        }
        Ok(())
    }

    /// Makes something new. If that fails, what came of it is taken back and its space given back, now and not only by
    /// the next command.
    pub(crate) fn attempt<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let made = make();
        if made.is_err() {
            // The first error is the one that counts; what cannot be cleaned up is left to the next command.
            let _ = self.sweep();
            let _ = self.driver.sweep();
        }
        made
    }

    fn undo(&self, lock: &store::CommitLock<'_>, step: Undo) -> Result<()> {
        match step {
            Undo::Discard(id) => Ok(self.driver.discard(&id)?),
            Undo::Release(chain) => self.release_layers(lock, &[chain]).map(drop),
            Undo::RemoveVolume(name) => {
                let work = self.store.begin()?;
                self.remove_unused_volumes(lock, &work, &[name])?;
                Ok(work.finish()?)
            }
            Undo::RemoveImage(id) => Ok(self.store.images().remove(lock, &id)?),
            Undo::Unmount { container, mount_id, parent } => {
                let work = self.store.begin()?;
                // The note keeps the directory, and in it what says where the container stood.
                work.note(&[Intent::Mount { container, mount_id }])?;
                self.store.mounts().remove(lock, &work, &container)?;
                self.driver.discard(&mount_id.into())?;
                self.driver.discard(&mount_id.init().into())?;
                self.release_layers(lock, parent.as_slice())?;
                Ok(work.finish()?)
            }
        }
    }
}

/// The drivers that have something in the data root.
fn data_of(root: &Path) -> Result<Vec<String>> {
    let mut have = DataRoot::drivers(root)?;
    have.retain(|name| root.join(name).is_dir());
    Ok(have)
}

fn has_data(root: &Path, driver: &str) -> Result<bool> {
    Ok(data_of(root)?.iter().any(|name| name == driver))
}

/// For reading, somebody's part of the root must be there. A driver that has none shows an empty store, as after a change
/// of the driver in Docker.
fn require_data(root: &Path, driver: Option<&str>) -> Result<()> {
    // An unknown name has an error of its own, which is the driver's to tell.
    if driver.is_some_and(|name| !drivers::is_known(name)) {
        return Ok(());
    }
    let have = data_of(root)?;
    let Some(first) = have.first() else {
        return Err(store::Error::NoDataRoot(root.to_owned()).into());
    };
    let root = root.display();
    match driver {
        Some(_) => Ok(()),
        // As in Docker, data of vfs does not choose the driver (moby.md §10.1).
        None if have == ["vfs"] => Err(Error::invalid(format!(
            "the data root {root} has data of {first} only: use --storage-driver {first}"
        ))),
        None => Ok(()),
    }
}

fn driver_config(root: &Path, options: &Options) -> Result<Config> {
    let mut config = Config { union_server: options.union_server.clone(), ..Config::new(root) };
    for (key, value) in &options.storage_opts {
        if key == MAX_LAYERS {
            let layers = value.parse().ok().filter(|layers| (1..=500).contains(layers));
            config.max_lowers = layers.ok_or_else(|| {
                Error::invalid(format!("{MAX_LAYERS}={value}: a number from 1 to 500 is needed"))
            })?;
        } else {
            config.options.push(format!("{key}={value}"));
        }
    }
    config.user_namespace = match sys::userns::privilege()? {
        Privilege::Root => false,
        Privilege::UserNamespace { ids: Ids::Many | Ids::One } | Privilege::None => true,
    };
    Ok(config)
}
