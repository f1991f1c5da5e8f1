//! What drivers have in common whose layer is a whole tree: the parent's, and its own changes made in it.
//!
//! [`Whole`] is the driver; how trees are made of each other, and where they are, is the business of its
//! [`Snapshots`]: copies (`vfs`), subvolumes (`btrfs`), and whatever else can make one tree look like another.
//!
//! What follows from whole trees, for all of them: a layer's parent must be complete before the layer is prepared, for
//! it is what the layer starts as; an archive's deletions delete; and what a layer changes is known by comparing two
//! trees.

pub(crate) mod copy;
mod points;
mod shelf;
mod snapshots;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use changeset::{Applied, Applier, Change, ChangeKind, DiffStats, Lowers, Whiteouts, XattrSpace, changes};
use model::CacheId;
use sys::{FileKind, OwnedFd, Root, dir, meta};

use crate::config::Config;
use crate::driver::{Access, Capabilities, Driver, LayerKind, Stamp, Unpack};
use crate::shifted::Shifted;
use crate::{Damage, Error, Finding, Result, Stage, Swept, aside, directories};

pub(crate) use points::{Ended, MountPoints};
pub(crate) use shelf::Shelf;
pub use snapshots::{Home, Place, Snapshots, Source};

/// A driver whose layers are whole trees.
#[derive(Debug)]
pub struct Whole<S> {
    snapshots: Arc<S>,
    user_namespace: bool,
    shifted: Option<Shifted>,
}

impl<S: Snapshots> Whole<S> {
    /// A driver of these trees. In a user namespace not every owner can be set, and no device be made.
    pub(crate) fn new(snapshots: S, user_namespace: bool) -> Self {
        Self { snapshots: Arc::new(snapshots), user_namespace, shifted: None }
    }

    /// The same with owners shifted as the configuration says: for trees that are directories of the home.
    ///
    /// # Errors
    /// [`Error::NoShift`].
    pub(crate) fn with_owners_of(mut self, config: &Config) -> Result<Self> {
        let Home { fd, path } = self.snapshots.home();
        self.shifted = config.shift.as_ref().map(|shift| Shifted::open(shift, path)).transpose()?;
        if let Some(shifted) = &self.shifted {
            shifted.let_pass(fd)?;
        }
        Ok(self)
    }

    /// A layer's root, with the owners that containers see.
    fn root_at(&self, place: Place<'_>, id: &CacheId) -> Result<Root> {
        let root = self.plain_root_at(place, id)?;
        match &self.shifted {
            Some(shifted) => Ok(Root::from_fd(shifted.show(root.path())?, root.path())),
            None => Ok(root),
        }
    }

    /// A layer's root, with the owners that the disk has.
    fn plain_root_at(&self, place: Place<'_>, id: &CacheId) -> Result<Root> {
        layer_name(id)?;
        self.snapshots.root(place, id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    fn published(&self, id: &CacheId) -> Result<Root> {
        self.root_at(Place::Published, id)
    }

    /// Says so if the layer is not there.
    fn require(&self, id: &CacheId) -> Result<()> {
        if self.exists(id)? { Ok(()) } else { Err(Error::NoLayer(id.clone())) }
    }

    /// Where a layer is: in this stage, or else among the published.
    fn place<'a>(stage: Option<&'a Stage>, id: &CacheId) -> Result<Place<'a>> {
        Ok(match stage {
            Some(stage) if stage.contains(id)? => Place::Staged(stage),
            _ => Place::Published,
        })
    }

    fn changes_of(&self, root: &Root, parent: Option<&CacheId>) -> Result<Vec<Change>> {
        let Some(parent) = parent else {
            // A base is its own difference to nothing.
            return Ok(changes::upper_changes(root, &Lowers::default(), XattrSpace::Trusted)?);
        };
        let old = self.published(parent)?;
        Ok(match self.snapshots.touched(root, &old)? {
            Some(touched) => changes::snapshot_changes(root, old, &touched)?,
            None => changes::tree_changes(root, old)?,
        })
    }
}

/// The name under which a layer lies on the disk.
pub(crate) fn layer_name(id: &CacheId) -> Result<&OsStr> {
    if aside::is_hidden(id.as_str()) {
        return Err(Error::Reserved(id.clone()));
    }
    Ok(OsStr::new(id.as_str()))
}

impl<S: Snapshots> Driver for Whole<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn home(&self) -> &Path {
        &self.snapshots.home().path
    }

    fn directory(&self, id: &CacheId) -> PathBuf {
        self.snapshots.directory(id)
    }

    fn capabilities(&self) -> Capabilities {
        self.snapshots.capabilities()
    }

    fn shifts_owners(&self) -> bool {
        self.shifted.is_some()
    }

    fn status(&self) -> Result<Vec<(String, String)>> {
        self.snapshots.status()
    }

    fn stage(&self) -> Result<Stage> {
        let Home { fd, path } = self.snapshots.home();
        aside::stage_with(fd, path, Arc::new(Trash(self.snapshots.clone())))
    }

    fn prepare(&self, stage: &Stage, id: &CacheId, parent: Option<&CacheId>, kind: LayerKind) -> Result<()> {
        let name = layer_name(id)?;
        if self.exists(id)? || stage.contains(id)? {
            return Err(Error::Exists(id.clone()));
        }
        let from = match parent {
            Some(parent) => {
                let place = Self::place(Some(stage), parent)?;
                if matches!(place, Place::Published) {
                    self.require(parent)?;
                }
                Some(Source { place, id: parent })
            }
            None => None,
        };
        let made = self.snapshots.make(stage, id, from.as_ref(), kind).and_then(|()| match &self.shifted {
            Some(shifted) if from.is_none() => shifted.give(self.plain_root_at(Place::Staged(stage), id)?),
            _ => Ok(()),
        });
        if made.is_err() {
            let _ = self.snapshots.remove(stage.fd(), name);
        }
        made
    }

    fn rebase(&self, _stage: &Stage, _id: &CacheId, _parent: &CacheId) -> Result<()> {
        Err(Error::Unsupported { driver: S::NAME, what: "layers do not refer to their parents" })
    }

    fn applier(&self, stage: &Stage, id: &CacheId, unpack: &Unpack) -> Result<Applier> {
        let root = self.staged_root(stage, id)?;
        let options = unpack.options(Whiteouts::Delete, self.user_namespace);
        Ok(Applier::new(dir::reopen(&root)?, options)?)
    }

    fn finish(&self, stage: &Stage, id: &CacheId, applied: Applied) -> Result<u64> {
        if !stage.contains(id)? {
            return Err(Error::NoLayer(id.clone()));
        }
        Ok(applied.size)
    }

    fn staged_root(&self, stage: &Stage, id: &CacheId) -> Result<Root> {
        self.root_at(Place::Staged(stage), id)
    }

    fn view(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Lowers> {
        Ok(Lowers::tree(self.root_at(Self::place(stage, id)?, id)?))
    }

    fn publish(&self, stage: &Stage, ids: &[CacheId]) -> Result<()> {
        let publish = |id: &CacheId| layer_name(id).and_then(|_| self.snapshots.publish(stage, id));
        directories::publish_all(ids, publish, || self.snapshots.sync(), |id| self.discard(id))
    }

    fn exists(&self, id: &CacheId) -> Result<bool> {
        layer_name(id)?;
        self.snapshots.exists(id)
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        self.snapshots.list()
    }

    fn layer_root(&self, id: &CacheId) -> Result<Root> {
        self.published(id)
    }

    fn mount(&self, id: &CacheId, access: Access) -> Result<PathBuf> {
        self.require(id)?;
        let path = self.snapshots.mount(id, access)?;
        if let Some(shifted) = &self.shifted {
            let above = path.ancestors().skip(1).take_while(|dir| dir.starts_with(self.home()));
            above.map(dir::open_path).try_for_each(|dir| shifted.let_pass(dir?))?;
        }
        Ok(path)
    }

    fn unmount(&self, id: &CacheId) -> Result<bool> {
        self.require(id)?;
        self.snapshots.unmount(id)
    }

    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>> {
        self.require(id)?;
        self.snapshots.mounted(id)
    }

    fn changes(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Change>> {
        self.changes_of(&self.published(id)?, parent)
    }

    fn diff(&self, id: &CacheId, parent: Option<&CacheId>, out: &mut dyn Write) -> Result<DiffStats> {
        let root = self.published(id)?;
        Ok(match parent {
            Some(_) => changeset::diff::write_changes(&root, self.changes_of(&root, parent)?, out)?,
            None => changeset::diff::write_upper(&root, XattrSpace::Trusted, out)?,
        })
    }

    fn usage(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<u64> {
        let root = self.published(id)?;
        let mut seen = HashSet::new();
        let mut total = 0;
        for change in self.changes_of(&root, parent)? {
            if change.kind == ChangeKind::Deleted {
                continue;
            }
            let (dir, name) = root.parent(&change.path)?;
            if let Some(meta) = meta::find(dir, &name)?
                && meta.kind != FileKind::Dir
                && seen.insert((meta.dev, meta.ino))
            {
                total += meta.size;
            }
        }
        Ok(total)
    }

    fn counted(&self, id: &CacheId) -> Result<Option<u64>> {
        self.require(id)?;
        self.snapshots.counted(id)
    }

    fn usage_stamp(&self, id: &CacheId) -> Result<Option<Stamp>> {
        self.require(id)?;
        self.snapshots.stamp(id)
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        self.require(id)?;
        self.snapshots.metadata(id)
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        layer_name(id)?;
        self.snapshots.discard(id)
    }

    fn sync(&self) -> Result<()> {
        self.snapshots.sync()
    }

    fn sync_stage(&self, stage: &Stage) -> Result<()> {
        self.snapshots.sync_stage(stage)
    }

    fn has_trash(&self) -> Result<bool> {
        aside::has_trash(&self.snapshots.home().fd)
    }

    fn sweep(&self) -> Result<Swept> {
        let Home { fd, path } = self.snapshots.home();
        let swept = aside::sweep_with(fd, path, &Trash(self.snapshots.clone()))?;
        self.snapshots.tidy()?;
        Ok(swept)
    }

    fn check(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        if self.exists(id)? {
            return self.snapshots.check(id, parent);
        }
        Ok(vec![Finding { driver: S::NAME, layer: Some(id.clone()), damage: Damage::NoDirectory }])
    }

    fn check_home(&self) -> Result<Vec<Finding>> {
        self.snapshots.check_home()
    }

    fn repair(&self, finding: &Finding) -> Result<()> {
        self.snapshots.repair(finding)
    }
}

/// What removes stages and discarded layers: the trees know how.
struct Trash<S>(Arc<S>);

impl<S: Snapshots> aside::Remove for Trash<S> {
    fn remove(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        self.0.remove(dir, name)
    }
}

impl<S> fmt::Debug for Trash<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trash")
    }
}
