//! What a migration would take.

use std::ffi::OsStr;

use drivers::{Driver, LayerKind, Stage};
use model::{CacheId, ChainId};
use sys::{Root, dir, file, meta};

use super::plan::Plan;
use super::{MigrateOptions, finish};
use crate::layers::new_cache_id;
use crate::{Engine, Result};

/// What a migration would move, and what that would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// The storage driver that has the store.
    pub from: String,
    /// The one that would get it.
    pub to: String,
    /// Images.
    pub images: usize,
    /// Containers.
    pub containers: usize,
    /// Layers of images.
    pub layers: usize,
    /// Bytes in the files of all layers, those of containers too.
    pub bytes: u64,
    /// How the new driver would get them.
    pub sharing: Sharing,
    /// Whether each layer would be a copy of the one below it first, which takes that one's space once more.
    pub copies_parents: bool,
    /// Bytes that would be written, at most.
    pub written: u64,
}

/// How two drivers have the content of a file in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// As one file with two names.
    Links,
    /// As two files with the same blocks.
    Clones,
    /// Not at all: it is copied.
    Nothing,
}

impl Engine {
    /// Looks what a migration would take. The new driver is tried out in a scratch directory, of which nothing stays.
    ///
    /// # Errors
    /// Whatever stands against the migration, as far as it can be seen now.
    pub fn estimate_migration(&self, options: &MigrateOptions) -> Result<Estimate> {
        let record = self.migration_to(options)?;
        let plan = Plan::read(self)?;
        drop(self.claim_containers()?);
        let (sharing, copies_parents) = self.try_out(&record.to)?;
        let mut estimate = Estimate {
            from: record.from.driver,
            to: record.to.driver,
            images: plan.images.len(),
            containers: plan.containers.len(),
            layers: plan.layers.len(),
            bytes: 0,
            sharing,
            copies_parents,
            written: 0,
        };
        for layer in &plan.layers {
            estimate.add(layer.size, plan.sizes_below(layer.parent.as_ref()));
        }
        for container in &plan.containers {
            let below = plan.sizes_below(container.mount.parent.as_ref());
            let init = container.mount.init_id.map(CacheId::from);
            if let Some(init) = &init {
                let parent = plan.cache_id(container.mount.parent.as_ref());
                estimate.add(self.driver.usage(init, parent.as_ref())?, below);
            }
            let parent = init.or_else(|| plan.cache_id(container.mount.parent.as_ref()));
            estimate.add(self.driver.usage(&container.mount.mount_id.into(), parent.as_ref())?, below);
        }
        Ok(estimate)
    }

    /// How layers of the other driver come by what is in ours, and in their parents.
    fn try_out(&self, to: &store::Side) -> Result<(Sharing, bool)> {
        let work = self.store.begin()?;
        let place = work.scratch_dir()?;
        let other = self.beside(&place, to)?;
        let tried = self.try_sharing(&*other.driver);
        drop(other);
        finish::destroy(&self.config, to, &place)?;
        work.finish()?;
        tried
    }

    fn try_sharing(&self, other: &dyn Driver) -> Result<(Sharing, bool)> {
        let (ours, theirs) = (self.driver.stage()?, other.stage()?);
        let from = base(&*self.driver, &ours)?.1;
        let (parent, to) = base(other, &theirs)?;
        let content = [b'x'; 8192];
        let name = OsStr::new("file");
        file::write_all(dir::create_file(&from, name, 0o644)?, &content)?;
        let sharing = share(&from, &to, name, content.len() as u64)?;
        if sharing == Sharing::Nothing {
            file::write_all(dir::create_file(&to, name, 0o644)?, &content)?;
        }
        let child = new_cache_id();
        other.prepare(&theirs, &child, Some(&parent), LayerKind::Writable { size: None })?;
        let inherited = meta::find(other.staged_root(&theirs, &child)?, name)?;
        // A snapshot keeps the number of a file, and where there are clones, a copy is one.
        let same = |ino| meta::find(&to, name).map(|own| own.is_some_and(|own| own.ino == ino));
        let copied = inherited.map(|found| same(found.ino)).transpose()?.is_some_and(|same| !same);
        let clones = copied && share_again(&to, name, content.len() as u64)?;
        ours.remove()?;
        theirs.remove()?;
        Ok((sharing, copied && !clones))
    }
}

impl Estimate {
    /// Adds a layer of so many bytes, on top of so many.
    fn add(&mut self, own: u64, below: u64) {
        self.bytes += own;
        self.written += if self.sharing == Sharing::Nothing { own } else { 0 };
        self.written += if self.copies_parents { below } else { 0 };
    }
}

/// An empty layer that nobody will publish.
fn base(driver: &dyn Driver, stage: &Stage) -> Result<(CacheId, Root)> {
    let id = new_cache_id();
    driver.prepare(stage, &id, None, LayerKind::ReadOnly)?;
    let root = driver.staged_root(stage, &id)?;
    Ok((id, root))
}

fn share(from: &Root, to: &Root, name: &OsStr, size: u64) -> Result<Sharing> {
    if dir::link(from, name, to, name).is_ok() {
        return Ok(Sharing::Links);
    }
    let copy = dir::create_file(to, name, 0o644)?;
    let shared = file::share(dir::open_file(from, name)?, copy, size)?;
    if !shared {
        dir::unlink(to, name)?;
    }
    Ok(if shared { Sharing::Clones } else { Sharing::Nothing })
}

/// Whether a copy beside the file would have the same blocks.
fn share_again(dir: &Root, name: &OsStr, size: u64) -> Result<bool> {
    let copy = dir::create_file(dir, OsStr::new("copy"), 0o644)?;
    Ok(file::share(dir::open_file(dir, name)?, copy, size)?)
}

impl Plan {
    /// Bytes in the layer of this chain and all below it.
    fn sizes_below(&self, chain: Option<&ChainId>) -> u64 {
        let mut sum = 0;
        let mut next = chain.copied();
        while let Some(layer) = next.and_then(|chain| self.layers.iter().find(|layer| layer.chain == chain)) {
            sum += layer.size;
            next = layer.parent;
        }
        sum
    }

    fn cache_id(&self, chain: Option<&ChainId>) -> Option<CacheId> {
        let layer = self.layers.iter().find(|layer| Some(&layer.chain) == chain);
        layer.map(|layer| layer.cache_id.clone())
    }
}
