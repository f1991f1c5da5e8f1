//! A thin pool of device-mapper: messages to it, what it says of itself, and devices of it (kernel
//! Documentation/admin-guide/device-mapper/thin-provisioning.rst).

use std::path::PathBuf;
use std::time::Duration;

use sys::dm::{self, Control, Removal, Target};
use sys::{Errno, OwnedFd, block};

use super::metadata::Device;
use crate::{Error, Result};

/// Device numbers have 24 bits.
pub(super) const MAX_ID: u32 = 0xff_ffff;

/// How often and how long something is waited for that goes away by itself.
const TRIES: u32 = 2000;
const PAUSE: Duration = Duration::from_millis(5);

/// A pool that is active, and stays so as long as this lives.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) control: Control,
    pub(super) name: String,
    pub(super) device: (u32, u32),
    _hold: OwnedFd,
}

/// What a pool says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// The last transaction that was finished.
    pub(super) transaction: u64,
    /// Used and all blocks of 4096 bytes.
    pub(super) metadata: (u64, u64),
    /// Used and all blocks.
    pub(super) data: (u64, u64),
    /// The size of such a block in bytes.
    pub(super) block: u64,
}

/// A device that is active, and stays so as long as this lives, or something on it is mounted.
#[derive(Debug)]
pub(super) struct Active {
    /// Open for reading.
    pub(super) hold: OwnedFd,
    /// Its node.
    pub(super) node: PathBuf,
}

impl Pool {
    /// Takes hold of the device-mapper device `name`; `None` if there is none.
    pub(super) fn find(control: Control, name: &str) -> Result<Result<Self, Control>> {
        let Some((hold, device)) = take_hold(&control, name)? else { return Ok(Err(control)) };
        let kind = control.status(name)?.map(|target| target.kind);
        if kind.as_deref() != Some("thin-pool") {
            return Err(Error::Devices(format!("devmapper: Device {name} is not a thin pool")));
        }
        Ok(Ok(Self { control, name: name.to_owned(), device, _hold: hold }))
    }

    /// Makes a pool of a device for data and one for metadata. It goes when nobody uses it any more.
    pub(super) fn make(
        control: Control,
        name: &str,
        data: &OwnedFd,
        devices: &str,
        sectors: u32,
    ) -> Result<Self> {
        // 32768: so many free blocks are few, of which nobody waits to hear. One feature: new blocks are not zeroed,
        // for file systems do not read what they did not write.
        let text = format!("{devices} {sectors} 32768 1 skip_block_zeroing");
        let target = Target { sectors: block::size(data)? / 512, kind: "thin-pool".to_owned(), text };
        control.create(name, &target)?;
        let gone = || Error::Devices(format!("devmapper: the pool {name} is gone"));
        let (hold, device) = take_hold(&control, name)?.ok_or_else(gone)?;
        // Docker goes by the name.
        dm::make_named_node(name, device)?;
        control.remove(name, Removal::WhenUnused)?;
        Ok(Self { control, name: name.to_owned(), device, _hold: hold })
    }

    /// What the pool says of itself.
    pub(super) fn usage(&self) -> Result<Usage> {
        let target = self.control.status(&self.name)?;
        target.as_ref().and_then(parse_usage).ok_or_else(|| {
            let said = target.map_or_else(String::new, |target| target.text);
            Error::Devices(format!(
                "devmapper: the pool {} is broken (it says \"{said}\"): deactivate it, and run thin_check or \
                 thin_repair on its metadata",
                self.name
            ))
        })
    }

    /// Makes the device `id`, empty or as a snapshot.
    pub(super) fn create(&self, id: u32, origin: Option<u32>) -> sys::Result<()> {
        self.tell(&match origin {
            Some(origin) => format!("create_snap {id} {origin}"),
            None => format!("create_thin {id}"),
        })
    }

    /// Deletes the device `id`; `EBUSY` if it is active, `ENODATA` if it is not there.
    pub(super) fn delete(&self, id: u32) -> sys::Result<()> {
        self.tell(&format!("delete {id}"))
    }

    /// Says that the transaction `id` is finished.
    pub(super) fn finish(&self, id: u64) -> sys::Result<()> {
        self.tell(&format!("set_transaction_id {} {id}", id - 1))
    }

    fn tell(&self, text: &str) -> sys::Result<()> {
        self.control.message(&self.name, text)
    }

    /// Makes a device active under a name; it goes from there when nobody uses it any more. One that is active under
    /// that name is taken as it is.
    pub(super) fn activate(&self, name: &str, device: &Device) -> Result<Active> {
        let (major, minor) = self.device;
        let text = format!("{major}:{minor} {}", device.id);
        let target = Target { sectors: device.size / 512, kind: "thin".to_owned(), text };
        for _ in 0..TRIES {
            if let Some((hold, numbers)) = take_hold(&self.control, name)? {
                self.control.remove(name, Removal::WhenUnused)?;
                return Ok(Active { hold, node: dm::node(numbers) });
            }
            match self.control.create(name, &target) {
                // Somebody else was faster.
                Err(e) if matches!(e.errno, Errno::BUSY | Errno::EXIST) => std::thread::sleep(PAUSE),
                other => drop(other?),
            }
        }
        Err(Error::Devices(format!("devmapper: the device {name} does not become active")))
    }

    /// Lets a device go that is active under a name, now or as soon as nobody uses it.
    pub(super) fn release(&self, name: &str) -> Result<()> {
        Ok(self.control.remove(name, Removal::WhenUnused)?)
    }

    /// Waits until a device has gone that nobody uses.
    pub(super) fn deactivate(&self, name: &str) -> Result<()> {
        for _ in 0..TRIES / 5 {
            match self.control.remove(name, Removal::Now) {
                Err(e) if e.errno == Errno::BUSY => std::thread::sleep(PAUSE),
                other => return Ok(other?),
            }
        }
        Ok(self.control.remove(name, Removal::Now)?)
    }
}

/// Opens a device by its name, so that it stays; `None` if there is none. One that is on its way out is waited for.
fn take_hold(control: &Control, name: &str) -> Result<Option<(OwnedFd, (u32, u32))>> {
    for n in 0..TRIES {
        let Some(info) = control.info(name)? else { return Ok(None) };
        if !info.has_table {
            // Somebody is making it; if that takes so long, he has been killed.
            if n < TRIES / 4 {
                std::thread::sleep(PAUSE);
                continue;
            }
            control.remove(name, Removal::Now)?;
            return Ok(None);
        }
        match block::open_read(&dm::node(info.device)) {
            // The number may be another device's by now.
            Ok(hold) if control.info(name)?.is_some_and(|now| now.device == info.device) => {
                return Ok(Some((hold, info.device)));
            }
            Ok(_) => {}
            Err(e) if matches!(e.errno, Errno::NOENT | Errno::NXIO | Errno::NODEV | Errno::BUSY) => {}
            Err(e) => return Err(e.into()),
        }
        std::thread::sleep(PAUSE);
    }
    Err(Error::Devices(format!("devmapper: the device {name} cannot be opened")))
}

/// `TRANSACTION USED/ALL USED/ALL …`, of metadata and data.
fn parse_usage(target: &Target) -> Option<Usage> {
    let mut words = target.text.split(' ');
    let transaction = words.next()?.parse().ok()?;
    let mut pair = || {
        let (used, all) = words.next()?.split_once('/')?;
        Some((used.parse().ok()?, all.parse().ok()?))
    };
    let (metadata, data): (_, (u64, u64)) = (pair()?, pair()?);
    Some(Usage { transaction, metadata, data, block: (target.sectors * 512).checked_div(data.1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pool_says_is_understood() {
        let said = |text: &str| {
            parse_usage(&Target { sectors: 4_194_304, kind: "thin-pool".to_owned(), text: text.to_owned() })
        };
        let usage = said("3 17/4096 250/32768 - rw discard_passdown queue_if_no_space - 1024").unwrap();
        assert_eq!((usage.transaction, usage.metadata, usage.data), (3, (17, 4096), (250, 32768)));
        assert_eq!(usage.block, 65536);
        assert_eq!(said("Fail"), None);
        assert_eq!(said("1 2/3 0/0 -"), None);
    }
}
