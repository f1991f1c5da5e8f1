//! The files in `devicemapper/metadata/`, in Docker's format (moby.md §9.7): one for each device, one for the set, and
//! one for the transaction that is open.

use std::ffi::OsStr;

use serde::{Deserialize, Serialize};
use sys::{OwnedFd, atomic};

use crate::{Error, Result};

/// The device that all layers without a parent are snapshots of.
pub(super) const BASE: &str = "base";
const SET: &str = "deviceset-metadata";
const TRANSACTION: &str = "transaction-metadata";

/// The mode of all these files.
const MODE: u32 = 0o600;

/// A thin device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    /// Its number in the pool, of 24 bits.
    #[serde(rename = "device_id")]
    pub(super) id: u32,
    /// In bytes.
    pub(super) size: u64,
    /// The transaction that made it.
    pub(super) transaction_id: u64,
    /// Of the base device: whether it has a file system.
    pub(super) initialized: bool,
    /// Whether it is to be deleted as soon as nobody uses it.
    #[serde(default)]
    pub(super) deleted: bool,
}

/// What is about to be made or deleted. If the pool has not reached the transaction, it was not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    #[serde(rename = "open_transaction_id")]
    pub(super) id: u64,
    /// The name of the device's file, empty for the base.
    #[serde(rename = "device_hash")]
    pub(super) hash: String,
    #[serde(rename = "device_id")]
    pub(super) device: u32,
}

/// What is known of all devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Set {
    /// The number that was given last. Docker writes it when it ends, and looks for a free one after it.
    #[serde(rename = "next_device_id")]
    pub(super) last: u32,
    /// By which a pool is known to be the one of before.
    #[serde(rename = "BaseDeviceUUID", default)]
    pub(super) base_uuid: String,
    #[serde(rename = "BaseDeviceFilesystem", default)]
    pub(super) base_fs: String,
}

/// Whether a file in the directory belongs to a layer.
pub(super) fn is_layer(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with(".migrated") && ![BASE, SET, TRANSACTION].contains(&name)
}

/// The directory of these files.
#[derive(Debug)]
pub(super) struct Files(pub(super) OwnedFd);

impl Files {
    /// The device of this name, those that are to be deleted too.
    pub(super) fn device(&self, name: &str) -> Result<Option<Device>> {
        read_device(&self.0, name)
    }

    /// Writes a device's file; durable when this returns.
    pub(super) fn write_device(&self, name: &str, device: &Device) -> Result<()> {
        write_device(&self.0, name, device)
    }

    /// What is known of all devices; nothing if there is no file.
    pub(super) fn set(&self) -> Result<Set> {
        Ok(read(&self.0, SET)?.unwrap_or_default())
    }

    /// Writes what is known of all devices; durable when this returns.
    pub(super) fn write_set(&self, set: &Set) -> Result<()> {
        write(&self.0, SET, set)
    }

    /// The last transaction that was begun.
    pub(super) fn transaction(&self) -> Result<Option<Transaction>> {
        read(&self.0, TRANSACTION)
    }

    /// Begins a transaction; durable when this returns.
    pub(super) fn begin(&self, transaction: &Transaction) -> Result<()> {
        write(&self.0, TRANSACTION, transaction)
    }

    /// Forgets the transaction that was begun last.
    pub(super) fn forget_transaction(&self) -> Result<()> {
        remove(&self.0, TRANSACTION)
    }
}

/// The device whose file `name` is in `dir`.
pub(super) fn read_device(dir: &OwnedFd, name: &str) -> Result<Option<Device>> {
    read(dir, name)
}

/// Writes a device's file to `dir`; durable when this returns.
pub(super) fn write_device(dir: &OwnedFd, name: &str, device: &Device) -> Result<()> {
    write(dir, name, device)
}

/// Removes a file; that it is not there is no error.
pub(super) fn remove(dir: &OwnedFd, name: &str) -> Result<()> {
    match sys::dir::unlink(dir, OsStr::new(name)) {
        Err(e) if !e.is_not_found() => Err(e.into()),
        _ => Ok(()),
    }
}

fn read<T: for<'a> Deserialize<'a>>(dir: &OwnedFd, name: &str) -> Result<Option<T>> {
    let Some(text) = atomic::find(dir, OsStr::new(name))? else { return Ok(None) };
    let parsed = serde_json::from_slice(&text);
    let path = || sys::dir::path(dir).join(name).display().to_string();
    Ok(Some(parsed.map_err(|e| Error::Devices(format!("devmapper: {}: {e}", path())))?))
}

fn write<T: Serialize>(dir: &OwnedFd, name: &str, value: &T) -> Result<()> {
    let text = serde_json::to_vec(value);
    let text = text.map_err(|e| Error::Devices(format!("devmapper: {name}: {e}")))?;
    Ok(atomic::write(dir, OsStr::new(name), MODE, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn files_are_docker_s() {
        let device = Device { id: 2, size: 10 << 30, transaction_id: 3, initialized: false, deleted: false };
        assert_eq!(
            text(&device),
            r#"{"device_id":2,"size":10737418240,"transaction_id":3,"initialized":false,"deleted":false}"#
        );
        assert_eq!(
            text(&Transaction { id: 4, hash: "ab".to_owned(), device: 2 }),
            r#"{"open_transaction_id":4,"device_hash":"ab","device_id":2}"#
        );
        assert_eq!(
            text(&Set { last: 1, base_uuid: "u".to_owned(), base_fs: "xfs".to_owned() }),
            r#"{"next_device_id":1,"BaseDeviceUUID":"u","BaseDeviceFilesystem":"xfs"}"#
        );
    }

    #[test]
    fn files_of_older_dockers_are_read() {
        let device: Device =
            serde_json::from_str(r#"{"device_id":1,"size":5,"transaction_id":1,"initialized":true}"#)
                .unwrap();
        assert!(!device.deleted);
        let set: Set = serde_json::from_str(r#"{"next_device_id":7}"#).unwrap();
        assert_eq!((set.last, set.base_uuid.as_str()), (7, ""));
    }

    #[test]
    fn only_layers_are_layers() {
        for name in ["base", "deviceset-metadata", "transaction-metadata", ".tmp123", "json.migrated"] {
            assert!(!is_layer(name), "{name}");
        }
        assert!(is_layer("0123-init"));
    }
}
