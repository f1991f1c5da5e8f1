//! Changes of the pool, one at a time. A change is a transaction as Docker's are: what is about to happen is written
//! down, then happens, then the pool is told that it is finished. What a crash left half done is undone by whoever
//! comes next, Docker or we.

use std::collections::HashSet;
use std::sync::Arc;

use model::CacheId;
use sys::lock::Lock;
use sys::{Errno, OwnedFd, dir};

use super::metadata::{self, BASE, Device, Transaction};
use super::pool::{MAX_ID, Pool};
use super::{Note, ThinDevices};
use crate::{Error, Result};

/// The right to change the pool, which one process has at a time.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) devices: &'a ThinDevices,
    pub(super) pool: Arc<Pool>,
    pub(super) _lock: Lock,
}

/// What a new device is a snapshot of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) device: &'a Device,
    /// The name under which it is active, if it is.
    pub(super) name: &'a str,
}

impl Session<'_> {
    /// Makes a device, and writes its file as `name` to `dir`. `hash` is what Docker would undo the transaction by.
    pub(super) fn make(
        &self,
        hash: &str,
        origin: Option<Origin<'_>>,
        size: u64,
        (dir, name): (&OwnedFd, &str),
    ) -> Result<Device> {
        self.require_space()?;
        let transaction_id = self.pool.usage()?.transaction + 1;
        let mut free = self.free_ids()?;
        let frozen = origin.map(|origin| Frozen::new(&self.pool, origin.name)).transpose()?;
        let mut refused = None;
        // A number that no file has can still be taken: Docker does not know our stages.
        for _ in 0..1000 {
            let id = free
                .next()
                .ok_or_else(|| Error::Devices("devmapper: Unable to find a free device ID".to_owned()))?;
            self.devices.metadata.begin(&Transaction {
                id: transaction_id,
                hash: hash.to_owned(),
                device: id,
            })?;
            match self.pool.create(id, origin.map(|origin| origin.device.id)) {
                Ok(()) => {
                    drop(frozen);
                    let device = Device { id, size, transaction_id, initialized: false, deleted: false };
                    let done = metadata::write_device(dir, name, &device);
                    let done = done.and_then(|()| Ok(self.pool.finish(transaction_id)?));
                    if done.is_err() {
                        let _ = self.pool.delete(id);
                        let _ = metadata::remove(dir, name);
                        let _ = self.devices.metadata.forget_transaction();
                    }
                    return done.map(|()| device);
                }
                Err(e) => {
                    // Nothing was made: nothing is to be undone.
                    self.devices.metadata.forget_transaction()?;
                    let taken = e.is_exists();
                    refused = Some(e);
                    if !taken {
                        break;
                    }
                }
            }
        }
        Err(refused.map_or_else(|| Error::Devices("devmapper: no device was made".to_owned()), Error::from))
    }

    /// Deletes a device and the file that says so. `false`: somebody uses it, nothing was done.
    pub(super) fn delete(&self, hash: &str, device: &Device, (dir, name): (&OwnedFd, &str)) -> Result<bool> {
        let id = self.pool.usage()?.transaction + 1;
        self.devices.metadata.begin(&Transaction { id, hash: hash.to_owned(), device: device.id })?;
        let deleted = match self.pool.delete(device.id) {
            Ok(()) => true,
            Err(e) if e.errno == Errno::NODATA => true,
            Err(e) if e.errno == Errno::BUSY => false,
            Err(e) => {
                self.devices.metadata.forget_transaction()?;
                return Err(e.into());
            }
        };
        if deleted {
            metadata::remove(dir, name)?;
        }
        self.pool.finish(id)?;
        Ok(deleted)
    }

    /// Undoes what was begun and not finished.
    pub(super) fn roll_back(&self) -> Result<()> {
        let Some(open) = self.devices.metadata.transaction()? else { return Ok(()) };
        if open.id <= self.pool.usage()?.transaction {
            return Ok(());
        }
        let name = if open.hash.is_empty() { BASE } else { &open.hash };
        let published = self.devices.metadata.device(name)?;
        // Whatever was begun: a device that a finished layer has was not made by it.
        let others = self.devices.published()?;
        if !others.iter().any(|(other, device)| other != name && device.id == open.device) {
            match self.pool.delete(open.device) {
                Err(e) if e.errno != Errno::NODATA => return Err(e.into()),
                _ => {}
            }
            if published.is_some_and(|device| device.id == open.device) {
                metadata::remove(&self.devices.metadata.0, name)?;
            }
            for note in self.devices.notes()?.into_iter().filter(|note| note.device.id == open.device) {
                metadata::remove(&note.dir, &note.name)?;
            }
        }
        self.devices.metadata.forget_transaction()
    }

    /// Removes what a file in the trash or in a stage stands for, and the file.
    pub(super) fn remove(&self, note: &Note) -> Result<()> {
        let id = note.id();
        // After Docker has undone something of ours, the number can be that of a layer of its.
        if self.devices.published()?.iter().any(|(_, device)| device.id == note.device.id) {
            return metadata::remove(&note.dir, &note.name);
        }
        self.release(&note.device, id)?;
        self.discard_blocks(&note.device, id);
        if self.delete(id, &note.device, (&note.dir, &note.name))? {
            return Ok(());
        }
        if !self.devices.options.deferred_deletion {
            return Err(Error::Devices(format!(
                "devmapper: the device of {id} is in use, and dm.use_deferred_deletion is false"
            )));
        }
        // What Docker does, too: whoever comes later deletes it.
        let deleted = Device { deleted: true, ..note.device.clone() };
        self.devices.metadata.write_device(id, &deleted)?;
        metadata::remove(&note.dir, &note.name)
    }

    /// Deletes what was in use when it was to be deleted.
    pub(super) fn delete_deferred(&self) -> Result<()> {
        for (name, device) in self.devices.published()?.iter().filter(|(_, device)| device.deleted) {
            self.release(device, name)?;
            self.discard_blocks(device, name);
            self.delete(name, device, (&self.devices.metadata.0, name))?;
        }
        Ok(())
    }

    /// Lets a device go that a killed process has left active.
    fn release(&self, device: &Device, id: &str) -> Result<()> {
        self.pool.release(&self.devices.device_name(id))?;
        self.pool.release(&self.devices.staged_name(device))
    }

    /// Gives back the blocks that only this device has to what is below the pool, which deleting does not. Whatever is
    /// in the way of that, nothing is lost but space.
    fn discard_blocks(&self, device: &Device, id: &str) {
        let devices = self.devices;
        let names = [devices.device_name(id), devices.staged_name(device)];
        let in_use = |name: &String| !matches!(self.pool.control.info(name), Ok(None));
        if !devices.options.discard || names.iter().any(in_use) {
            return;
        }
        if let Ok(active) = self.pool.activate(&names[1], device) {
            let _ = block_discard(&active.node);
            drop(active);
            let _ = self.pool.deactivate(&names[1]);
        }
    }

    /// Refuses to make anything when the pool is nearly full.
    fn require_space(&self) -> Result<()> {
        let percent = self.devices.options.min_free;
        let usage = self.pool.usage()?;
        for (what, more, (used, all)) in [("data", "", usage.data), ("metadata", "metadata ", usage.metadata)]
        {
            let (free, least) = (all.saturating_sub(used), (all * percent / 100).max(1));
            if percent > 0 && free < least {
                return Err(Error::Devices(format!(
                    "devmapper: Thin Pool has {free} free {what} blocks which is less than minimum required {least} \
                     free {what} blocks. Create more free {more}space in thin pool or use dm.min_free_space option \
                     to change behavior"
                )));
            }
        }
        Ok(())
    }

    /// Numbers that no file has, beginning after the one that Docker gave last.
    fn free_ids(&self) -> Result<impl Iterator<Item = u32> + use<>> {
        let mut used: HashSet<u32> =
            self.devices.published()?.into_iter().map(|(_, device)| device.id).collect();
        used.extend(self.devices.notes()?.into_iter().map(|note| note.device.id));
        let last = self.devices.metadata.set()?.last & MAX_ID;
        let all = (1..=MAX_ID).map(move |n| (last + n) & MAX_ID);
        Ok(all.filter(move |id| !used.contains(id)))
    }

    /// Lets a device's users go on if whoever stopped them died.
    pub(super) fn wake(&self, name: &str) -> Result<()> {
        if self.pool.control.info(name)?.is_some_and(|info| info.suspended) {
            match self.pool.control.resume(name) {
                // It was on its way out.
                Err(e) if e.errno == Errno::NXIO => {}
                other => drop(other?),
            }
        }
        Ok(())
    }
}

/// The layer that a note's or a device's name is of.
pub(super) fn layer_of(name: &str) -> Option<CacheId> {
    CacheId::parse(name).ok()
}

fn block_discard(node: &std::path::Path) -> Result<()> {
    Ok(sys::block::discard(sys::block::open(node)?)?)
}

/// A device whose file system waits, complete on the disk, while this lives.
struct Frozen<'a> {
    pool: &'a Pool,
    name: &'a str,
    is_active: bool,
}

impl<'a> Frozen<'a> {
    fn new(pool: &'a Pool, name: &'a str) -> Result<Self> {
        let is_active = match pool.control.suspend(name) {
            Ok(()) => true,
            Err(e) if e.errno == Errno::NXIO => false,
            Err(e) => return Err(e.into()),
        };
        Ok(Self { pool, name, is_active })
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if self.is_active {
            let _ = self.pool.control.resume(self.name);
        }
    }
}

/// The directories of `dir`, open.
pub(super) fn directories(dir: &OwnedFd) -> Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for entry in dir::list(dir)? {
        if let Ok(fd) = dir::open(dir, &entry.name) {
            found.push(fd);
        }
    }
    Ok(found)
}
