//! A directory in which each layer has one of its own, named after it: what drivers do alike with such directories.

use std::ffi::OsStr;

use model::CacheId;
use sys::lock::{self, Lock, Mutual};
use sys::{FileKind, OwnedFd, dir, meta};

use crate::{Error, Result, Stage};

/// The layers that have a directory in `dir`; the driver says which names can be a layer's.
pub(crate) fn list(dir: &OwnedFd, can_be: impl Fn(&CacheId) -> bool) -> Result<Vec<CacheId>> {
    let entries = dir::list(dir)?.into_iter();
    let dirs = entries.filter(|e| e.kind.is_none_or(|kind| kind == FileKind::Dir));
    let ids = dirs.filter_map(|e| CacheId::parse(e.name.to_str()?).ok());
    Ok(ids.filter(can_be).collect())
}

/// Moves the directory `name` of the layer `id` out of the stage to where it is published.
pub(crate) fn publish(stage: &Stage, dir: &OwnedFd, name: &OsStr, id: &CacheId) -> Result<()> {
    dir::rename_noreplace(stage, name, dir, name).map_err(|e| match e {
        e if e.is_exists() => Error::Exists(id.clone()),
        e if e.is_not_found() => Error::NoLayer(id.clone()),
        e => e.into(),
    })
}

/// Publishes the layers one after the other, and makes that durable. After an error none of them is published: those
/// that were are discarded again, in the opposite order.
pub(crate) fn publish_all(
    ids: &[CacheId],
    publish: impl Fn(&CacheId) -> Result<()>,
    sync: impl FnOnce() -> Result<()>,
    discard: impl Fn(&CacheId) -> Result<()>,
) -> Result<()> {
    let mut published = Vec::new();
    let each = ids.iter().try_for_each(|id| {
        publish(id)?;
        published.push(id);
        Ok(())
    });
    let result = each.and_then(|()| sync());
    if result.is_err() {
        for id in published.into_iter().rev() {
            let _ = discard(id);
        }
    }
    result
}

/// Waits until nobody else has the lock of the layer's directory `fd`, which `dir` has under `name`.
pub(crate) fn lock(dir: &OwnedFd, name: &OsStr, fd: &OwnedFd, id: &CacheId) -> Result<Lock> {
    let lock = lock::lock(dir::reopen(fd)?, Mutual::Exclusive)?;
    let (now, mine) = (meta::find(dir, name)?, meta::of_fd(fd)?);
    // Whoever had the lock may have discarded the layer.
    if now.is_some_and(|now| (now.dev, now.ino) == (mine.dev, mine.ino)) {
        Ok(lock)
    } else {
        Err(Error::NoLayer(id.clone()))
    }
}
