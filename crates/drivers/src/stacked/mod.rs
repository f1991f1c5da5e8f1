//! What `overlay2` and `fuse-overlayfs` have in common: each layer keeps its own files only, and a [`Union`] makes one
//! tree of it and the layers below.
//!
//! The format is Docker's, file by file (moby.md §8, §9.4); the files of one layer are in [`layer`]. Beside the layers,
//! the home holds `l/`, where each layer has a short name, and `.layercake/` (see [`crate::aside`]).
//!
//! Where it does otherwise than Docker:
//!
//! - Layers are made aside and published by rename; `l/` gets the name after the layer is there, and loses it before
//!   the layer goes, so that a crash leaves a layer without a name, which is found, and no name without a layer.
//! - A view for reading has neither upper nor work directory: the layer stays as it is.
//! - Mounts are not counted. One that is there already is taken for the layer's own.
//! - `unmount` first tries to unmount for good. If a process still works in the tree it is detached as Docker does,
//!   but `merged` stays, as the sign that the layer may still change ([`Damage::StrayMerged`](crate::Damage)).

mod check;
mod layer;
mod limit;
mod mount;
mod stage;

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use changeset::{Applied, Applier, Change, DiffStats, Lowers, Marks, Whiteouts};
use model::{CacheId, LinkId};
use sys::mount::Branch;
use sys::{OwnedFd, Root, dir, tree};

use crate::config::Config;
use crate::driver::{Access, Capabilities, Driver, LayerKind, Unpack};
use crate::quota::Limits;
use crate::shifted::Shifted;
use crate::{Error, Finding, Result, Stage, Stamp, Swept, Unmet, aside, directories};
use layer::{DIFF, LINKS, Layer, MERGED, WORK};

/// What makes one tree of the directories of layers.
pub trait Union: fmt::Debug + Send + Sync + Sized {
    /// The driver's name, and that of its home.
    const NAME: &'static str;
    /// The mode of a layer's work directory.
    const WORK_MODE: u32;
    /// Docker's words for a layer whose size should be limited where that is not possible.
    const NO_QUOTA: &'static str;
    /// Whether the size of its layers can be limited, by the quotas of the home's file system.
    const LIMITS: bool;

    /// Reads the options of the driver.
    ///
    /// # Errors
    /// [`Error::Option`].
    fn new(config: &Config) -> Result<Self>;

    /// Refuses a file system that the union cannot use, as far as that can be seen in some microseconds.
    fn check_home(home: &OwnedFd, path: &Path) -> Result<()>;

    /// The limit of containers that have none of their own, in bytes; 0 for none.
    fn default_size(&self) -> u64 {
        0
    }

    /// See [`Driver::capabilities`]; whether there are quotas is for [`Stacked`] to say.
    fn capabilities(&self) -> Capabilities;

    /// How the layers of images keep deletions.
    fn whiteouts(&self) -> Whiteouts;

    /// Which marks of deletions it reads.
    fn marks(&self) -> Marks;

    /// See [`Driver::status`].
    fn status(&self, home: &OwnedFd, path: &Path) -> Result<Vec<(String, String)>>;

    /// Mounts on the directory `target`. A tree without an upper refuses writes.
    fn mount(&self, tree: Tree<'_>, target: &Path) -> Result<()>;

    /// After a mount with this work directory was unmounted for good: waits until nothing of it works on the layer any
    /// more. `false` if that does not come to pass, because the mount lives on in another mount namespace.
    fn has_ended(work: &OwnedFd) -> Result<bool>;
}

/// A tree to be mounted.
#[derive(Debug)]
pub struct Tree<'a> {
    /// The layers, nearest (top) first; at least one.
    pub lowers: Vec<Branch>,
    /// Upper and work directory.
    pub upper: Option<(Branch, Branch)>,
    /// The driver's home, where the paths of branches begin.
    pub home: &'a OwnedFd,
    /// Its path.
    pub path: &'a Path,
    /// The label of SELinux that all its files get; empty for none.
    pub label: &'a str,
}

/// A driver whose layers are stacked by `U`. Its format is described at the top of the source file.
#[derive(Debug)]
pub struct Stacked<U> {
    home: OwnedFd,
    path: PathBuf,
    links: OwnedFd,
    max_lowers: usize,
    user_namespace: bool,
    shifted: Option<Shifted>,
    union: U,
    limits: OnceLock<Result<Limits, Unmet>>,
}

impl<U: Union> Stacked<U> {
    /// Opens the driver's home in the data root, and makes it if it is not there (0710, `l/` 0700).
    ///
    /// # Errors
    /// [`Error::Option`]; [`Error::Prerequisite`] for a file system that the union cannot use.
    pub fn open(config: &Config) -> Result<Self> {
        let union = U::new(config)?;
        let home = dir::ensure(dir::open_path(&config.root)?, OsStr::new(U::NAME), 0o710)?;
        let path = config.root.join(U::NAME);
        U::check_home(&home, &path)?;
        let shifted = config.shift.as_ref().map(|shift| Shifted::open(shift, &path)).transpose()?;
        if let Some(shifted) = &shifted {
            shifted.let_pass(&home)?;
        }
        let links = dir::ensure(&home, OsStr::new(LINKS), 0o700)?;
        let opened = Self {
            home,
            path,
            links,
            max_lowers: config.max_lowers,
            user_namespace: config.user_namespace,
            shifted,
            union,
            limits: OnceLock::new(),
        };
        if opened.union.default_size() > 0
            && let Err(unmet) = opened.limits()?
        {
            return Err(Error::Option(format!(
                "Storage option {}.size not supported. Filesystem does not support Project Quota: {unmet}",
                U::NAME
            )));
        }
        Ok(opened)
    }

    /// The quotas of the home's file system, or why there are none.
    fn limits(&self) -> Result<Result<&Limits, &Unmet>> {
        let limits = match self.limits.get() {
            Some(limits) => limits,
            None => {
                let found = Limits::of(&self.home, &self.path, self.user_namespace)?;
                self.limits.get_or_init(|| found)
            }
        };
        Ok(limits.as_ref())
    }

    /// The published layer.
    fn published(&self, id: &CacheId) -> Result<Layer> {
        let missing = || Error::NoLayer(id.clone());
        self.layer_in(&self.home, &self.path, id)?.ok_or_else(missing)
    }

    /// The layer in the stage.
    fn staged(&self, stage: &Stage, id: &CacheId) -> Result<Layer> {
        self.layer_in(stage.fd(), stage.path(), id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    /// The layer in the stage, else the published one.
    fn find(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Layer> {
        if let Some(stage) = stage
            && let Some(layer) = self.layer_in(stage.fd(), stage.path(), id)?
        {
            return Ok(layer);
        }
        self.published(id)
    }

    fn layer_in(&self, parent: &OwnedFd, path: &Path, id: &CacheId) -> Result<Option<Layer>> {
        let name = layer_name(id)?;
        match dir::open(parent, name) {
            Ok(fd) => {
                let path = path.join(name);
                let shown = self.shifted.as_ref().map(|shifted| shifted.show(&path)).transpose()?;
                Ok(Some(Layer { driver: U::NAME, id: id.clone(), fd, shown, path }))
            }
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The layer that has this short name.
    fn resolve(&self, link: &LinkId) -> Result<Option<CacheId>> {
        match dir::read_link(&self.links, OsStr::new(&link.to_string())) {
            Ok(target) => Ok(layer::parse_target(&target)),
            Err(e) if e.is_not_found() || e.errno == sys::Errno::INVAL => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The lowers of a layer, nearest first, by short name and id.
    fn lowers(&self, stage: Option<&Stage>, layer: &Layer) -> Result<Vec<(LinkId, CacheId)>> {
        let links = layer.lower()?.unwrap_or_default();
        links.into_iter().map(|link| Ok((link, self.lower_id(stage, layer, link)?))).collect()
    }

    /// The layer that `lower` of `layer` names so.
    fn lower_id(&self, stage: Option<&Stage>, layer: &Layer, link: LinkId) -> Result<CacheId> {
        let id = match stage.and_then(|stage| stage.linked(&link)) {
            Some(id) => Some(id),
            None => self.resolve(&link)?,
        };
        id.ok_or_else(|| layer.finding(crate::Damage::DanglingLower(link)).into())
    }
}

/// The name of a layer's directory; the home has other names too.
fn layer_name(id: &CacheId) -> Result<&OsStr> {
    if id.as_str() == LINKS || aside::is_hidden(id.as_str()) {
        return Err(Error::Reserved(id.clone()));
    }
    Ok(OsStr::new(id.as_str()))
}

impl<U: Union> Driver for Stacked<U> {
    fn name(&self) -> &'static str {
        U::NAME
    }

    fn home(&self) -> &Path {
        &self.path
    }

    fn capabilities(&self) -> Capabilities {
        let quota = U::LIMITS && self.limits().is_ok_and(|limits| limits.is_ok());
        Capabilities { quota, ..self.union.capabilities() }
    }

    fn shifts_owners(&self) -> bool {
        true
    }

    fn status(&self) -> Result<Vec<(String, String)>> {
        let mut lines = self.union.status(&self.home, &self.path)?;
        if self.union.default_size() > 0 {
            lines.push(("Size Limit".to_owned(), model::size::binary(self.union.default_size())));
        }
        Ok(lines)
    }

    fn stage(&self) -> Result<Stage> {
        aside::stage(&self.home, &self.path)
    }

    fn prepare(&self, stage: &Stage, id: &CacheId, parent: Option<&CacheId>, kind: LayerKind) -> Result<()> {
        self.prepare_layer(stage, id, parent, kind)
    }

    fn rebase(&self, stage: &Stage, id: &CacheId, parent: &CacheId) -> Result<()> {
        self.rebase_layer(stage, id, parent)
    }

    fn applier(&self, stage: &Stage, id: &CacheId, unpack: &Unpack) -> Result<Applier> {
        self.applier_of(stage, id, unpack)
    }

    fn finish(&self, stage: &Stage, id: &CacheId, applied: Applied) -> Result<u64> {
        self.finish_layer(stage, id, applied)
    }

    fn staged_root(&self, stage: &Stage, id: &CacheId) -> Result<Root> {
        self.staged(stage, id)?.root()
    }

    fn view(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Lowers> {
        self.view_of(stage, &self.find(stage, id)?)
    }

    fn publish(&self, stage: &Stage, ids: &[CacheId]) -> Result<()> {
        self.publish_layers(stage, ids)
    }

    fn exists(&self, id: &CacheId) -> Result<bool> {
        Ok(self.layer_in(&self.home, &self.path, id)?.is_some())
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        directories::list(&self.home, |id| layer_name(id).is_ok())
    }

    fn layer_root(&self, id: &CacheId) -> Result<Root> {
        self.published(id)?.root()
    }

    fn mount(&self, id: &CacheId, access: Access) -> Result<PathBuf> {
        self.mount_layer(id, access, "")
    }

    fn mount_labeled(&self, id: &CacheId, access: Access, label: &str) -> Result<PathBuf> {
        self.mount_layer(id, access, label)
    }

    fn unmount(&self, id: &CacheId) -> Result<bool> {
        self.unmount_layer(&self.published(id)?)
    }

    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>> {
        self.published(id)?.mount_point().mounted()
    }

    fn changes(&self, id: &CacheId, _parent: Option<&CacheId>) -> Result<Vec<Change>> {
        let layer = self.published(id)?;
        let lowers = self.lowers_of(None, &layer)?;
        Ok(changeset::changes::upper_changes(&layer.root()?, &lowers, self.union.marks())?)
    }

    fn diff(&self, id: &CacheId, _parent: Option<&CacheId>, out: &mut dyn Write) -> Result<DiffStats> {
        Ok(changeset::diff::write_upper(&self.published(id)?.root()?, self.union.marks(), out)?)
    }

    fn usage(&self, id: &CacheId, _parent: Option<&CacheId>) -> Result<u64> {
        Ok(tree::size(self.published(id)?.root()?)?)
    }

    fn counted(&self, id: &CacheId) -> Result<Option<u64>> {
        if !U::LIMITS || self.limits()?.is_err() {
            return Ok(None);
        }
        self.counted_size(&self.published(id)?)
    }

    fn usage_stamp(&self, id: &CacheId) -> Result<Option<Stamp>> {
        self.stamp(&self.published(id)?)
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        let layer = self.published(id)?;
        let lowers = self.lowers(None, &layer)?;
        let path = |id: &CacheId, name: &str| format!("{}/{id}/{name}", self.path.display());
        let mut data = Vec::with_capacity(4);
        if !lowers.is_empty() {
            let dirs: Vec<String> = lowers.iter().map(|(_, lower)| path(lower, DIFF)).collect();
            data.push(("LowerDir".to_owned(), dirs.join(":")));
        }
        for (key, name) in [("MergedDir", MERGED), ("UpperDir", DIFF), ("WorkDir", WORK)] {
            data.push((key.to_owned(), path(id, name)));
        }
        Ok(data)
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        let Some(layer) = self.layer_in(&self.home, &self.path, id)? else { return Ok(()) };
        self.discard_layer(&layer)
    }

    fn sync(&self) -> Result<()> {
        // Short names first: one that leads to no layer would stay for ever.
        dir::sync(&self.links)?;
        Ok(dir::sync(&self.home)?)
    }

    fn has_trash(&self) -> Result<bool> {
        aside::has_trash(&self.home)
    }

    fn sweep(&self) -> Result<Swept> {
        aside::sweep(&self.home, &self.path)
    }

    fn check(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        self.check_layer(id, parent)
    }

    fn check_home(&self) -> Result<Vec<Finding>> {
        self.check_links()
    }

    fn repair(&self, finding: &Finding) -> Result<()> {
        self.repair_damage(finding)
    }
}
