//! A driver that has nothing in a data root: to look at it makes nothing there.

use std::io::Write;
use std::path::{Path, PathBuf};

use changeset::{Applied, Applier, Change, DiffStats, Lowers};
use model::CacheId;
use sys::Root;

use crate::driver::{Access, Capabilities, Driver, LayerKind, Stamp, Unpack};
use crate::{Error, Finding, Result, Stage, Swept};

/// Stands for a driver whose home is not there. It has no layers, and makes none.
#[derive(Debug)]
pub struct Nothing {
    name: &'static str,
    home: PathBuf,
}

impl Nothing {
    pub(crate) fn new(name: &'static str, root: &Path) -> Self {
        Self { name, home: root.join(name) }
    }

    fn refuse<T>(&self) -> Result<T> {
        Err(Error::Unsupported { driver: self.name, what: "the data root is open for reading only" })
    }
}

fn absent<T>(id: &CacheId) -> Result<T> {
    Err(Error::NoLayer(id.clone()))
}

impl Driver for Nothing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn home(&self) -> &Path {
        &self.home
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            whole_trees: false,
            independent_layers: false,
            page_cache_sharing: false,
            mounts: false,
            read_only_views: false,
            quota: false,
        }
    }

    fn shifts_owners(&self) -> bool {
        true
    }

    fn status(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn stage(&self) -> Result<Stage> {
        self.refuse()
    }

    fn prepare(&self, _: &Stage, _: &CacheId, _: Option<&CacheId>, _: LayerKind) -> Result<()> {
        self.refuse()
    }

    fn rebase(&self, _: &Stage, id: &CacheId, _: &CacheId) -> Result<()> {
        absent(id)
    }

    fn applier(&self, _: &Stage, id: &CacheId, _: &Unpack) -> Result<Applier> {
        absent(id)
    }

    fn finish(&self, _: &Stage, id: &CacheId, _: Applied) -> Result<u64> {
        absent(id)
    }

    fn staged_root(&self, _: &Stage, id: &CacheId) -> Result<Root> {
        absent(id)
    }

    fn view(&self, _: Option<&Stage>, id: &CacheId) -> Result<Lowers> {
        absent(id)
    }

    fn publish(&self, _: &Stage, _: &[CacheId]) -> Result<()> {
        self.refuse()
    }

    fn exists(&self, _: &CacheId) -> Result<bool> {
        Ok(false)
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        Ok(Vec::new())
    }

    fn layer_root(&self, id: &CacheId) -> Result<Root> {
        absent(id)
    }

    fn mount(&self, id: &CacheId, _: Access) -> Result<PathBuf> {
        absent(id)
    }

    fn unmount(&self, id: &CacheId) -> Result<bool> {
        absent(id)
    }

    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>> {
        absent(id)
    }

    fn changes(&self, id: &CacheId, _: Option<&CacheId>) -> Result<Vec<Change>> {
        absent(id)
    }

    fn diff(&self, id: &CacheId, _: Option<&CacheId>, _: &mut dyn Write) -> Result<DiffStats> {
        absent(id)
    }

    fn usage(&self, id: &CacheId, _: Option<&CacheId>) -> Result<u64> {
        absent(id)
    }

    fn usage_stamp(&self, id: &CacheId) -> Result<Option<Stamp>> {
        absent(id)
    }

    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>> {
        absent(id)
    }

    fn discard(&self, _: &CacheId) -> Result<()> {
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn has_trash(&self) -> Result<bool> {
        Ok(false)
    }

    fn sweep(&self) -> Result<Swept> {
        Ok(Swept::default())
    }

    fn check(&self, id: &CacheId, _: Option<&CacheId>) -> Result<Vec<Finding>> {
        absent(id)
    }

    fn check_home(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    fn repair(&self, finding: &Finding) -> Result<()> {
        Err(Error::BeyondRepair(Box::new(finding.clone())))
    }
}
