//! What commands that died have left behind.

use std::collections::BTreeMap;

use model::{CacheId, ChainId, ContainerId, ImageId, MountId, VolumeName};

use crate::backrefs::User;
use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::layers::RemovingLayer;
use crate::root::DataRoot;
use crate::small::{names_in, os};
use crate::work::{self, DeadWork, Intent};

/// What is left of commands that died and needs the driver to be removed. Nobody else gets the same: all of it is
/// locked by us until it is dropped.
#[derive(Debug)]
pub struct Leftovers<'a> {
    /// Layers whose removal had begun: discard the driver's directory, then
    /// [`Layers::finish_remove`](crate::Layers::finish_remove).
    pub removing: Vec<RemovingLayer>,
    /// Commands with their notes: see [`DeadWork::undo`], then [`DeadWork::finish`].
    pub works: Vec<DeadWork<'a>>,
}

impl Leftovers<'_> {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.removing.is_empty() && self.works.is_empty()
    }
}

/// A step that takes back what a dead command had made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Nothing in the store names this directory of the driver, if it is there at all: discard it.
    Discard(CacheId),
    /// This layer was published, but what was to use it perhaps not: [`Layers::begin_remove`](crate::Layers::begin_remove)
    /// it and what is below it, unless it is used.
    Release(ChainId),
    /// This image has neither a name nor a user: [`Images::remove`](crate::Images::remove) it.
    RemoveImage(ImageId),
    /// The container of this anonymous volume is not there: [`Volumes::remove`](crate::Volumes::remove) it, unless
    /// another one uses it.
    RemoveVolume(VolumeName),
    /// This entry in `layerdb/mounts` has no container: [`Mounts::remove`](crate::Mounts::remove) it, then discard
    /// the driver's directory and that of its init layer, and release the layer that it stood on.
    Unmount {
        /// The container that is not there.
        container: ContainerId,
        /// The driver's directory.
        mount_id: MountId,
        /// The layer that it stood on.
        parent: Option<ChainId>,
    },
}

impl DataRoot {
    /// Removes what dead commands have left and only the store knows of, and answers with what the driver knows of
    /// too. Quick when there is nothing.
    ///
    /// # Errors
    /// System calls.
    pub fn sweep(&self) -> Result<Leftovers<'_>> {
        let works = work::dead(self)?;
        self.downloads().sweep()?;
        let removing = match self.backrefs().removing()? {
            Some(names) => {
                self.forget_removed(&names)?;
                self.layers().claim_all(names)?
            }
            None => self.layers().removing()?,
        };
        if self.has_temporary()? {
            self.remove_temporary(&self.commit()?)?;
        }
        Ok(Leftovers { removing, works })
    }

    /// Removes the notes of removals that had come to their end, or not to their beginning.
    fn forget_removed(&self, names: &[String]) -> Result<()> {
        let layers = self.writable(&self.dirs.layers)?;
        let is_gone = |name: &str| Ok::<_, Error>(sys::meta::find(layers, os(name))?.is_none());
        for name in names {
            if is_gone(name)? {
                // A note is made shortly before the name, under this lock.
                let _lock = self.commit()?;
                if is_gone(name)? {
                    self.backrefs().forget_removing(name)?;
                }
            }
        }
        Ok(())
    }

    fn has_temporary(&self) -> Result<bool> {
        for dir in [&self.dirs.private, &self.dirs.image] {
            if names_in(dir.as_ref())?.iter().any(|name| is_temporary(name)) {
                return Ok(true);
            }
        }
        Ok(!names_in(self.dirs.layer_tmp.as_ref())?.is_empty())
    }

    /// Files and write-sets that Docker, or we, have not finished. Whoever writes such files now would hold the
    /// commit lock, or be a daemon, which the lock keeps away.
    fn remove_temporary(&self, _lock: &CommitLock<'_>) -> Result<()> {
        // Ours are in the private directory, Docker's beside what they were to replace.
        for dir in [&self.dirs.private, &self.dirs.image] {
            let dir = self.writable(dir)?;
            for name in names_in(Some(dir))?.iter().filter(|name| is_temporary(name)) {
                sys::tree::remove(dir, os(name))?;
            }
        }
        let tmp = self.writable(&self.dirs.layer_tmp)?;
        for name in names_in(Some(tmp))?.iter().filter(|name| name.starts_with("write-set-")) {
            sys::tree::remove(tmp, os(name))?;
        }
        Ok(())
    }
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(sys::atomic::TEMP_PREFIX)
}

impl DeadWork<'_> {
    /// What has to be taken back, in this order, while the lock is held. Empty if the command had done its work and
    /// died while cleaning up.
    ///
    /// # Errors
    /// System calls.
    pub fn undo(&self, lock: &CommitLock<'_>) -> Result<Vec<Undo>> {
        let (mut steps, mut images) = (Vec::new(), Vec::new());
        // A directory may be noted twice: before it is made, and once its chain is known.
        let mut chains: BTreeMap<&CacheId, Option<&ChainId>> = BTreeMap::new();
        for intent in self.intents.iter().rev() {
            match intent {
                Intent::Layer { cache_id, chain } => {
                    let known = chains.entry(cache_id).or_default();
                    *known = known.or(chain.as_ref());
                }
                Intent::Mount { container, mount_id } => {
                    steps.extend(undo_mount(lock.root, container, mount_id)?);
                }
                Intent::Volume { container, name } => {
                    if !lock.root.containers().exists(container)? && lock.root.volumes().exists(name)? {
                        steps.push(Undo::RemoveVolume(name.clone()));
                    }
                }
                Intent::Image { id } => images.push(*id),
            }
        }
        images.reverse();
        steps.extend(undo_images(lock.root, images)?.into_iter().map(Undo::RemoveImage));
        let mut layers = Vec::new();
        for intent in self.intents.iter().rev() {
            let Intent::Layer { cache_id, .. } = intent else { continue };
            let Some(chain) = chains.remove(cache_id) else { continue };
            layers.extend(undo_layer(lock.root, cache_id, chain)?);
        }
        steps.extend(layers);
        steps.extend(self.stood_on.iter().map(|chain| Undo::Release(*chain)));
        Ok(steps)
    }
}

fn undo_mount(root: &DataRoot, container: &ContainerId, mount_id: &MountId) -> Result<Vec<Undo>> {
    if root.containers().exists(container)? {
        return Ok(Vec::new());
    }
    if root.mounts().exists(container)? {
        let parent = root.mounts().parent_of(container)?;
        return Ok(vec![Undo::Unmount { container: *container, mount_id: *mount_id, parent }]);
    }
    Ok(vec![Undo::Discard((*mount_id).into()), Undo::Discard(mount_id.init().into())])
}

/// Which of these images go. They were noted children first: a child that goes is no user.
fn undo_images(root: &DataRoot, images: Vec<ImageId>) -> Result<Vec<ImageId>> {
    let names = match root.references().read() {
        Ok(names) => names.by_image(),
        // Which images have names is not known: none goes.
        Err(Error::BrokenFile { .. }) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut going: Vec<ImageId> = Vec::new();
    for id in images {
        let goes = |user: &User| matches!(user, User::Image(child) if going.contains(child));
        if !names.contains_key(&id) && root.backrefs().of_image(&id)?.iter().all(goes) {
            going.push(id);
        }
    }
    Ok(going)
}

fn undo_layer(root: &DataRoot, cache_id: &CacheId, chain: Option<&ChainId>) -> Result<Option<Undo>> {
    let published = match chain.map(|chain| root.layers().find(chain)).transpose() {
        Ok(record) => record.flatten(),
        // Damaged since; whether it still needs the directory is for a check to find out.
        Err(Error::BrokenLayer { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    match published {
        Some(record) if record.cache_id == *cache_id => Ok(Some(Undo::Release(record.chain))),
        _ => Ok(Some(Undo::Discard(cache_id.clone()))),
    }
}
