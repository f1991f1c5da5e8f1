//! The driver `btrfs`: each layer is a subvolume, made as a snapshot of its parent's (moby.md §9.3).
//!
//! ```text
//! <data root>/btrfs/             0710
//!   subvolumes/                  0710
//!     <id>                       the layer: a subvolume, never set read-only
//!   quotas/                      0700, made when the first layer gets a limit
//!     <id>                       0644: the layer's size limit in bytes, decimal; Docker applies it again at each mount
//! ```
//!
//! In a stage, a layer is a subvolume under its name, and its limit a file `.<id>.size` beside it. Staged and published
//! layers share all blocks that they did not change, files of different layers no memory: to the kernel they are
//! different files.
//!
//! A limit counts what the layer shares with others too, as Docker's does (moby.md §8.4).
//!
//! Docker binds the home onto itself, for the sake of mount propagation. This driver mounts nothing and need not.

mod limits;
mod probe;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use model::CacheId;
use sys::{BorrowedFd, Errno, OwnedFd, Root, btrfs, dir, meta, tree};

use self::limits::Limits;
use crate::config::Config;
use crate::driver::{Access, Capabilities, LayerKind, Stamp};
use crate::whole::{Home, Place, Shelf, Snapshots, Source, Whole, copy, layer_name};
use crate::{Damage, Error, Finding, Result, Stage, aside};

const NAME: &str = "btrfs";

/// Layers as subvolumes. Its format is described at the top of the source file.
pub type Btrfs = Whole<Subvolumes>;

/// Trees as snapshots of each other.
#[derive(Debug)]
pub struct Subvolumes {
    home: Home,
    /// `btrfs/subvolumes`, where the layers are.
    layers: Shelf,
    limits: Limits,
    /// Whether we may use quotas, and search the file system's trees: only root may.
    root: bool,
}

impl Btrfs {
    /// Opens the driver's home in the data root, and makes it if it is not there. Takes the option `btrfs.min_space`.
    ///
    /// # Errors
    /// [`Error::Option`]; [`Error::Prerequisite`] on another file system.
    pub fn open(config: &Config) -> Result<Self> {
        let mut min_space = 0;
        for option in config.options()? {
            match option.key.to_lowercase().as_str() {
                "btrfs.min_space" => min_space = option.size()?,
                key => return Err(Error::Option(format!("Unknown option {key}"))),
            }
        }
        Self::probe(config).map_err(|unmet| Error::prerequisite(NAME, unmet))?;
        let fd = dir::ensure(dir::open_path(&config.root)?, OsStr::new(NAME), 0o710)?;
        let home = Home { fd, path: config.root.join(NAME) };
        let layers = Shelf::open(&home, "subvolumes")?;
        let limits = Limits { min_space };
        let root = !config.user_namespace;
        Self::new(Subvolumes { home, layers, limits, root }, config.user_namespace).with_owners_of(config)
    }
}

impl Snapshots for Subvolumes {
    const NAME: &'static str = NAME;

    fn home(&self) -> &Home {
        &self.home
    }

    fn directory(&self, id: &CacheId) -> PathBuf {
        self.layers.path().join(id.as_str())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            whole_trees: true,
            independent_layers: false,
            page_cache_sharing: false,
            mounts: false,
            read_only_views: false,
            quota: self.root,
        }
    }

    /// Docker's since 23.0; before, the versions of btrfs-progs and its library.
    fn status(&self) -> Result<Vec<(String, String)>> {
        Ok(vec![("Btrfs".to_owned(), String::new())])
    }

    fn make(&self, stage: &Stage, id: &CacheId, from: Option<&Source<'_>>, kind: LayerKind) -> Result<()> {
        let size = match kind {
            LayerKind::Writable { size: Some(size) } => Some(self.limits.accept(size)?),
            _ => None,
        };
        if size.is_some() && !self.root {
            return Err(Error::Unsupported { driver: NAME, what: "only root can limit the size of a layer" });
        }
        let name = layer_name(id)?;
        match from {
            Some(from) => btrfs::snapshot(self.layers.source(from)?, stage, name)?,
            None => {
                btrfs::create(stage, name)?;
                meta::chmod(stage, name, 0o755)?;
            }
        }
        match size {
            Some(size) => self.limits.stage(&self.home, stage, id, size),
            None => Ok(()),
        }
    }

    fn root(&self, place: Place<'_>, id: &CacheId) -> Result<Option<Root>> {
        self.layers.root(place, id)
    }

    fn publish(&self, stage: &Stage, id: &CacheId) -> Result<()> {
        self.layers.publish(stage, id)?;
        // The layer first: a limit without a layer is garbage to any sweep.
        let published = limits::publish(&self.home, stage, id);
        if published.is_err() {
            let _ = self.layers.discard(&self.home, id);
        }
        published
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        self.layers.list()
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        self.layers.discard(&self.home, id)?;
        limits::forget(&self.home, id)
    }

    fn sync(&self) -> Result<()> {
        limits::sync(&self.home)?;
        self.layers.sync()
    }

    /// Subvolumes go at one stroke, those inside others too; without the right to that, file by file.
    fn remove(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        Ok(tree::remove_with(dir, name, &destroy)?)
    }

    fn tidy(&self) -> Result<()> {
        limits::tidy(&self.home, |id| self.exists(id))
    }

    /// The directory itself. A limit is applied again if it was lost, as Docker does: a copy of the data root has none.
    fn mount(&self, id: &CacheId, _access: Access) -> Result<PathBuf> {
        let root = self.layers.root(Place::Published, id)?.ok_or_else(|| Error::NoLayer(id.clone()))?;
        if self.root {
            self.limits.apply_again(&self.home, id, &root)?;
        }
        Ok(root.path().to_owned())
    }

    /// The file system knows when each inode changed; only what was written out is in its trees.
    fn touched(&self, new: &Root, old: &Root) -> Result<Option<HashSet<u64>>> {
        if !self.root || !btrfs::is_subvolume(&meta::of_fd(new)?) || !btrfs::is_subvolume(&meta::of_fd(old)?)
        {
            return Ok(None);
        }
        let snapshot = btrfs::info(new)?;
        if snapshot.parent != btrfs::info(old)?.uuid {
            return Ok(None);
        }
        dir::sync_fs(new)?;
        Ok(Some(btrfs::touched_since(new, snapshot.created)?))
    }

    /// What no other layer has of it, on the disk. Only where the layer has a limit is somebody sure to count. What was
    /// written is counted when it is written out: so that has to happen first.
    fn counted(&self, id: &CacheId) -> Result<Option<u64>> {
        if !self.root || limits::of(&self.home, id)?.is_none() {
            return Ok(None);
        }
        let Some(root) = self.layers.root(Place::Published, id)? else { return Ok(None) };
        dir::sync_fs(&root)?;
        let usage = btrfs::usage(&root, btrfs::subvolume_id(&root)?)?;
        Ok(usage.map(|usage| usage.exclusive))
    }

    /// The subvolume and its generation, which counts what was written out: so that has to happen first.
    fn stamp(&self, id: &CacheId) -> Result<Option<Stamp>> {
        let Some(root) = self.layers.root(Place::Published, id)? else { return Ok(None) };
        if !btrfs::is_subvolume(&meta::of_fd(&root)?) {
            return Ok(None);
        }
        dir::sync_fs(&root)?;
        let info = btrfs::info(&root)?;
        Ok(Some(Stamp::from_text(format!("{}.{}", info.id, info.generation))))
    }

    fn check(&self, id: &CacheId, _parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        let Some(root) = self.layers.root(Place::Published, id)? else { return Ok(Vec::new()) };
        if btrfs::is_subvolume(&meta::of_fd(&root)?) {
            return Ok(Vec::new());
        }
        Ok(vec![Finding { driver: NAME, layer: Some(id.clone()), damage: Damage::NoSubvolume }])
    }

    /// Gives a layer that is a mere directory a subvolume with the same files, sharing their blocks.
    fn repair(&self, finding: &Finding) -> Result<()> {
        let (Damage::NoSubvolume, Some(id)) = (&finding.damage, &finding.layer) else {
            return Err(Error::BeyondRepair(Box::new(finding.clone())));
        };
        if self.check(id, None)?.is_empty() {
            return Ok(());
        }
        let name = layer_name(id)?;
        let from = self.layers.root(Place::Published, id)?.ok_or_else(|| Error::NoLayer(id.clone()))?;
        let stage = aside::stage(&self.home.fd, &self.home.path)?;
        btrfs::create(&stage, name)?;
        copy::tree(&from, &Root::from_fd(dir::open(&stage, name)?, stage.path().join(name)), false)?;
        dir::sync_fs(&stage)?;
        dir::exchange(&stage, name, self.layers.fd(), name)?;
        self.layers.sync()?;
        stage.remove()
    }
}

/// Destroys a directory at one stroke if it is a subvolume. One that has others inside does not go, nor any without
/// the right to it.
fn destroy(dir: BorrowedFd<'_>, name: &OsStr) -> sys::Result<bool> {
    let found = meta::find(dir, name)?;
    if !found.is_some_and(|meta| btrfs::is_subvolume(&meta)) {
        return Ok(false);
    }
    // Without quotas, or on a new kernel, this says no, and nothing is left to forget.
    let _ = dir::open(dir, name)
        .and_then(|fd| btrfs::subvolume_id(&fd))
        .and_then(|id| btrfs::forget_usage(dir, id));
    match btrfs::destroy(dir, name) {
        Ok(()) => Ok(true),
        Err(e) if e.is_not_found() => Ok(true),
        Err(e) if matches!(e.errno, Errno::NOTEMPTY | Errno::PERM | Errno::ACCESS | Errno::INVAL) => {
            Ok(false)
        }
        Err(e) => Err(e),
    }
}
