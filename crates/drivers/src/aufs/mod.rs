//! The driver `aufs`: the layers of Docker's driver of that name (moby.md §9.6), mounted by a union file system in user
//! space instead of a kernel that was patched for AUFS. It needs the right to mount FUSE file systems and nothing else.
//!
//! ```text
//! aufs/                    0710
//!   layers/<id>            0644; the ids of the layers below, nearest first, one a line; empty for a base
//!   diff/<id>/             the layer's own files, deletions as `.wh.NAME` and `.wh..wh..opq`
//!   mnt/<id>/              where it is mounted
//!   {diff,mnt}/<id>-removing   what Docker had not removed when it was stopped
//!   .layercake/writable/<id>/work/  the union's work directory of a layer that was mounted for writing
//! ```
//!
//! A writable layer has its deletions in the same form: the union writes them so. Names that begin with `.wh..wh.` at the
//! top of a layer are AUFS's own (`.wh..wh.aufs`, which its whiteouts are links of, `.wh..wh.plnk`, its area of hard
//! links, `.wh..wh.orph`); they are no files of the layer, and stay as they are.
//!
//! A layer exists as long as `layers/<id>` does, which is made first and goes last. What a crash leaves on the way is
//! listed as a layer, and no record names it.
//!
//! Where it does otherwise than Docker:
//!
//! - Layers are made aside; what is thrown away goes to `.layercake/trash`, not to a name in `-removing`. Such names are
//!   swept all the same.
//! - There is no more to hard links than the layer's own files: nothing is left to do before an unmount, as `auplink` had.

mod check;
mod layer;
mod mount;
mod stage;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use changeset::{Applied, Applier, Change, DiffStats, Lowers, Marks, Whiteouts};
use model::CacheId;
use sys::{OwnedFd, Root, dir, tree};

use crate::config::Config;
use crate::driver::{Access, Capabilities, Driver, LayerKind, Unpack};
use crate::fuse_overlayfs::{FuseOverlayfs, UserUnion};
use crate::stacked::Union;
use crate::{Error, Finding, Result, Stage, Stamp, Swept, Unmet, aside};
use layer::{Layer, Place};

const NAME: &str = "aufs";
const DIFF: &str = "diff";
const LAYERS: &str = "layers";
const MNT: &str = "mnt";
/// What Docker appends to the name of a directory before it removes it.
const REMOVING: &str = "-removing";

/// AUFS's layers, stacked by a union in user space. Its format is described at the top of the source file.
#[derive(Debug)]
pub struct Aufs {
    home: OwnedFd,
    path: PathBuf,
    layers: OwnedFd,
    diff: OwnedFd,
    mnt: OwnedFd,
    max_lowers: usize,
    user_namespace: bool,
    union: UserUnion,
}

impl Aufs {
    /// Opens the driver's home in the data root, and makes it if it is not there.
    ///
    /// # Errors
    /// [`Error::Option`]: it takes none.
    pub fn open(config: &Config) -> Result<Self> {
        if let Some(option) = config.options()?.first() {
            return Err(Error::Option(format!("aufs: unknown option {}", option.key)));
        }
        let home = dir::ensure(dir::open_path(&config.root)?, OsStr::new(NAME), 0o710)?;
        let [mnt, diff, layers] = [MNT, DIFF, LAYERS].map(|name| dir::ensure(&home, OsStr::new(name), 0o710));
        Ok(Self {
            mnt: mnt?,
            diff: diff?,
            layers: layers?,
            home,
            path: config.root.join(NAME),
            max_lowers: config.max_lowers,
            user_namespace: config.user_namespace,
            union: UserUnion::of_aufs(config),
        })
    }

    /// Whether this process can mount our union here; the kernel's AUFS is not asked for.
    pub(crate) fn probe(config: &Config) -> Result<(), Unmet> {
        FuseOverlayfs::probe(config)
    }

    /// The layer's own tree, below the layers that it is on.
    fn stack(&self, stage: Option<&Stage>, layer: &Layer) -> Result<Vec<Root>> {
        let mut roots = vec![self.files(layer)?];
        roots.extend(self.lower_roots(stage, layer)?);
        Ok(roots)
    }

    fn lower_roots(&self, stage: Option<&Stage>, layer: &Layer) -> Result<Vec<Root>> {
        let below = layer.ancestors()?;
        below.iter().map(|id| self.below(stage, layer, id)).collect()
    }

    /// The tree of a layer that `layer` is on.
    fn below(&self, stage: Option<&Stage>, layer: &Layer, id: &CacheId) -> Result<Root> {
        let missing = || layer.finding(crate::Damage::NoLower(id.clone())).into();
        match self.find(stage, id).and_then(|below| self.files(&below)) {
            Err(Error::NoLayer(_) | Error::Damaged(_)) => Err(missing()),
            other => other,
        }
    }

    fn marks(&self) -> Marks {
        self.union.marks()
    }
}

/// The name of a layer's files and directories.
fn layer_name(id: &CacheId) -> Result<&OsStr> {
    if aside::is_hidden(id.as_str()) || id.as_str().ends_with(REMOVING) {
        return Err(Error::Reserved(id.clone()));
    }
    Ok(OsStr::new(id.as_str()))
}

impl Driver for Aufs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn home(&self) -> &Path {
        &self.path
    }

    fn capabilities(&self) -> Capabilities {
        self.union.capabilities()
    }

    fn status(&self) -> Result<Vec<(String, String)>> {
        let line = |name: &str, value: &dyn ToString| (name.to_owned(), value.to_string());
        Ok(vec![
            line("Root Dir", &self.path.display()),
            line("Backing Filesystem", &crate::backing::name(&self.path)?),
            line("Dirs", &dir::list(&self.layers)?.len()),
            // Of a directory's permissions the topmost layer's count alone.
            line("Dirperm1 Supported", &true),
        ])
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
        let files = self.files(&self.staged(stage, id)?)?;
        Ok(Applier::new(dir::reopen(files)?, unpack.options(Whiteouts::Files, self.user_namespace))?)
    }

    fn finish(&self, stage: &Stage, id: &CacheId, applied: Applied) -> Result<u64> {
        let layer = self.staged(stage, id)?;
        if applied.pending.is_empty() {
            return Ok(applied.size);
        }
        let lowers = Lowers::new(self.lower_roots(Some(stage), &layer)?, self.marks());
        Ok(applied.size + applied.pending.settle(&self.files(&layer)?, &lowers)?)
    }

    fn staged_root(&self, stage: &Stage, id: &CacheId) -> Result<Root> {
        self.files(&self.staged(stage, id)?)
    }

    fn view(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Lowers> {
        Ok(Lowers::new(self.stack(stage, &self.find(stage, id)?)?, self.marks()))
    }

    fn publish(&self, stage: &Stage, ids: &[CacheId]) -> Result<()> {
        self.publish_layers(stage, ids)
    }

    fn exists(&self, id: &CacheId) -> Result<bool> {
        Ok(self.layer_in(Place::Published, id)?.is_some())
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        self.list_layers()
    }

    fn layer_root(&self, id: &CacheId) -> Result<Root> {
        self.files(&self.published(id)?)
    }

    fn mount(&self, id: &CacheId, access: Access) -> Result<PathBuf> {
        self.mount_layer(id, access)
    }

    fn unmount(&self, id: &CacheId) -> Result<bool> {
        let layer = self.published(id)?;
        let _lock = self.lock(&layer)?;
        self.end_mount(id)
    }

    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>> {
        self.published(id)?;
        self.mount_point(id)?.mounted()
    }

    fn changes(&self, id: &CacheId, _parent: Option<&CacheId>) -> Result<Vec<Change>> {
        let layer = self.published(id)?;
        let lowers = Lowers::new(self.lower_roots(None, &layer)?, self.marks());
        Ok(changeset::changes::upper_changes(&self.files(&layer)?, &lowers, self.marks())?)
    }

    fn diff(&self, id: &CacheId, _parent: Option<&CacheId>, out: &mut dyn Write) -> Result<DiffStats> {
        Ok(changeset::diff::write_upper(&self.layer_root(id)?, self.marks(), out)?)
    }

    fn usage(&self, id: &CacheId, _parent: Option<&CacheId>) -> Result<u64> {
        Ok(tree::size(self.layer_root(id)?)?)
    }

    fn usage_stamp(&self, id: &CacheId) -> Result<Option<Stamp>> {
        // A mount by an AUFS leaves no trace outside of the directories that something was changed in.
        self.published(id).map(|_| None)
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        self.published(id).map(|_| Vec::new())
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        self.discard_layer(id)
    }

    fn sync(&self) -> Result<()> {
        dir::sync(&self.diff)?;
        Ok(dir::sync(&self.layers)?)
    }

    fn has_trash(&self) -> Result<bool> {
        Ok(aside::has_trash(&self.home)? || self.has_leftovers()?)
    }

    fn sweep(&self) -> Result<Swept> {
        self.bury_leftovers()?;
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
