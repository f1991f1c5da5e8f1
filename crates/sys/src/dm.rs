//! Device-mapper: devices that the kernel makes of others, by the ioctls of `/dev/mapper/control` (kernel
//! `include/uapi/linux/dm-ioctl.h`).
//!
//! A device has a name and a table, here always of one target. udev is told to leave these devices alone, for whatever
//! looks into a device keeps it from being removed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{At, Error, Result};
use crate::{AsFd, OwnedFd};

/// Where the nodes are.
pub const NODES: &str = "/dev/mapper";

/// `struct dm_ioctl`.
const HEAD: usize = 312;
/// `struct dm_target_spec`.
const SPEC: usize = 40;
/// The longest name, without its NUL (`DM_NAME_LEN`).
const MAX_NAME: usize = 127;

// The numbers of the ioctls.
const VERSION: u8 = 0;
const CREATE: u8 = 3;
const REMOVE: u8 = 4;
const RENAME: u8 = 5;
const SUSPEND: u8 = 6;
const INFO: u8 = 7;
const LOAD: u8 = 9;
const STATUS: u8 = 12;
const LIST_TARGETS: u8 = 13;
const MESSAGE: u8 = 14;
const CANCEL: &str = "@cancel_deferred_remove";

// Flags in `struct dm_ioctl`.
const SUSPENDED: u32 = 1 << 1;
const TABLE_NOT_STATUS: u32 = 1 << 4;
const HAS_TABLE: u32 = 1 << 5;
const TRUNCATED: u32 = 1 << 8;
const DEFERRED: u32 = 1 << 17;

/// What udev's rules read of an event: leave the device to its maker (`DM_UDEV_DISABLE_*` of libdevmapper.h).
const UDEV_OFF: u32 = 0x000f << 16;

/// The device through which the kernel is asked.
#[derive(Debug)]
pub struct Control(OwnedFd);

/// One target: the whole table of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its length in sectors of 512 bytes.
    pub sectors: u64,
    /// Such as `thin-pool`.
    pub kind: String,
    /// What the target is told, or tells.
    pub text: String,
}

/// What the kernel says of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Major and minor number.
    pub device: (u32, u32),
    /// How many have it open; mounts count.
    pub open: u32,
    /// Whether it has a table. Without one it is no use: whoever made it is not done, or has died.
    pub has_table: bool,
    /// Whether its input and output wait.
    pub suspended: bool,
    /// Whether it goes as soon as nobody has it open.
    pub leaves: bool,
}

/// How a device is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Now; `EBUSY` if somebody has it open.
    Now,
    /// As soon as nobody has it open (Linux 3.13).
    WhenUnused,
}

impl Control {
    /// Opens `/dev/mapper/control`.
    ///
    /// # Errors
    /// `ENOENT`: the module `dm_mod` is not loaded.
    pub fn open() -> Result<Self> {
        let path = Path::new(NODES).join("control");
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, &path, flags, Mode::empty()).at("open", &path)?))
    }

    /// The version of the interface: major, minor, patch.
    pub fn version(&self) -> Result<[u32; 3]> {
        let mut call = Call::new("", 0)?;
        call.run(self, VERSION, "ask the version of")?;
        Ok([call.word(0), call.word(4), call.word(8)])
    }

    /// The kinds of targets that the kernel has loaded, such as `thin-pool`.
    pub fn targets(&self) -> Result<Vec<String>> {
        let mut call = Call::new("", 0)?;
        call.run_long(self, LIST_TARGETS, "list the targets of")?;
        // Each: the offset of the next from this one, three numbers of a version, a name.
        let (mut at, mut kinds) = (call.data(), Vec::new());
        loop {
            kinds.push(call.text(at + 16));
            match call.word(at) as usize {
                0 => return Ok(kinds),
                next => at += next,
            }
        }
    }

    /// What there is of a device; `None` if there is none of that name.
    pub fn info(&self, name: &str) -> Result<Option<Info>> {
        let mut call = Call::new(name, 0)?;
        match call.run(self, INFO, "look at the device") {
            Ok(()) => Ok(Some(call.info())),
            Err(e) if e.errno == Errno::NXIO => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Makes a device of that name.
    ///
    /// # Errors
    /// `EBUSY`: there is one. After an error there is none that was not there before.
    pub fn create(&self, name: &str, target: &Target) -> Result<Info> {
        Call::new(name, 0)?.run(self, CREATE, "create the device")?;
        let made = self.load(name, target).and_then(|()| self.resume(name));
        if made.is_err() {
            let _ = self.remove(name, Removal::Now);
        }
        made
    }

    /// Gives a device another table, which holds from the next [`resume`](Self::resume).
    pub fn load(&self, name: &str, target: &Target) -> Result<()> {
        let mut call = Call::new(name, SPEC + target.text.len() + 1)?;
        call.set_word(TARGETS, 1);
        let at = HEAD;
        call.set_long(at + 8, target.sectors);
        call.set_bytes(at + 24, target.kind.as_bytes());
        call.set_bytes(at + SPEC, target.text.as_bytes());
        call.run(self, LOAD, "load the table of the device")
    }

    /// Lets reads and writes go on, with the table that was loaded last.
    pub fn resume(&self, name: &str) -> Result<Info> {
        let mut call = Call::new(name, 0)?;
        call.set_word(EVENT, UDEV_OFF);
        call.run(self, SUSPEND, "resume the device")?;
        Ok(call.info())
    }

    /// Freezes the file system on a device, and lets reads and writes wait. Ended by [`resume`](Self::resume) only.
    pub fn suspend(&self, name: &str) -> Result<()> {
        let mut call = Call::new(name, 0)?;
        call.set_word(FLAGS, SUSPENDED);
        call.run(self, SUSPEND, "suspend the device")
    }

    /// Removes a device; that it is not there is no error.
    pub fn remove(&self, name: &str, removal: Removal) -> Result<()> {
        let mut call = Call::new(name, 0)?;
        call.set_word(FLAGS, if removal == Removal::WhenUnused { DEFERRED } else { 0 });
        call.set_word(EVENT, UDEV_OFF);
        match call.run(self, REMOVE, "remove the device") {
            Err(e) if e.errno == Errno::NXIO => Ok(()),
            other => other,
        }
    }

    /// Gives a device another name. `ENXIO`: there is none of the first, `EBUSY`: there is one of the second.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        if to.len() > MAX_NAME || to.contains('/') {
            return Err(Error::new("name the device", named_node(to), Errno::INVAL));
        }
        let mut call = Call::new(from, to.len() + 1)?;
        call.set_word(EVENT, UDEV_OFF);
        call.set_bytes(HEAD, to.as_bytes());
        call.run(self, RENAME, "rename the device")
    }

    /// Lets a device stay that was to leave. `ENXIO`: it is gone.
    pub fn keep(&self, name: &str) -> Result<()> {
        self.message(name, CANCEL)
    }

    /// Sends a message to a device's target. The answer is the target's error alone.
    pub fn message(&self, name: &str, text: &str) -> Result<()> {
        let mut call = Call::new(name, 8 + text.len() + 1)?;
        call.set_bytes(HEAD + 8, text.as_bytes());
        call.run(self, MESSAGE, "send a message to the device")
    }

    /// The table of a device; `None` if there is no such device, or it has none.
    pub fn table(&self, name: &str) -> Result<Option<Target>> {
        self.target(name, TABLE_NOT_STATUS)
    }

    /// What the target of a device says of itself; `None` as for [`table`](Self::table).
    pub fn status(&self, name: &str) -> Result<Option<Target>> {
        self.target(name, 0)
    }

    fn target(&self, name: &str, flags: u32) -> Result<Option<Target>> {
        let mut call = Call::new(name, 0)?;
        call.set_word(FLAGS, flags);
        match call.run_long(self, STATUS, "ask the device") {
            Ok(()) if call.word(TARGETS) > 0 => {}
            Ok(()) => return Ok(None),
            Err(e) if e.errno == Errno::NXIO => return Ok(None),
            Err(e) => return Err(e),
        }
        let at = call.data();
        Ok(Some(Target { sectors: call.long(at + 8), kind: call.text(at + 24), text: call.text(at + SPEC) }))
    }
}

/// The node that the kernel itself makes of a device, and removes with it.
pub fn node(device: (u32, u32)) -> PathBuf {
    PathBuf::from(format!("/dev/dm-{}", device.1))
}

/// Where a device has a node of its name, if somebody makes one.
pub fn named_node(name: &str) -> PathBuf {
    Path::new(NODES).join(name)
}

/// Makes the node of that name, for those who go by it. One that is there of an earlier device is replaced, a link
/// (udev's) is left.
pub fn make_named_node(name: &str, device: (u32, u32)) -> Result<()> {
    let dir = crate::dir::open_path(Path::new(NODES))?;
    let name = OsStr::new(name);
    if let Some(found) = crate::meta::find(&dir, name)? {
        if found.rdev == device || found.kind == crate::FileKind::Symlink {
            return Ok(());
        }
        crate::dir::unlink(&dir, name)?;
    }
    crate::dir::mknod(&dir, name, crate::FileKind::BlockDevice, 0o600, device.0, device.1)
}

// Offsets in `struct dm_ioctl`.
const SIZE: usize = 12;
const DATA: usize = 16;
const TARGETS: usize = 20;
const OPENS: usize = 24;
const FLAGS: usize = 28;
const EVENT: usize = 32;
const DEVICE: usize = 40;
const NAME: usize = 48;

/// One ioctl: a `struct dm_ioctl`, and the data that follows it.
struct Call {
    bytes: Vec<u8>,
    path: PathBuf,
}

impl Call {
    /// Room for `data` bytes after the head.
    fn new(name: &str, data: usize) -> Result<Self> {
        let path = named_node(name);
        if name.len() > MAX_NAME || name.contains('/') {
            return Err(Error::new("name the device", path, Errno::INVAL));
        }
        let mut call = Self { bytes: vec![0; HEAD + data.next_multiple_of(8)], path };
        call.set_word(0, 4); // the major version
        call.set_bytes(NAME, name.as_bytes());
        Ok(call)
    }

    fn run(&mut self, control: &Control, command: u8, op: &'static str) -> Result<()> {
        let size = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.set_word(SIZE, size);
        self.set_word(DATA, HEAD as u32);
        crate::raw::dm_ioctl(control.0.as_fd(), command, &mut self.bytes).at(op, &self.path)
    }

    /// As [`run`](Self::run), with as much room for the answer as it takes.
    fn run_long(&mut self, control: &Control, command: u8, op: &'static str) -> Result<()> {
        let asked = self.bytes.clone();
        let mut room = 4096;
        loop {
            self.bytes = asked.clone();
            self.bytes.resize(HEAD + room, 0);
            self.run(control, command, op)?;
            if self.word(FLAGS) & TRUNCATED == 0 {
                return Ok(());
            }
            room *= 4;
        }
    }

    fn info(&self) -> Info {
        let flags = self.word(FLAGS);
        let device = self.word(DEVICE);
        Info {
            // As the kernel packs device numbers into 32 bits.
            device: ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00)),
            open: self.word(OPENS),
            has_table: flags & HAS_TABLE != 0,
            suspended: flags & SUSPENDED != 0,
            leaves: flags & DEFERRED != 0,
        }
    }

    /// Where the data begins.
    fn data(&self) -> usize {
        self.word(DATA) as usize
    }

    fn word(&self, at: usize) -> u32 {
        self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
    }

    fn long(&self, at: usize) -> u64 {
        self.bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes)
    }

    /// The string that begins here.
    fn text(&self, at: usize) -> String {
        let rest = self.bytes.get(at..).unwrap_or_default();
        String::from_utf8_lossy(rest.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
    }

    fn set_word(&mut self, at: usize, value: u32) {
        self.set_bytes(at, &value.to_ne_bytes());
    }

    fn set_long(&mut self, at: usize, value: u64) {
        self.set_bytes(at, &value.to_ne_bytes());
    }

    fn set_bytes(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        assert_eq!(Call::new(&"n".repeat(128), 0).err().unwrap().errno, Errno::INVAL);
        assert_eq!(Call::new("../sda", 0).err().unwrap().errno, Errno::INVAL);
    }

    #[test]
    fn large_device_numbers_are_unpacked() {
        let mut call = Call::new("x", 0).unwrap();
        // Major 254, minor 0x12345.
        call.set_word(DEVICE, 0x1230_fe45);
        assert_eq!(call.info().device, (254, 0x12345));
    }
}
