//! Removes what is not used.

mod build_cache;
mod buildkit;
mod garbage;
mod survey;

use model::{ContainerId, Digest, ImageId, Timestamp, VolumeName};

use crate::images::{LayerSizes, parents};
use crate::remove_image::{Plan, Removed};
use crate::{Engine, Error, Result};

pub use build_cache::{BuildPruneOptions, PrunedBuilds};
pub(crate) use buildkit::BuildKit;
pub(crate) use survey::Survey;

/// What to remove.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// Images that no container uses, not only those without a name.
    pub all: bool,
    /// Say what would go, and leave it. Works on a root that is open for reading.
    pub dry_run: bool,
    /// For [`system_prune`](Engine::system_prune): volumes without a name, too.
    pub volumes: bool,
    /// Only what is older.
    pub until: Option<Timestamp>,
    /// Only what has all these labels (`key` or `key=value`).
    pub labels: Vec<String>,
    /// Only what has none of these labels.
    pub labels_not: Vec<String>,
}

/// What was removed.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Containers.
    pub containers: Vec<ContainerId>,
    /// Volumes.
    pub volumes: Vec<VolumeName>,
    /// Names, images and layer chains.
    pub images: Vec<Removed>,
    /// Steps of builds and cache mounts.
    pub builds: Vec<String>,
    /// Things that nothing can use: paths relative to the data root.
    pub garbage: Vec<String>,
    /// Bytes given back, or as soon as the trash is emptied.
    pub reclaimed: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Removes images that nothing uses: those without a name, or with `all` those that no container was created
    /// from. Images that others were built on stay, without their names.
    ///
    /// Where Docker takes all names but the last from an image that a container uses, such an image is left alone.
    pub fn prune_images(&self, options: &PruneOptions) -> Result<Pruned> {
        self.prune_images_without(options, &[])
    }

    /// Removes containers that do not run. One that is mounted stays: somebody works in it.
    pub fn prune_containers(&self, options: &PruneOptions) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let mut sizes = LayerSizes::new(&self.store);
        for container in self.stored_containers()? {
            let id = container.id();
            let labels = container.config().labels.iter().flatten();
            if container.state().running
                || !options.takes(Some(container.created()), labels)
                || self.is_mounted(id)?
            {
                continue;
            }
            let size = self.container_size(&mut sizes, id)?;
            if !options.dry_run {
                match self.remove_container(id, false) {
                    Ok(()) => {}
                    Err(Error::Store(store::Error::NoContainer(_))) => continue, // somebody was faster
                    Err(e) => return Err(e),
                }
            }
            pruned.containers.push(*id);
            pruned.reclaimed += size.map_or(0, |size| size.rw);
        }
        Ok(pruned)
    }

    /// Removes containers that do not run, images that nothing uses, and garbage: layers without a user and
    /// directories that no record names, which Docker keeps for ever, and interrupted downloads; with `all` also what
    /// pulls kept of blobs. No filter is about garbage. What belongs to
    /// BuildKit's cache stays.
    pub fn system_prune(&self, options: &PruneOptions) -> Result<Pruned> {
        let mut pruned = self.prune_containers(options)?;
        if options.volumes {
            let volumes = self.prune_volumes_without(options, false, &pruned.containers)?;
            pruned.volumes = volumes.volumes;
            pruned.reclaimed += volumes.reclaimed;
            pruned.warnings.extend(volumes.warnings);
        }
        let images = self.prune_images_without(options, &pruned.containers)?;
        let builds = BuildPruneOptions {
            all: options.all,
            until: options.until,
            keep: None,
            dry_run: options.dry_run,
        };
        let builds = self.prune_builds(&builds)?;
        pruned.reclaimed += builds.reclaimed;
        pruned.builds = builds.records.iter().map(Digest::short).chain(builds.mounts).collect();
        let garbage = self.prune_garbage(options.dry_run)?;
        let blobs =
            if options.all { self.prune_blobs(options.dry_run, &garbage)? } else { Pruned::default() };
        for part in [images, garbage, blobs] {
            pruned.images.extend(part.images);
            pruned.garbage.extend(part.garbage);
            pruned.reclaimed += part.reclaimed;
            pruned.warnings.extend(part.warnings);
        }
        Ok(pruned)
    }

    /// As [`prune_images`](Self::prune_images), as if these containers were gone.
    fn prune_images_without(&self, options: &PruneOptions, containers: &[ContainerId]) -> Result<Pruned> {
        let mut survey = Survey::read(self)?;
        survey.without_containers(containers);
        let candidates = prunable(&survey, options);
        let mut pruned = Pruned::default();
        if options.dry_run {
            let mut plan = Plan::new(self, &survey)?;
            plan.prune(&candidates)?;
            pruned.reclaimed = plan.size();
            pruned.images = plan.report;
        } else if !candidates.is_empty() {
            let lock = self.store.commit()?;
            let backrefs = self.store.backrefs();
            let mut plan = Plan::new(self, &backrefs)?;
            plan.prune(&candidates)?;
            pruned.reclaimed = plan.size();
            pruned.images = self.carry_out(lock, plan)?;
        }
        Ok(pruned)
    }

    fn is_mounted(&self, id: &ContainerId) -> Result<bool> {
        let record = match self.store.mounts().find(id) {
            Ok(record) => record,
            Err(store::Error::BrokenContainer { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        match record.map(|record| self.driver.mounted(&record.mount_id.into())).transpose() {
            Ok(path) => Ok(path.flatten().is_some()),
            Err(drivers::Error::NoLayer(_) | drivers::Error::Damaged(_)) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

/// The images that the options are about. Whether they can go, the plan finds out.
fn prunable(survey: &Survey, options: &PruneOptions) -> Vec<ImageId> {
    let parents = parents(&survey.images);
    let wanted = survey.images.iter().filter(|image| {
        let tagged = image.names.iter().any(|name| name.digest().is_none());
        let labels = image.labels();
        (options.all || !tagged)
            && image.is_listed(&parents)
            && (options.all || !parents.contains(&image.config.id()))
            && options.takes(image.config.view().created, labels.iter())
    });
    wanted.map(|image| image.config.id()).collect()
}

impl PruneOptions {
    /// Whether the filters let something through.
    pub(crate) fn takes<'a>(
        &self,
        created: Option<Timestamp>,
        labels: impl Iterator<Item = (&'a String, &'a String)> + Clone,
    ) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.clone().any(|(k, v)| k == key && v == value),
            None => labels.clone().any(|(k, _)| k == wanted),
        };
        self.until.is_none_or(|until| created.is_some_and(|created| created < until))
            && self.labels.iter().all(has)
            && !self.labels_not.iter().any(has)
    }
}
