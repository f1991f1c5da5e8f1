//! The volumes that a new container brings with it, filled with what its image has at their paths.
//!
//! Docker copies into every volume that is empty when a container is created, not only into new ones, and so do we.

use std::collections::BTreeSet;
use std::path::Path;

use model::mount::{MountPoint, MountType};
use model::{ContainerId, VolumeName};
use store::{CommitLock, Intent, StagedVolume, VOLUME_DATA, Work};
use sys::Root;
use sys::idmap::IdMap;

use super::Wanted;
use crate::copy::{Extractor, Place, Target, Tree, is_confined, walk};
use crate::{Engine, Error, Result};

/// Volumes that are made aside: new ones, and the content of empty ones.
#[derive(Default)]
pub(crate) struct NewVolumes<'a> {
    staged: Vec<StagedVolume<'a>>,
    /// All volumes that the container uses.
    used: BTreeSet<VolumeName>,
}

impl NewVolumes<'_> {
    /// Whether there is nothing to make durable.
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// Publishes what was made, before the container that uses it. What somebody else has made meanwhile is taken as it
    /// is. Durable when this returns, if what was made is.
    pub fn publish(self, engine: &Engine, lock: &CommitLock<'_>) -> Result<()> {
        let (mut new, mut made) = (Vec::new(), BTreeSet::new());
        for volume in self.staged {
            if engine.store.volumes().exists(volume.name())? {
                volume.pour(lock)?;
            } else {
                made.insert(volume.name().clone());
                new.push(volume);
            }
        }
        for name in &self.used {
            if !made.contains(name) && !engine.store.volumes().exists(name)? {
                return Err(Error::NoSuchVolume(name.to_string()));
            }
        }
        Ok(engine.store.volumes().publish(lock, new)?)
    }
}

impl Engine {
    /// Makes the volumes of a new container whose tree is `tree`: those that are not there, and content for those that
    /// are empty.
    pub(crate) fn make_volumes<'a>(
        &self,
        work: &'a Work<'a>,
        container: &ContainerId,
        wanted: &Wanted,
        tree: &Tree,
    ) -> Result<NewVolumes<'a>> {
        let volumes = || wanted.points.values().filter(|point| point.kind == MountType::Volume);
        let unnamed = volumes().filter(|point| point.spec.source.is_empty());
        let intents: Vec<Intent> = unnamed
            .filter_map(|point| point.name.parse().ok())
            .map(|name| Intent::Volume { container: *container, name })
            .collect();
        if !intents.is_empty() {
            work.note(&intents)?;
        }
        let mut made = NewVolumes::default();
        for point in volumes() {
            let name = VolumeName::parse(&point.name)?;
            let content = content(tree, point)?;
            if !made.used.insert(name.clone()) {
                continue;
            }
            let is_there = self.store.volumes().exists(&name)?;
            if is_there && (content.is_none() || !self.is_blank(&name)?) {
                continue;
            }
            let extra = wanted.volumes.get(&name).cloned().unwrap_or_default();
            let is_plain = extra.options.is_none();
            let staged = self.store.volumes().stage(work, &name, extra.labels, extra.options)?;
            if let Some(place) = content.filter(|_| is_plain) {
                fill(&staged, tree, &place, self.id_map())?;
            }
            made.staged.push(staged);
        }
        Ok(made)
    }

    /// Whether a volume has no content, and nothing is going to be mounted on it.
    fn is_blank(&self, name: &VolumeName) -> Result<bool> {
        let volumes = self.store.volumes();
        Ok(volumes.device(name)?.is_none() && sys::dir::list(volumes.data(name)?)?.is_empty())
    }
}

/// What the image has at the path of a volume, if that is to be copied.
fn content(tree: &Tree, point: &MountPoint) -> Result<Option<Place>> {
    let Ok(place) = tree.find(Path::new(&point.destination), true)? else { return Ok(None) };
    if !place.is_dir() {
        let path = &point.destination;
        return Err(Error::invalid(format!("cannot mount volume over existing file, file exists {path}")));
    }
    Ok(Some(place).filter(|_| point.copies))
}

/// Copies a directory of the tree, with its attributes, as the content of the volume.
fn fill(staged: &StagedVolume<'_>, tree: &Tree, place: &Place, ids: Option<&IdMap>) -> Result<()> {
    let root = Root::from_fd(sys::dir::reopen(staged.dir())?, staged.name().as_str());
    let mut sink = Extractor::new(Target {
        root: &root,
        dir: Path::new(""),
        shown: staged.name().to_string(),
        follow: false,
        keep_owners: true,
        user_namespace: is_confined()?,
        ids,
    });
    walk(tree.layers(), &place.path, VOLUME_DATA.as_bytes(), &mut sink)?;
    sink.finish()?;
    Ok(())
}
