//! Layers before they exist for everybody, and after.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use changeset::{Lowers, Pending};
use model::CacheId;
use sys::{Errno, OwnedFd, atomic, dir, tree};

use super::layer::{Layer, Place, list_text};
use super::{Aufs, DIFF, LAYERS, NAME, REMOVING, layer_name};
use crate::driver::{Driver, LayerKind};
use crate::{Error, Result, Stage, aside, directories};

/// Beside the stages: what belongs to writable layers and is not Docker's.
pub(super) const WRITABLE: &str = "writable";
/// In the directory of such a layer: the union's work directory, on which its server holds a lock.
pub(super) const WORK: &str = "work";

impl Aufs {
    pub(super) fn prepare_layer(
        &self,
        stage: &Stage,
        id: &CacheId,
        parent: Option<&CacheId>,
        kind: LayerKind,
    ) -> Result<()> {
        if let LayerKind::Writable { size: Some(_) } = kind {
            let what = "--storage-opt is not supported for aufs";
            return Err(Error::Unsupported { driver: NAME, what });
        }
        let name = layer_name(id)?;
        if self.exists(id)? || stage.contains(id)? {
            return Err(Error::Exists(id.clone()));
        }
        let parent = parent.map(|parent| self.find(Some(stage), parent)).transpose()?;
        let made = self.make(stage, id, parent.as_ref());
        if made.is_err() {
            let _ = tree::remove(stage, name);
        }
        made
    }

    fn make(&self, stage: &Stage, id: &CacheId, parent: Option<&Layer>) -> Result<()> {
        let fd = dir::ensure(stage.fd(), layer_name(id)?, 0o710)?;
        dir::ensure(&fd, OsStr::new(DIFF), 0o755)?;
        let below = parent.map(|parent| self.ancestors_above(parent)).transpose()?.unwrap_or_default();
        atomic::create_unsynced(&fd, OsStr::new(LAYERS), 0o644, list_text(&below).as_bytes())?;
        if let Some(parent) = parent {
            // A union shows the root of the nearest layer, which must not be another one because a container is made.
            let mut root = Pending::default();
            root.implied.push(PathBuf::new());
            let above = Lowers::new(vec![self.files(parent)?], self.marks());
            root.settle(&self.files(&self.staged(stage, id)?)?, &above)?;
        }
        Ok(())
    }

    /// The ancestors of a layer on top of `parent`.
    pub(super) fn ancestors_above(&self, parent: &Layer) -> Result<Vec<CacheId>> {
        let mut ids = vec![parent.id.clone()];
        ids.extend(parent.ancestors()?);
        if ids.len() > self.max_lowers { Err(Error::TooDeep) } else { Ok(ids) }
    }

    pub(super) fn rebase_layer(&self, stage: &Stage, id: &CacheId, parent: &CacheId) -> Result<()> {
        self.staged(stage, id)?;
        let below = self.ancestors_above(&self.find(Some(stage), parent)?)?;
        let fd = dir::open(stage.fd(), layer_name(id)?)?;
        Ok(atomic::write(&fd, OsStr::new(LAYERS), 0o644, list_text(&below).as_bytes())?)
    }

    pub(super) fn publish_layers(&self, stage: &Stage, ids: &[CacheId]) -> Result<()> {
        let sync =
            || [&self.layers, &self.diff, &self.mnt].into_iter().try_for_each(|dir| Ok(dir::sync(dir)?));
        directories::publish_all(ids, |id| self.publish_one(stage, id), sync, |id| self.discard_layer(id))
    }

    /// The list first: whatever is there without the rest is still known by it.
    fn publish_one(&self, stage: &Stage, id: &CacheId) -> Result<()> {
        let name = layer_name(id)?;
        self.staged(stage, id)?;
        let own = dir::open(stage.fd(), name)?;
        match dir::rename_noreplace(&own, OsStr::new(LAYERS), &self.layers, name) {
            Err(e) if e.is_exists() => return Err(Error::Exists(id.clone())),
            other => other?,
        }
        let rest = dir::rename_noreplace(&own, OsStr::new(DIFF), &self.diff, name).and_then(|()| {
            dir::ensure(&self.mnt, name, 0o755).map(drop).inspect_err(|_| {
                let _ = dir::rename_noreplace(&self.diff, name, &own, OsStr::new(DIFF));
            })
        });
        if let Err(e) = rest {
            let _ = dir::rename_noreplace(&self.layers, name, &own, OsStr::new(LAYERS));
            return Err(if e.is_exists() { Error::Exists(id.clone()) } else { e.into() });
        }
        Ok(dir::rmdir(stage.fd(), name)?)
    }

    /// The list last, so that what is left by a crash is still known.
    pub(super) fn discard_layer(&self, id: &CacheId) -> Result<()> {
        let name = layer_name(id)?;
        let layer = self.layer_in(Place::Published, id)?;
        let _lock = match &layer {
            Some(layer) => match self.lock(layer) {
                Err(Error::NoLayer(_)) => return Ok(()),
                other => Some(other?),
            },
            None => None,
        };
        self.end_mount(id)?;
        self.bury(&self.diff, name)?;
        if let Some(writable) = self.writable()? {
            self.bury(&writable, name)?;
        }
        match dir::rmdir(&self.mnt, name) {
            Err(e) if e.errno == Errno::NOENT => {}
            Err(e) if matches!(e.errno, Errno::NOTEMPTY | Errno::NOTDIR) => self.bury(&self.mnt, name)?,
            other => other?,
        }
        match dir::unlink(&self.layers, name) {
            Err(e) if !e.is_not_found() => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// Moves something to the trash, if it is there.
    fn bury(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        match aside::discard(&self.home, dir, name) {
            Err(Error::Sys(e)) if e.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// The directory of what belongs to writable layers, if there is one.
    fn writable(&self) -> Result<Option<OwnedFd>> {
        let Ok(beside) = dir::open(&self.home, OsStr::new(aside::NAME)) else { return Ok(None) };
        match dir::open(&beside, OsStr::new(WRITABLE)) {
            Ok(writable) => Ok(Some(writable)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether Docker was stopped before it had removed something.
    pub(super) fn has_leftovers(&self) -> Result<bool> {
        for dir in [&self.diff, &self.mnt] {
            if dir::list(dir)?.iter().any(|entry| is_leftover(&entry.name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves to the trash what Docker was about to remove, and what belonged to layers that are no
    /// more, which a power cut can leave.
    pub(super) fn bury_leftovers(&self) -> Result<()> {
        let writable = self.writable()?;
        // Before the lists of ancestors: what comes to be meanwhile has its list first.
        let mut found = Vec::new();
        for dir in [Some(&self.mnt), writable.as_ref()].into_iter().flatten() {
            found.push((dir, dir::list(dir)?));
        }
        let known: HashSet<OsString> = dir::list(&self.layers)?.into_iter().map(|entry| entry.name).collect();
        for (dir, entries) in found {
            for entry in entries.iter().filter(|entry| !known.contains(&entry.name)) {
                if sys::mount::at(dir, &entry.name)?.is_none() {
                    self.bury(dir, &entry.name)?;
                }
            }
        }
        for entry in dir::list(&self.diff)?.iter().filter(|entry| is_leftover(&entry.name)) {
            self.bury(&self.diff, &entry.name)?;
        }
        Ok(())
    }
}

fn is_leftover(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(REMOVING))
}
