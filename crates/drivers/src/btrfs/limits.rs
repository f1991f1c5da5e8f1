//! Size limits of layers: a number in a file, and the file system's quotas that enforce it.

use std::ffi::{OsStr, OsString};

use model::{CacheId, size};
use sys::{OwnedFd, Root, atomic, btrfs, dir, file};

use crate::whole::{Home, layer_name};
use crate::{Error, Result, Stage};

const DIR: &str = "quotas";

/// What limits are allowed.
#[derive(Debug)]
pub(super) struct Limits {
    /// The option `btrfs.min_space`, in bytes.
    pub(super) min_space: u64,
}

impl Limits {
    /// A limit that somebody wants.
    pub(super) fn accept(&self, wanted: u64) -> Result<u64> {
        if wanted == 0 {
            return Err(Error::Option(format!("btrfs: invalid storage size: {}", size::human(wanted))));
        }
        if wanted < self.min_space {
            let least = size::human(self.min_space);
            return Err(Error::Option(format!("btrfs: storage size cannot be less than {least}")));
        }
        Ok(wanted)
    }

    /// Limits a staged layer. The first limit switches quotas on, for the whole file system, which takes as long as it
    /// takes to count everything that is there.
    pub(super) fn stage(&self, home: &Home, stage: &Stage, id: &CacheId, bytes: u64) -> Result<()> {
        ensure_quotas(&home.fd)?;
        btrfs::set_limit(dir::open(stage, layer_name(id)?)?, bytes)?;
        let file = dir::create_file(stage, &staged_name(id), 0o644)?;
        Ok(file::write_all(&file, bytes.to_string().as_bytes())?)
    }

    /// Limits a published layer again whose file says that it has a limit, if the file system has forgotten.
    pub(super) fn apply_again(&self, home: &Home, id: &CacheId, root: &Root) -> Result<()> {
        let Some(bytes) = of(home, id)? else { return Ok(()) };
        if btrfs::limit(root, btrfs::subvolume_id(root)?)? != Some(bytes) {
            ensure_quotas(&home.fd)?;
            btrfs::set_limit(root, bytes)?;
        }
        Ok(())
    }
}

/// Sees to it that quotas are on and right.
fn ensure_quotas(fd: &OwnedFd) -> Result<()> {
    match btrfs::quota_status(fd)? {
        None => btrfs::enable_quota(fd)?,
        Some(status) if status.rescanning => {}
        Some(status) if status.inconsistent => btrfs::rescan_quota(fd)?,
        Some(_) => return Ok(()),
    }
    Ok(btrfs::wait_for_rescan(fd)?)
}

/// The limit's file beside a staged layer: no layer's name begins with a dot.
fn staged_name(id: &CacheId) -> OsString {
    format!(".{id}.size").into()
}

/// The directory of the limits; `None` if no layer has ever had one.
fn open(home: &Home) -> Result<Option<OwnedFd>> {
    match dir::open(&home.fd, OsStr::new(DIR)) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The limit of a published layer in bytes, as its file says. Docker takes a file that says nothing for no limit.
pub(super) fn of(home: &Home, id: &CacheId) -> Result<Option<u64>> {
    let Some(quotas) = open(home)? else { return Ok(None) };
    let text = match atomic::read(&quotas, layer_name(id)?) {
        Ok(text) => text,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
    Ok(number.filter(|bytes| *bytes > 0))
}

/// Publishes the limit of a layer, if it has one.
pub(super) fn publish(home: &Home, stage: &Stage, id: &CacheId) -> Result<()> {
    let staged = staged_name(id);
    if sys::meta::find(stage, &staged)?.is_none() {
        return Ok(());
    }
    let quotas = dir::ensure(&home.fd, OsStr::new(DIR), 0o700)?;
    Ok(dir::rename(stage, &staged, &quotas, layer_name(id)?)?)
}

/// Removes the limit of a layer that is gone.
pub(super) fn forget(home: &Home, id: &CacheId) -> Result<()> {
    let Some(quotas) = open(home)? else { return Ok(()) };
    match dir::unlink(&quotas, layer_name(id)?) {
        Err(e) if !e.is_not_found() => Err(e.into()),
        _ => Ok(()),
    }
}

/// Makes the limits durable.
pub(super) fn sync(home: &Home) -> Result<()> {
    match open(home)? {
        Some(quotas) => Ok(dir::sync(&quotas)?),
        None => Ok(()),
    }
}

/// Removes the limits of layers that are gone: their discarding was interrupted.
pub(super) fn tidy(home: &Home, exists: impl Fn(&CacheId) -> Result<bool>) -> Result<()> {
    let Some(quotas) = open(home)? else { return Ok(()) };
    for entry in dir::list(&quotas)? {
        let id = entry.name.to_str().and_then(|name| CacheId::parse(name).ok());
        if let Some(id) = id.filter(|id| layer_name(id).is_ok())
            && !exists(&id)?
        {
            forget(home, &id)?;
        }
    }
    Ok(())
}
