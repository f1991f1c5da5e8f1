//! The files of one layer's directory, `overlay/<id>` (0710; moby.md §9.1).
//!
//! | entry | mode | what |
//! | --- | --- | --- |
//! | `root/` | 0755 at first | an image's layer: its whole tree. A layer that has it has nothing else that counts |
//! | `lower-id` | 0600 | a container's: the id of the layer whose `root/` is below it |
//! | `upper/` | that of the tree below | a container's: what it changes |
//! | `work/` | 0700 | a container's: the kernel's |
//! | `merged/` | 0700 | where it is mounted, while it is |
//!
//! A container's layer on top of another container's (its init layer) has the same `lower-id`, and begins with a copy
//! of its `upper/`.

use std::ffi::OsStr;
use std::path::PathBuf;

use model::CacheId;
use sys::{Errno, OwnedFd, Root, atomic, dir};

use super::NAME;
use crate::mountpoint::MountPoint;
use crate::{Damage, Finding, Result};

pub(super) const ROOT: &str = "root";
pub(super) const LOWER_ID: &str = "lower-id";
pub(super) const UPPER: &str = "upper";
pub(super) const WORK: &str = "work";
pub(super) const MERGED: &str = "merged";

/// One layer's directory, published or staged.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) id: CacheId,
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

/// What a layer is.
#[derive(Debug)]
pub(super) enum Form {
    /// A whole tree.
    Tree(Root),
    /// Changes to one.
    Upper {
        /// What is changed.
        upper: Root,
        /// The layer with the tree.
        lower: CacheId,
    },
}

impl Form {
    /// The directory that holds the layer's own files.
    pub(super) fn into_files(self) -> Root {
        let (Self::Tree(root) | Self::Upper { upper: root, .. }) = self;
        root
    }
}

impl Layer {
    /// A finding about this layer.
    pub(super) fn finding(&self, damage: Damage) -> Finding {
        Finding { driver: NAME, layer: Some(self.id.clone()), damage }
    }

    /// Where its tree is mounted.
    pub(super) fn mount_point(&self) -> MountPoint<'_> {
        MountPoint { dir: &self.fd, name: OsStr::new(MERGED), path: self.path.join(MERGED) }
    }

    /// What it is, opened.
    pub(super) fn form(&self) -> Result<Form> {
        if let Some(root) = self.dir(ROOT)? {
            return Ok(Form::Tree(root));
        }
        let lower = self.lower()?.map_err(|why| self.finding(Damage::LowerId { why, parent: None }))?;
        let upper = self.dir(UPPER)?.ok_or_else(|| self.finding(Damage::NoDiff))?;
        Ok(Form::Upper { upper, lower })
    }

    /// A directory of it, if it is there.
    pub(super) fn dir(&self, name: &str) -> Result<Option<Root>> {
        match dir::open(&self.fd, OsStr::new(name)) {
            Ok(fd) => Ok(Some(Root::from_fd(fd, self.path.join(name)))),
            Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The layer with the tree below, or what is wrong with the file that says it.
    pub(super) fn lower(&self) -> Result<Result<CacheId, &'static str>> {
        let Some(data) = atomic::find(&self.fd, OsStr::new(LOWER_ID))? else { return Ok(Err("is missing")) };
        let text = String::from_utf8_lossy(&data).into_owned();
        Ok(match text.trim() {
            "" => Err("is empty"),
            id => CacheId::parse(id).map_err(|_| "names something that is no layer"),
        })
    }
}
