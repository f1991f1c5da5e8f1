//! The driver `vfs`: each layer is a whole copy of the tree, `vfs/dir/<id>` (moby.md §9.2). It works on every file
//! system and without the right to mount, and takes space and time for each copy; where the file system can share
//! blocks, little of either.
//!
//! Unlike Docker's it keeps all extended attributes, and sockets as sockets. Inspect shows no data for it, `info` no
//! lines, as Docker's.

mod copy;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use changeset::{Applied, Applier, Change, ChangeKind, DiffStats, Lowers, Whiteouts, XattrSpace};
use model::CacheId;
use sys::{FileKind, OwnedFd, Root, dir, meta, tree};

use crate::driver::{Access, Capabilities, Driver, LayerKind, Stamp, Unpack};
use crate::select::Config;
use crate::{Damage, Error, Finding, Result, Stage, Swept, aside};

const NAME: &str = "vfs";

/// Layers as copies. Its format is described at the top of the source file.
#[derive(Debug)]
pub struct Vfs {
    home: OwnedFd,
    path: PathBuf,
    /// `vfs/dir`, where the layers are.
    layers: OwnedFd,
    user_namespace: bool,
}

impl Vfs {
    /// Opens the driver's home in the data root, and makes it if it is not there (0710, as is `dir/`).
    pub fn open(config: &Config) -> Result<Self> {
        for option in config.options()? {
            let text = match option.key.as_str() {
                "size" if option.size()? == 0 => continue,
                "size" => "Filesystem does not support, or has not enabled quotas".to_owned(),
                key => format!("unknown option {key} for vfs"),
            };
            return Err(Error::Option(text));
        }
        let home = dir::ensure(dir::open_path(&config.root)?, OsStr::new(NAME), 0o710)?;
        let layers = dir::ensure(&home, OsStr::new("dir"), 0o710)?;
        let path = config.root.join(NAME);
        Ok(Self { home, path, layers, user_namespace: config.user_namespace })
    }

    fn root_in(&self, parent: &OwnedFd, path: &Path, id: &CacheId) -> Result<Option<Root>> {
        let name = layer_name(id)?;
        match dir::open(parent, name) {
            Ok(fd) => Ok(Some(Root::from_fd(fd, path.join(name)))),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn published(&self, id: &CacheId) -> Result<Root> {
        let root = self.root_in(&self.layers, &self.path.join("dir"), id)?;
        root.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    fn staged(&self, stage: &Stage, id: &CacheId) -> Result<Root> {
        self.root_in(stage.fd(), stage.path(), id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    fn find(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Root> {
        match stage {
            Some(stage) if stage.contains(id)? => self.staged(stage, id),
            _ => self.published(id),
        }
    }

    fn changes_of(&self, root: &Root, parent: Option<&CacheId>) -> Result<Vec<Change>> {
        Ok(match parent {
            Some(parent) => changeset::changes::tree_changes(root, self.published(parent)?)?,
            // A base is its own difference to nothing.
            None => changeset::changes::upper_changes(root, &Lowers::default(), XattrSpace::Trusted)?,
        })
    }
}

fn layer_name(id: &CacheId) -> Result<&OsStr> {
    if aside::is_hidden(id.as_str()) {
        return Err(Error::Reserved(id.clone()));
    }
    Ok(OsStr::new(id.as_str()))
}

impl Driver for Vfs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn home(&self) -> &Path {
        &self.path
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            independent_layers: false,
            page_cache_sharing: false,
            mounts: false,
            read_only_views: false,
            quota: false,
        }
    }

    fn status(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn stage(&self) -> Result<Stage> {
        aside::stage(&self.home, &self.path)
    }

    fn prepare(&self, stage: &Stage, id: &CacheId, parent: Option<&CacheId>, kind: LayerKind) -> Result<()> {
        if let LayerKind::Writable { size: Some(_) } = kind {
            let what = "Filesystem does not support, or has not enabled quotas";
            return Err(Error::Unsupported { driver: NAME, what });
        }
        let name = layer_name(id)?;
        if self.exists(id)? || stage.contains(id)? {
            return Err(Error::Exists(id.clone()));
        }
        let parent = parent.map(|parent| self.find(Some(stage), parent)).transpose()?;
        let to = Root::from_fd(dir::ensure(stage, name, 0o755)?, stage.path().join(name));
        let copied = parent.map_or(Ok(()), |from| copy::tree(&from, &to));
        if copied.is_err() {
            let _ = tree::remove(stage, name);
        }
        Ok(copied?)
    }

    fn rebase(&self, _stage: &Stage, _id: &CacheId, _parent: &CacheId) -> Result<()> {
        Err(Error::Unsupported { driver: NAME, what: "layers do not refer to their parents" })
    }

    fn applier(&self, stage: &Stage, id: &CacheId, unpack: &Unpack) -> Result<Applier> {
        let root = self.staged(stage, id)?;
        let options = unpack.options(Whiteouts::Delete, self.user_namespace);
        Ok(Applier::new(dir::reopen(&root)?, options)?)
    }

    fn finish(&self, stage: &Stage, id: &CacheId, applied: Applied) -> Result<u64> {
        self.staged(stage, id)?;
        Ok(applied.size)
    }

    fn staged_root(&self, stage: &Stage, id: &CacheId) -> Result<Root> {
        self.staged(stage, id)
    }

    fn view(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Lowers> {
        Ok(Lowers::tree(self.find(stage, id)?))
    }

    fn publish(&self, stage: &Stage, ids: &[CacheId]) -> Result<()> {
        for (done, id) in ids.iter().enumerate() {
            let name = layer_name(id)?;
            if let Err(e) = dir::rename_noreplace(stage, name, &self.layers, name) {
                for published in ids[..done].iter().rev() {
                    let _ = self.discard(published);
                }
                return Err(match e {
                    e if e.is_exists() => Error::Exists(id.clone()),
                    e if e.is_not_found() => Error::NoLayer(id.clone()),
                    e => e.into(),
                });
            }
        }
        Ok(dir::sync(&self.layers)?)
    }

    fn exists(&self, id: &CacheId) -> Result<bool> {
        Ok(self.root_in(&self.layers, &self.path, id)?.is_some())
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        let entries = dir::list(&self.layers)?.into_iter();
        let dirs = entries.filter(|e| e.kind.is_none_or(|kind| kind == sys::FileKind::Dir));
        let ids = dirs.filter_map(|e| CacheId::parse(e.name.to_str()?).ok());
        Ok(ids.filter(|id| layer_name(id).is_ok()).collect())
    }

    fn layer_root(&self, id: &CacheId) -> Result<Root> {
        self.published(id)
    }

    fn mount(&self, id: &CacheId, _access: Access) -> Result<PathBuf> {
        Ok(self.published(id)?.path().to_owned())
    }

    fn unmount(&self, id: &CacheId) -> Result<bool> {
        self.published(id).map(|_| false)
    }

    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>> {
        self.published(id).map(|_| None)
    }

    fn changes(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Change>> {
        self.changes_of(&self.published(id)?, parent)
    }

    fn diff(&self, id: &CacheId, parent: Option<&CacheId>, out: &mut dyn Write) -> Result<DiffStats> {
        let root = self.published(id)?;
        Ok(match parent {
            Some(parent) => changeset::diff::write_tree_diff(&root, self.published(parent)?, out)?,
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

    fn usage_stamp(&self, id: &CacheId) -> Result<Option<Stamp>> {
        // The tree is open to everybody at any time: nothing tells of a change deep in it.
        self.published(id).map(|_| None)
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        self.published(id).map(|_| Vec::new())
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        match aside::discard(&self.home, &self.layers, layer_name(id)?) {
            Err(Error::Sys(e)) if e.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn sync(&self) -> Result<()> {
        Ok(dir::sync(&self.layers)?)
    }

    fn has_trash(&self) -> Result<bool> {
        aside::has_trash(&self.home)
    }

    fn sweep(&self) -> Result<Swept> {
        aside::sweep(&self.home, &self.path)
    }

    fn check(&self, id: &CacheId, _parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        let missing = Finding { driver: NAME, layer: Some(id.clone()), damage: Damage::NoDirectory };
        Ok(if self.exists(id)? { Vec::new() } else { vec![missing] })
    }

    fn check_home(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    fn repair(&self, finding: &Finding) -> Result<()> {
        Err(Error::BeyondRepair(Box::new(finding.clone())))
    }
}
