//! Volumes: directories of the data root that outlive the containers that use them. No storage driver touches them.
//!
//! | file | subject |
//! | --- | --- |
//! | this one | `volume create`, `ls`, `inspect`, `rm`, `prune` |
//! | `users` | which containers use which volumes |
//! | `wanted` | the mounts that a new container gets |
//! | `fill` | an image's content becomes that of a new volume |
//! | `start` | a container's mounts for its runtime |
//!
//! Which containers use a volume stands in their documents alone: to know it, all of them are read. That is needed to
//! remove volumes, and to say who uses them.

mod fill;
mod start;
mod users;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use model::{ContainerId, Timestamp, VolumeName};
use store::{CommitLock, Volume, Work};

use crate::prune::{PruneOptions, Pruned};
use crate::{Engine, Error, Result};

pub(crate) use wanted::Wanted;

/// Docker's own driver of volumes, the only one here.
pub(crate) const DRIVER: &str = "local";

/// What a volume shall be.
#[derive(Debug, Clone, Default)]
pub struct CreateVolume {
    /// Its name; a random one if absent.
    pub name: Option<String>,
    /// Its driver; empty for `local`, the only one here.
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What is mounted on it: `type`, `device`, `o`, as for mount(8).
    pub options: BTreeMap<String, String>,
}

/// A volume, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSummary {
    /// Its name.
    pub name: VolumeName,
    /// Its labels; `None` where Docker shows `null`.
    pub labels: Option<BTreeMap<String, String>>,
    /// The options that it was made with; `None` where Docker shows `null`.
    pub options: Option<BTreeMap<String, String>>,
    /// Where its content is.
    pub mountpoint: PathBuf,
    /// When its directory changed last, which is what Docker calls its creation.
    pub created: Timestamp,
}

impl Engine {
    /// Creates a volume. One that is there stays as it is. Durable when this returns.
    ///
    /// # Errors
    /// A name, driver or options that there are not.
    pub fn create_volume(&self, wanted: &CreateVolume) -> Result<VolumeName> {
        let named = wanted.name.as_deref().filter(|name| !name.is_empty());
        let mut labels = wanted.labels.clone();
        let name = match named {
            Some(name) => {
                VolumeName::parse(name).map_err(|e| Error::invalid(format!("create {name}: {e}")))?
            }
            None => {
                labels.insert(model::volume::ANONYMOUS.to_owned(), String::new());
                VolumeName::from_random(sys::process::random())
            }
        };
        require_local(&name, &wanted.driver)?;
        validate(&wanted.options).map_err(|why| Error::invalid(format!("create {name}: {why}")))?;
        let work = self.store.begin()?;
        let (labels, options) = (some(labels), some(wanted.options.clone()));
        let staged = self.store.volumes().stage(&work, &name, labels, options)?;
        // Its opts.json.
        self.store.sync()?;
        {
            let lock = self.store.commit()?;
            if !self.store.volumes().exists(&name)? {
                self.store.volumes().publish(&lock, vec![staged])?;
            }
        }
        work.finish()?;
        Ok(name)
    }

    /// The volumes, sorted by name.
    ///
    /// # Errors
    /// A damaged database of labels.
    pub fn list_volumes(&self) -> Result<Vec<VolumeSummary>> {
        let volumes = self.store.volumes().list()?;
        Ok(volumes.into_iter().map(|volume| self.volume_summary(volume)).collect())
    }

    /// A volume.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`].
    pub fn volume(&self, name: &str) -> Result<VolumeSummary> {
        let found = VolumeName::parse(name).ok().map(|name| self.store.volumes().find(&name)).transpose()?;
        let volume = found.flatten().ok_or_else(|| Error::NoSuchVolume(name.to_owned()))?;
        Ok(self.volume_summary(volume))
    }

    /// The names of the volumes that containers use.
    ///
    /// # Errors
    /// System calls.
    pub fn used_volumes(&self) -> Result<BTreeSet<String>> {
        Ok(self.volume_users()?.of.into_keys().collect())
    }

    fn volume_summary(&self, volume: Volume) -> VolumeSummary {
        VolumeSummary {
            mountpoint: self.store.volumes().path(&volume.name),
            name: volume.name,
            labels: volume.labels,
            options: volume.options,
            created: volume.created,
        }
    }

    /// Removes a volume with its content. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`]; [`Error::Conflict`] if a container uses it.
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        let missing = || Error::NoSuchVolume(name.to_owned());
        let volume = VolumeName::parse(name).map_err(|_| missing())?;
        let work = self.store.begin()?;
        {
            let lock = self.store.commit()?;
            if !self.store.volumes().exists(&volume)? {
                return Err(missing());
            }
            if let Some(users) = self.volume_users()?.of.get(name) {
                let users: Vec<String> = users.iter().map(ContainerId::hex).collect();
                let users = users.join(", ");
                return Err(Error::conflict(format!("remove {name}: volume is in use - [{users}]")));
            }
            self.store.volumes().remove(&lock, &work, &volume)?;
        }
        Ok(work.finish()?)
    }

    /// The volumes of a container that nobody named: they are removed with it if that is asked for.
    pub(crate) fn anonymous_volumes(&self, container: &ContainerId) -> Result<Vec<VolumeName>> {
        let points = self.store.containers().get(container)?.mounts()?;
        // As in Docker, whether somebody gave the name is what counts, not the label.
        let unnamed =
            points.into_values().filter(|point| !point.name.is_empty() && point.spec.source.is_empty());
        Ok(unnamed.filter_map(|point| point.name.parse().ok()).collect())
    }

    /// Removes those of the volumes that no container uses. Durable when this returns.
    pub(crate) fn remove_unused_volumes(
        &self,
        lock: &CommitLock<'_>,
        work: &Work<'_>,
        names: &[VolumeName],
    ) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let users = self.volume_users()?;
        for name in names.iter().filter(|name| !users.of.contains_key(name.as_str())) {
            self.store.volumes().remove(lock, work, name)?;
        }
        Ok(())
    }

    /// Removes volumes that no container uses: those without a name, or with `named` all. The filters are those of
    /// labels. Where containers' documents are damaged nobody knows what they use, and nothing is removed.
    ///
    /// # Errors
    /// A damaged database of labels.
    pub fn prune_volumes(&self, options: &PruneOptions, named: bool) -> Result<Pruned> {
        self.prune_volumes_without(options, named, &[])
    }

    /// As [`prune_volumes`](Self::prune_volumes), as if these containers were gone.
    pub(crate) fn prune_volumes_without(
        &self,
        options: &PruneOptions,
        named: bool,
        containers: &[ContainerId],
    ) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let work = (!options.dry_run).then(|| self.store.begin()).transpose()?;
        let lock = (!options.dry_run).then(|| self.store.commit()).transpose()?;
        let users = self.volume_users()?;
        if users.damaged > 0 {
            let text =
                "damaged containers: what they use is not known, so volumes were left alone; see check";
            pruned.warnings.push(format!("the store has {} {text}", users.damaged));
            return Ok(pruned);
        }
        for volume in self.store.volumes().list()? {
            let is_used = users
                .of
                .get(volume.name.as_str())
                .is_some_and(|users| users.iter().any(|user| !containers.contains(user)));
            let labels = volume.labels.iter().flatten();
            if is_used || !(named || volume.is_anonymous()) || !options.takes(Some(volume.created), labels) {
                continue;
            }
            pruned.reclaimed += sys::tree::size(self.store.volumes().data(&volume.name)?)?;
            if let (Some(lock), Some(work)) = (&lock, &work) {
                self.store.volumes().remove(lock, work, &volume.name)?;
            }
            pruned.volumes.push(volume.name);
        }
        drop(lock);
        work.map(Work::finish).transpose()?;
        Ok(pruned)
    }
}

/// `None` for what Docker shows as `null`.
fn some(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map).filter(|map| !map.is_empty())
}

/// Refuses other drivers, which are programs of others that speak with a daemon.
pub(crate) fn require_local(name: &VolumeName, driver: &str) -> Result<()> {
    match driver {
        "" | DRIVER => Ok(()),
        other => Err(Error::invalid(format!(
            "create {name}: error looking up volume plugin {other}: plugin \"{other}\" not found"
        ))),
    }
}

/// The rules of Docker's driver for the options of a volume.
fn validate(options: &BTreeMap<String, String>) -> std::result::Result<(), String> {
    if let Some(unknown) =
        options.keys().find(|key| !matches!(key.as_str(), "type" | "o" | "device" | "size"))
    {
        return Err(format!("invalid option: {unknown:?}"));
    }
    if options.contains_key("size") {
        return Err("quota size requested but no quota support".to_owned());
    }
    for (key, needed) in [("device", &["type"][..]), ("type", &["device"]), ("o", &["device", "type"])] {
        if let Some(missing) =
            needed.iter().find(|other| options.contains_key(key) && !options.contains_key(**other))
        {
            return Err(format!("missing required option: {missing:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_mount() {
        let check = |options: &[(&str, &str)]| {
            validate(&options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("type", "none"), ("device", "/x"), ("o", "bind")]), Ok(()));
        assert_eq!(check(&[("bogus", "1")]).unwrap_err(), "invalid option: \"bogus\"");
        assert_eq!(check(&[("type", "tmpfs")]).unwrap_err(), "missing required option: \"device\"");
        assert_eq!(
            check(&[("o", "bind"), ("type", "none")]).unwrap_err(),
            "missing required option: \"device\""
        );
        assert_eq!(check(&[("size", "1G")]).unwrap_err(), "quota size requested but no quota support");
    }
}
