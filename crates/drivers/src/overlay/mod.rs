//! The driver `overlay`, the predecessor of `overlay2` (moby.md §9.1): an image's layer is the whole tree, whose regular
//! files are hard links to those of the layer below; a container's layer is the upper directory of an overlay with
//! exactly one lower, the tree of its image. Files take space once, directories once for each layer.
//!
//! The files of one layer are in [`layer`]; beside the layers the home holds `.layercake/` (see [`crate::aside`]).
//!
//! Where it does otherwise than Docker:
//!
//! - Layers are made aside and published by rename.
//! - A tree for reading refuses writes, an image's, too.
//! - What changed is read from the upper directory; Docker compares whole trees.
//! - A link that would be one too many for the file system becomes a copy; Docker fails.

mod check;
mod compare;
mod layer;
mod merge;
mod mount;
mod stage;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use changeset::{Applied, Applier, Change, DiffStats, Lowers, XattrSpace};
use model::CacheId;
use sys::{OwnedFd, Root, dir, tree};

use crate::config::Config;
use crate::driver::{Access, Capabilities, Driver, LayerKind, Unpack};
use crate::overlay2::{KernelOverlay, overlays_work};
use crate::prerequisite::require_kernel;
use crate::stacked::Union;
use crate::whole::layer_name;
use crate::{Error, Finding, Result, Stage, Stamp, Swept, Unmet, aside, backing, directories};
use compare::Copied;
use layer::{Form, Layer, MERGED, ROOT, UPPER, WORK};

const NAME: &str = "overlay";

/// Image layers as trees of hard links, containers as overlays on them. Its format is described at the top of the source
/// file.
#[derive(Debug)]
pub struct LegacyOverlay {
    home: OwnedFd,
    path: PathBuf,
    user_namespace: bool,
    kernel: KernelOverlay,
}

impl LegacyOverlay {
    /// Opens the driver's home in the data root, and makes it if it is not there (0710).
    ///
    /// # Errors
    /// [`Error::Option`]: it takes none. [`Error::Prerequisite`] for a file system that OverlayFS cannot use.
    pub fn open(config: &Config) -> Result<Self> {
        if let Some(option) = config.options()?.first() {
            return Err(Error::Option(format!("overlay: unknown option {}", option.key.to_lowercase())));
        }
        let root = dir::open_path(&config.root)?;
        let home = dir::ensure(&root, OsStr::new(NAME), 0o710)?;
        backing::require_ftype(&home, &config.root)?.map_err(|unmet| Error::prerequisite(NAME, unmet))?;
        let kernel = KernelOverlay::plain(config.user_namespace);
        let path = config.root.join(NAME);
        Ok(Self { home, path, user_namespace: config.user_namespace, kernel })
    }

    /// Whether this process can mount overlays here. 3.18 is the first kernel that has them.
    pub(crate) fn probe(config: &Config) -> Result<(), Unmet> {
        require_kernel(&sys::process::kernel_release(), 3, 18)?;
        overlays_work(config)
    }

    fn published(&self, id: &CacheId) -> Result<Layer> {
        self.layer_in(&self.home, &self.path, id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    fn staged(&self, stage: &Stage, id: &CacheId) -> Result<Layer> {
        self.layer_in(stage.fd(), stage.path(), id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    /// The layer in the stage, else the published one.
    fn find(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Layer> {
        match stage {
            Some(stage) if stage.contains(id)? => self.staged(stage, id),
            _ => self.published(id),
        }
    }

    fn layer_in(&self, parent: &OwnedFd, path: &Path, id: &CacheId) -> Result<Option<Layer>> {
        let name = layer_name(id)?;
        match dir::open(parent, name) {
            Ok(fd) => Ok(Some(Layer { id: id.clone(), fd, path: path.join(name) })),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The tree that `layer` says is below it.
    fn lower_tree(&self, stage: Option<&Stage>, layer: &Layer, lower: &CacheId) -> Result<Root> {
        let missing = || layer.finding(crate::Damage::NoLower(lower.clone()));
        let below = match self.find(stage, lower) {
            Err(Error::NoLayer(_)) => return Err(missing().into()),
            other => other?,
        };
        match below.form()? {
            Form::Tree(root) => Ok(root),
            Form::Upper { .. } => Err(missing().into()),
        }
    }

    fn view_of(&self, stage: Option<&Stage>, layer: &Layer) -> Result<Lowers> {
        Ok(match layer.form()? {
            Form::Tree(root) => Lowers::tree(root),
            Form::Upper { upper, lower } => {
                Lowers::new(vec![upper, self.lower_tree(stage, layer, &lower)?], self.marks())
            }
        })
    }

    /// What a layer's changes are told by.
    fn compared(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Compared> {
        let layer = self.published(id)?;
        Ok(match (layer.form()?, parent) {
            (Form::Tree(root), None) => Compared::Trees(root, None),
            (Form::Tree(root), Some(parent)) => Compared::Trees(root, Some(self.whole_tree(parent)?)),
            (Form::Upper { upper, lower }, Some(parent)) if lower != *parent => {
                let parent = self.published(parent)?;
                let (view, below) = (self.view_of(None, &layer)?, self.view_of(None, &parent)?);
                let origin = parent.form()?.into_files();
                Compared::Copy(Copied { upper, view, origin, below })
            }
            (Form::Upper { upper, lower }, _) => {
                let below = self.lower_tree(None, &layer, &lower)?;
                Compared::Upper(upper, Lowers::tree(below))
            }
        })
    }

    fn marks(&self) -> XattrSpace {
        if self.user_namespace { XattrSpace::User } else { XattrSpace::Trusted }
    }
}

/// A layer, and what it is to be compared with.
enum Compared {
    /// Whole trees. The second is a copy in a stage, if the parent is no tree itself.
    Trees(Root, Option<stage::Whole>),
    /// An upper directory, and the tree right below it: all that is in it is a change.
    Upper(Root, Lowers),
    /// An upper directory that began as a copy of its parent's.
    Copy(Copied),
}

impl Driver for LegacyOverlay {
    fn name(&self) -> &'static str {
        NAME
    }

    fn home(&self) -> &Path {
        &self.path
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { whole_trees: true, independent_layers: false, ..self.kernel.capabilities() }
    }

    fn status(&self) -> Result<Vec<(String, String)>> {
        let lines = self.kernel.status(&self.home, &self.path)?;
        Ok(lines
            .into_iter()
            .filter(|(name, _)| name.starts_with("Backing") || name.contains("d_type"))
            .collect())
    }

    fn stage(&self) -> Result<Stage> {
        aside::stage(&self.home, &self.path)
    }

    fn prepare(&self, stage: &Stage, id: &CacheId, parent: Option<&CacheId>, kind: LayerKind) -> Result<()> {
        self.prepare_layer(stage, id, parent, kind)
    }

    fn rebase(&self, _stage: &Stage, _id: &CacheId, _parent: &CacheId) -> Result<()> {
        Err(Error::Unsupported { driver: NAME, what: "layers do not refer to their parents" })
    }

    fn applier(&self, stage: &Stage, id: &CacheId, unpack: &Unpack) -> Result<Applier> {
        self.applier_of(&self.staged(stage, id)?, unpack)
    }

    fn finish(&self, stage: &Stage, id: &CacheId, applied: Applied) -> Result<u64> {
        self.finish_layer(stage, &self.staged(stage, id)?, &applied)
    }

    fn staged_root(&self, stage: &Stage, id: &CacheId) -> Result<Root> {
        Ok(self.staged(stage, id)?.form()?.into_files())
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

    fn seal(&self, id: &CacheId) -> Result<()> {
        self.seal_layer(&self.published(id)?)
    }

    fn layer_root(&self, id: &CacheId) -> Result<Root> {
        Ok(self.published(id)?.form()?.into_files())
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

    fn changes(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Change>> {
        Ok(match self.compared(id, parent)? {
            Compared::Trees(root, below) => {
                changeset::changes::tree_changes(&root, below.as_ref().map(stage::Whole::root).transpose()?)?
            }
            Compared::Upper(upper, below) => changeset::changes::upper_changes(&upper, &below, self.marks())?,
            Compared::Copy(copied) => copied.changes(self.marks())?,
        })
    }

    fn diff(&self, id: &CacheId, parent: Option<&CacheId>, out: &mut dyn Write) -> Result<DiffStats> {
        Ok(match self.compared(id, parent)? {
            Compared::Trees(root, None) => changeset::diff::write_upper(&root, self.marks(), out)?,
            Compared::Trees(root, Some(below)) => {
                changeset::diff::write_tree_diff(&root, below.root()?, out)?
            }
            Compared::Upper(upper, _) => changeset::diff::write_upper(&upper, self.marks(), out)?,
            Compared::Copy(copied) => {
                changeset::diff::write_changes(&copied.upper, copied.changes(self.marks())?, out)?
            }
        })
    }

    fn usage(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<u64> {
        match self.compared(id, parent)? {
            Compared::Trees(root, None) | Compared::Upper(root, _) => Ok(tree::size(root)?),
            Compared::Trees(root, Some(_)) => stage::size_of(&root, &self.changes(id, parent)?),
            Compared::Copy(copied) => stage::size_of(&copied.upper, &copied.changes(self.marks())?),
        }
    }

    fn usage_stamp(&self, id: &CacheId) -> Result<Option<Stamp>> {
        self.stamp(&self.published(id)?)
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        let layer = self.published(id)?;
        let path = |id: &CacheId, name: &str| format!("{}/{id}/{name}", self.path.display());
        Ok(match layer.form()? {
            Form::Tree(_) => vec![("RootDir".to_owned(), path(id, ROOT))],
            Form::Upper { lower, .. } => vec![
                ("LowerDir".to_owned(), path(&lower, ROOT)),
                ("MergedDir".to_owned(), path(id, MERGED)),
                ("UpperDir".to_owned(), path(id, UPPER)),
                ("WorkDir".to_owned(), path(id, WORK)),
            ],
        })
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        let Some(layer) = self.layer_in(&self.home, &self.path, id)? else { return Ok(()) };
        self.discard_layer(&layer)
    }

    fn sync(&self) -> Result<()> {
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
        Ok(Vec::new())
    }

    fn repair(&self, finding: &Finding) -> Result<()> {
        self.repair_damage(finding)
    }
}
