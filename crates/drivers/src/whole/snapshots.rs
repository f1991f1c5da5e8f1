//! What a driver of whole trees has to bring: how trees are made of each other, published and removed.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::PathBuf;

use model::CacheId;
use sys::{OwnedFd, Root, dir, tree};

use crate::driver::{Access, Capabilities, LayerKind, Stamp};
use crate::{Error, Finding, Result, Stage};

/// Trees that can be made of each other. [`Whole`](super::Whole) makes a driver of them.
///
/// # Rules
///
/// - A staged tree has an entry of its name in the stage's directory: itself, or a note by which
///   [`remove`](Self::remove) finds it. What is in the trash is found the same way. So a crash leaves nothing that a
///   sweep does not find.
/// - Names are checked before any method here is called, and those that take a published layer are called for layers
///   that exist, unless they say otherwise.
pub trait Snapshots: Debug + Send + Sync + 'static {
    /// The driver's name.
    const NAME: &'static str;

    /// The driver's directory in the data root.
    fn home(&self) -> &Home;

    /// As [`Driver::directory`](crate::Driver::directory).
    fn directory(&self, id: &CacheId) -> PathBuf {
        self.home().path.join(id.as_str())
    }

    /// As [`Driver::capabilities`](crate::Driver::capabilities).
    fn capabilities(&self) -> Capabilities;

    /// As [`Driver::status`](crate::Driver::status).
    fn status(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    /// As [`Driver::metadata`](crate::Driver::metadata).
    fn metadata(&self, _id: &CacheId) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    /// Makes the tree `id` in the stage: a copy of `from`, or an empty directory 0755. After an error,
    /// [`remove`](Self::remove) is called for what may be there.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a size limit that cannot be enforced.
    fn make(&self, stage: &Stage, id: &CacheId, from: Option<&Source<'_>>, kind: LayerKind) -> Result<()>;

    /// The tree's root; `None` if there is no such tree. It needs no mount point: where trees are file systems of
    /// their own, it is on a mount that lives as long as this descriptor, and in no namespace.
    fn root(&self, place: Place<'_>, id: &CacheId) -> Result<Option<Root>>;

    /// Lets a staged tree exist for everybody. Durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::NoLayer`] if it is not in the stage.
    fn publish(&self, stage: &Stage, id: &CacheId) -> Result<()>;

    /// Whether a tree of this name is published. Asked of any name.
    fn exists(&self, id: &CacheId) -> Result<bool> {
        Ok(self.root(Place::Published, id)?.is_some())
    }

    /// The names of all published trees, in no order.
    fn list(&self) -> Result<Vec<CacheId>>;

    /// Moves a published tree to the trash, mounted or not. One that is not there is no error.
    fn discard(&self, id: &CacheId) -> Result<()>;

    /// Makes durable what was published and discarded.
    fn sync(&self) -> Result<()>;

    /// As [`Driver::sync_stage`](crate::Driver::sync_stage). As it stands, for trees on the home's file system.
    fn sync_stage(&self, stage: &Stage) -> Result<()> {
        Ok(dir::sync_fs(stage)?)
    }

    /// Removes what `name` stands for in `dir`, a stage's directory or the trash: a tree, or a whole stage of a
    /// dead owner. What is not there is no error; what a killed predecessor left half removed is removed.
    fn remove(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        Ok(tree::remove(dir, name)?)
    }

    /// What else a sweep does, after the trash is empty.
    fn tidy(&self) -> Result<()> {
        Ok(())
    }

    /// As [`Driver::mount`](crate::Driver::mount). As it stands, for trees that are directories in the data root.
    fn mount(&self, id: &CacheId, _access: Access) -> Result<PathBuf> {
        let root = self.root(Place::Published, id)?.ok_or_else(|| Error::NoLayer(id.clone()))?;
        Ok(root.path().to_owned())
    }

    /// As [`Driver::unmount`](crate::Driver::unmount).
    fn unmount(&self, _id: &CacheId) -> Result<bool> {
        Ok(false)
    }

    /// As [`Driver::mounted`](crate::Driver::mounted).
    fn mounted(&self, _id: &CacheId) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    /// The inodes of the tree `new` that have changed since it was made as a snapshot of `old`, and the directories on
    /// the way to them; more than these does no harm. `None` where nobody knows, or it was made otherwise: then trees
    /// are compared as a whole.
    fn touched(&self, _new: &Root, _old: &Root) -> Result<Option<HashSet<u64>>> {
        Ok(None)
    }

    /// As [`Driver::counted`](crate::Driver::counted): what the tree takes above its parent, if something counts that.
    fn counted(&self, _id: &CacheId) -> Result<Option<u64>> {
        Ok(None)
    }

    /// As [`Driver::usage_stamp`](crate::Driver::usage_stamp). As it stands, for trees that are open to everybody at any
    /// time: nothing tells of a change deep in one.
    fn stamp(&self, _id: &CacheId) -> Result<Option<Stamp>> {
        Ok(None)
    }

    /// As [`Driver::check`](crate::Driver::check).
    fn check(&self, _id: &CacheId, _parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// As [`Driver::check_home`](crate::Driver::check_home).
    fn check_home(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// As [`Driver::repair`](crate::Driver::repair).
    fn repair(&self, finding: &Finding) -> Result<()> {
        Err(Error::BeyondRepair(Box::new(finding.clone())))
    }
}

/// A driver's directory in the data root.
#[derive(Debug)]
pub struct Home {
    /// Open for reading.
    pub fd: OwnedFd,
    /// Its path.
    pub path: PathBuf,
}

/// Where a tree is.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// In this stage.
    Staged(&'a Stage),
    /// Among those that everybody sees.
    Published,
}

/// A tree that another one is made of.
#[derive(Debug)]
pub struct Source<'a> {
    /// Where it is.
    pub place: Place<'a>,
    /// Its name.
    pub id: &'a CacheId,
}
