//! Docker's rules of what a removal takes along and what stands against it.

use std::collections::HashSet;

use model::{CacheId, ChainId, ContainerId, ImageId, Reference};
use store::{Repositories, User};

use super::{RemoveImage, Removed};
use crate::images::in_dockers_order;
use crate::prune::BuildKit;
use crate::{Engine, Error, Result};

/// Answers who uses what.
pub(crate) trait Uses {
    /// Images that have this one as their parent, and containers that were created from it.
    fn of_image(&self, id: &ImageId) -> Result<Vec<User>>;
    /// The layers, images and containers that stand directly on this layer.
    fn of_layer(&self, chain: &ChainId) -> Result<Vec<User>>;
}

/// For a few questions while the commit lock is held: the index is up to date then.
impl Uses for store::Backrefs<'_> {
    fn of_image(&self, id: &ImageId) -> Result<Vec<User>> {
        Ok(store::Backrefs::of_image(self, id)?)
    }

    fn of_layer(&self, chain: &ChainId) -> Result<Vec<User>> {
        Ok(store::Backrefs::of_layer(self, chain)?)
    }
}

/// What a removal does, worked out before anything is done.
pub(crate) struct Plan<'a> {
    engine: &'a Engine,
    uses: &'a dyn Uses,
    build_cache: BuildKit,
    /// What to tell the user.
    pub report: Vec<Removed>,
    /// All names, as they will be.
    pub names: Repositories,
    /// Images that go, children before their parents.
    pub images: Vec<ImageId>,
    /// Layers that go, those on top first.
    pub layers: Vec<PlannedLayer>,
    gone: HashSet<User>,
}

/// A layer that goes.
#[derive(Debug, Clone)]
pub(crate) struct PlannedLayer {
    pub chain: ChainId,
    /// The driver's directory; unknown if the layer's record is damaged.
    pub cache_id: Option<CacheId>,
    /// Bytes, as recorded.
    pub size: u64,
}

/// What stands against removing an image, and what can be done about it.
struct Conflict {
    text: String,
    /// A container uses the image.
    used: bool,
}

/// Which conflicts count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Respect {
    /// Those that no force overcomes: images built on it, running containers.
    Hard,
    /// And stopped containers.
    HardAndContainers,
    /// And names.
    All,
}

impl<'a> Plan<'a> {
    /// An empty plan on the names as they are now.
    pub fn new(engine: &'a Engine, uses: &'a dyn Uses) -> Result<Self> {
        Ok(Self {
            engine,
            uses,
            build_cache: BuildKit::read(engine.store.path())?,
            report: Vec::new(),
            names: engine.store.references().read()?,
            images: Vec::new(),
            layers: Vec::new(),
            gone: HashSet::new(),
        })
    }

    /// Bytes in the layers that go, as recorded.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    /// `rmi given`, where `given` means the image `id`.
    pub fn remove(&mut self, given: &str, id: &ImageId, options: RemoveImage) -> Result<()> {
        let prune = !options.no_prune;
        let named = Reference::parse(given).ok().filter(|name| self.names.get(name) == Some(*id));
        if let Some(name) = named {
            return self.remove_name(given, &name, id, options);
        }
        if is_single(&self.names.of_image(id)) {
            let respect = if options.force { Respect::Hard } else { Respect::HardAndContainers };
            self.refuse(id, respect)?;
            self.remove_all_names(id);
        }
        self.delete(id, options.force, prune, false)
    }

    /// Removes a name, and the image too if that was its last one and nothing else needs it.
    fn remove_name(
        &mut self,
        given: &str,
        name: &Reference,
        id: &ImageId,
        options: RemoveImage,
    ) -> Result<()> {
        if !options.force
            && is_single(&self.names.of_image(id))
            && let Some(container) = self.containers_of(id)?.first()
        {
            return Err(Error::conflict(format!(
                "conflict: unable to remove repository reference {given:?} (must force) - container {} is using its \
                 referenced image {}",
                container.short(),
                id.short()
            )));
        }
        self.untag(name);
        if !self.names.of_image(id).is_empty() {
            return Ok(());
        }
        self.delete(id, options.force, !options.no_prune, true)
    }

    /// Removes those of these images that no container uses, with all their names. One that others are built on
    /// loses only its names.
    pub fn prune(&mut self, images: &[ImageId]) -> Result<()> {
        for id in images {
            if self.gone.contains(&User::Image(*id)) || !self.containers_of(id)?.is_empty() {
                continue;
            }
            self.remove_all_names(id);
            self.delete(id, false, true, true)?;
        }
        Ok(())
    }

    /// Removes a name and what goes with it, see [`Repositories::remove`].
    fn untag(&mut self, name: &Reference) {
        let removed = self.names.remove(name);
        self.report.extend(removed.iter().map(|name| Removed::Untagged(name.familiar())));
    }

    fn remove_all_names(&mut self, id: &ImageId) {
        let mut names = self.names.of_image(id);
        in_dockers_order(&mut names);
        for name in &names {
            self.untag(name);
        }
    }

    /// Removes the image, its layers that nobody else uses, and its parents that were kept only for it. With `quiet`
    /// a conflict means that the image stays, and no more.
    fn delete(&mut self, id: &ImageId, force: bool, prune: bool, quiet: bool) -> Result<()> {
        let mut next = Some((*id, force, quiet));
        while let Some((id, force, quiet)) = next.take() {
            if let Some(conflict) = self.conflict(&id, if force { Respect::Hard } else { Respect::All })? {
                let dangling = self.names.of_image(&id).is_empty() && self.children_of(&id)?.is_empty();
                let tell = !quiet || (dangling && !conflict.used);
                return if tell { Err(Error::conflict(conflict.text)) } else { Ok(()) };
            }
            let parent = self.engine.store.images().parent(&id)?;
            self.remove_all_names(&id);
            self.report.push(Removed::Deleted(id.to_string()));
            self.images.push(id);
            self.gone.insert(User::Image(id));
            if let Some(config) = self.engine.find_sound_image(&id)? {
                let chains: Vec<_> = ChainId::each(config.diff_ids()).collect();
                self.release(chains.into_iter().rev())?;
            }
            let here = |parent: &ImageId| self.engine.store.images().exists(parent).unwrap_or(false);
            next = parent.filter(|parent| prune && here(parent)).map(|parent| (parent, false, true));
        }
        Ok(())
    }

    /// Removes these layers, given from the top, until one is needed.
    fn release(&mut self, layers: impl Iterator<Item = ChainId>) -> Result<()> {
        for chain in layers {
            if !self.remove_if_unused(&chain)? {
                break;
            }
            self.report.push(Removed::Deleted(chain.to_string()));
        }
        Ok(())
    }

    /// As [`release`](Self::release), where no image says what is below the layer. Nothing is reported.
    pub fn release_from(&mut self, top: &ChainId) -> Result<()> {
        let mut next = Some(*top);
        while let Some(chain) = next.take() {
            let below = match self.engine.store.layers().find(&chain) {
                Ok(record) => record.and_then(|record| record.parent),
                Err(store::Error::BrokenLayer { .. }) => None,
                Err(e) => return Err(e.into()),
            };
            if self.remove_if_unused(&chain)? {
                next = below;
            }
        }
        Ok(())
    }

    /// Plans the end of a layer that nobody uses; says whether it is one.
    pub fn remove_if_unused(&mut self, chain: &ChainId) -> Result<bool> {
        if self.gone.contains(&User::Layer(*chain)) || self.is_used(chain)? {
            return Ok(false);
        }
        let (cache_id, size) = match self.engine.store.layers().find(chain) {
            Ok(Some(record)) => (Some(record.cache_id), record.size),
            Ok(None) => return Ok(false),
            Err(store::Error::BrokenLayer { .. }) => (None, 0),
            Err(e) => return Err(e.into()),
        };
        self.gone.insert(User::Layer(*chain));
        self.layers.push(PlannedLayer { chain: *chain, cache_id, size });
        Ok(true)
    }

    fn is_used(&self, chain: &ChainId) -> Result<bool> {
        let left = self.uses.of_layer(chain)?.iter().any(|user| !self.gone.contains(user));
        Ok(left || self.build_cache.holds(chain))
    }

    fn children_of(&self, id: &ImageId) -> Result<Vec<ImageId>> {
        let users = self.uses.of_image(id)?.into_iter().filter(|user| !self.gone.contains(user));
        Ok(users.filter_map(|user| if let User::Image(child) = user { Some(child) } else { None }).collect())
    }

    /// Containers that were created from the image, by ID.
    fn containers_of(&self, id: &ImageId) -> Result<Vec<ContainerId>> {
        let users = self.uses.of_image(id)?.into_iter();
        let mut containers: Vec<_> =
            users.filter_map(|user| if let User::Container(id) = user { Some(id) } else { None }).collect();
        containers.sort_unstable();
        Ok(containers)
    }

    fn refuse(&self, id: &ImageId, respect: Respect) -> Result<()> {
        self.conflict(id, respect)?.map_or(Ok(()), |conflict| Err(Error::conflict(conflict.text)))
    }

    /// The first thing that stands against removing the image, in the order in which Docker looks.
    fn conflict(&self, id: &ImageId, respect: Respect) -> Result<Option<Conflict>> {
        let conflict = |force: &str, used, why: &str| {
            Some(Conflict {
                text: format!("conflict: unable to delete {} ({force}) - {why}", id.short()),
                used,
            })
        };
        if !self.children_of(id)?.is_empty() {
            return Ok(conflict("cannot be forced", false, "image has dependent child images"));
        }
        let mut stopped = None;
        for container in self.containers_of(id)? {
            match self.engine.store.containers().find(&container) {
                Ok(Some(found)) if found.state().running => {
                    let why = format!("image is being used by running container {}", container.short());
                    return Ok(conflict("cannot be forced", true, &why));
                }
                Ok(Some(_)) => stopped = stopped.or(Some(container)),
                Ok(None) | Err(store::Error::BrokenContainer { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        if respect == Respect::All && !self.names.of_image(id).is_empty() {
            return Ok(conflict("must be forced", false, "image is referenced in multiple repositories"));
        }
        match stopped.filter(|_| respect != Respect::Hard) {
            Some(container) => {
                let why = format!("image is being used by stopped container {}", container.short());
                Ok(conflict("must be forced", true, &why))
            }
            None => Ok(None),
        }
    }
}

/// Whether an image has one name: one tag at most, and all digests in the tag's repository.
fn is_single(names: &[Reference]) -> bool {
    let mut tags = names.iter().filter(|name| name.digest().is_none());
    let Some(first) = tags.next().or(names.first()) else { return false };
    tags.next().is_none() && names.iter().all(|name| name.familiar_name() == first.familiar_name())
}
