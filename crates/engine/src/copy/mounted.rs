//! Paths that lead into a volume or a bind mount of a container: what is there is on the host, and not in the container's
//! tree.

use std::path::{Path, PathBuf};

use changeset::Lowers;
use model::mount::{MountPoint, MountType};
use model::{ContainerId, VolumeName};

use super::tree::{Nowhere, Place, Tree};
use crate::{Engine, Error, Result};

/// A path of a container, looked up.
pub(super) struct InContainer {
    /// The tree that it leads into.
    pub tree: Tree,
    /// What is mounted there; `None` for the container's own tree.
    pub mounted: Option<Mounted>,
    /// The path in that tree, absolute.
    pub path: PathBuf,
    /// What is at the path.
    pub place: std::result::Result<Place, Nowhere>,
}

/// What is mounted in a container.
pub(super) struct Mounted {
    /// Where it is on the host.
    pub root: PathBuf,
    /// Whether the container may write to it.
    pub writable: bool,
}

/// A way through as many mounts as links lead through at most.
const MAX_MOUNTS: usize = 40;

impl Engine {
    /// Looks up a path of the container, an absolute one. A link in the last component is followed if `follow` says so.
    /// Links in a volume lead no further than the volume.
    pub(super) fn find_in_container(
        &self,
        container: &ContainerId,
        path: &Path,
        follow: bool,
    ) -> Result<InContainer> {
        let points = self.store.containers().get(container)?.mounts()?;
        let mut path = path.to_owned();
        for _ in 0..MAX_MOUNTS {
            let over = points.values().filter(|point| path.starts_with(&point.destination));
            if let Some(point) = over.max_by_key(|point| point.destination.len()) {
                return self.find_mounted(point, &path, follow);
            }
            let tree = self.container_tree(container)?;
            let place = tree.find(&path, follow)?;
            let end = match &place {
                Ok(place) => Some(Path::new("/").join(&place.path)),
                Err(Nowhere::Missing(target)) => Some(Path::new("/").join(target)),
                Err(_) => None,
            };
            match end.filter(|end| points.values().any(|point| end.starts_with(&point.destination))) {
                Some(end) => path = end,
                None => return Ok(InContainer { tree, mounted: None, path, place }),
            }
        }
        Err(Error::invalid(format!("{}: too many levels of symbolic links", path.display())))
    }

    /// Where the content of a volume is.
    fn content_of(&self, volume: &VolumeName) -> Result<PathBuf> {
        match self.store.volumes().device(volume)? {
            None => Ok(self.store.volumes().path(volume)),
            Some(device) if device.is_bind() => Ok(device.mount_device.into()),
            Some(device) => Err(Error::invalid(format!(
                "the volume {volume} is a mount of {}: nothing can be copied there",
                device.mount_device
            ))),
        }
    }

    fn find_mounted(&self, point: &MountPoint, path: &Path, follow: bool) -> Result<InContainer> {
        let root = match point.kind {
            MountType::Volume => self.content_of(&point.name.parse()?)?,
            MountType::Bind => PathBuf::from(&point.source),
            other => {
                let (path, at) = (path.display(), &point.destination);
                return Err(Error::invalid(format!(
                    "{path} is in the {other} {at}: nothing can be copied there"
                )));
            }
        };
        let below = path.strip_prefix(&point.destination).unwrap_or(Path::new(""));
        // A single file can be mounted too.
        let (root, path) = match (root.is_dir(), root.parent(), root.file_name()) {
            (false, Some(parent), Some(name)) => (parent.to_owned(), Path::new("/").join(name).join(below)),
            _ => (root, Path::new("/").join(below)),
        };
        let tree = Tree::new(Lowers::tree(self.open_shown(&root)?));
        let place = tree.find(&path, follow)?;
        Ok(InContainer { tree, mounted: Some(Mounted { root, writable: point.writable }), path, place })
    }
}
