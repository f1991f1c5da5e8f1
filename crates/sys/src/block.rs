//! Block devices: files as devices, sizes, discards, and growing the file system on a device.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{At, Error, Result};
use crate::{AsFd, AsRawFd, OwnedFd, raw};

/// A loop device: a file as a block device. It lasts as long as somebody has it open.
#[derive(Debug)]
pub struct Loop {
    /// The device.
    pub fd: OwnedFd,
    /// Its node, such as `/dev/loop0`.
    pub path: PathBuf,
}

impl Loop {
    /// Makes a device of an open file, which must be readable and writable.
    ///
    /// # Errors
    /// `ENOENT`: the module `loop` is not loaded, or this place has no `/dev/loop-control`.
    pub fn attach(file: impl AsFd) -> Result<Self> {
        const AUTOCLEAR: u32 = 4;
        let control = Path::new("/dev/loop-control");
        let control_fd = open(control)?;
        loop {
            let number = raw::loop_free(control_fd.as_fd()).at("find a free loop device by", control)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let fd = open(&path)?;
            let config = raw::LoopConfig {
                file: u32::try_from(file.as_fd().as_raw_fd()).unwrap_or(u32::MAX),
                block_size: 0,
                numbers: [0; 5],
                number,
                encryption: [0; 2],
                flags: AUTOCLEAR,
                file_name: [0; 64],
                cipher: [0; 64],
                key: [0; 32],
                init: [0; 2],
                reserved: [0; 8],
            };
            match raw::loop_configure(fd.as_fd(), &config) {
                Ok(()) => return Ok(Self { fd, path }),
                // Another process was faster.
                Err(Errno::BUSY) => {}
                Err(e) => return Err(e).at("make a loop device of", &crate::error::path_of(file)),
            }
        }
    }
}

/// Opens a device for reading and writing.
pub fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).at("open", path)
}

/// Opens a device for reading: as long as it is open it stays.
pub fn open_read(path: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at("open", path)
}

/// Major and minor number of a device, as [`Meta::dev`](crate::Meta) has them in one.
pub fn numbers(device: u64) -> (u32, u32) {
    (rustix::fs::major(device), rustix::fs::minor(device))
}

/// All loop devices that have a file, and the files, by the names that they had when they became devices.
pub fn loops() -> Result<Vec<(PathBuf, PathBuf)>> {
    let path = Path::new("/sys/block");
    let entries = std::fs::read_dir(path).map_err(|e| crate::error::error_from("list", path, &e))?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if let Ok(text) = std::fs::read_to_string(entry.path().join("loop/backing_file")) {
            found.push((Path::new("/dev").join(entry.file_name()), text.trim_end_matches('\n').into()));
        }
    }
    Ok(found)
}

/// The size of a device in bytes.
pub fn size(device: impl AsFd) -> Result<u64> {
    raw::block_size(device.as_fd()).at_fd("ask the size of", &device)
}

/// Says of all of a device that it is not needed: what is below can give the space back.
pub fn discard(device: impl AsFd) -> Result<()> {
    let size = size(&device)?;
    raw::block_discard(device.as_fd(), 0, size).at_fd("discard", &device)
}

/// Lets a mounted file system grow to the size of its device. `root` is any directory of it, reached through a mount
/// that can be written to.
///
/// # Errors
/// `EOPNOTSUPP`: `kind` is neither `ext4` nor `xfs`.
pub fn grow(root: impl AsFd, kind: &str, bytes: u64) -> Result<()> {
    /// The part of an xfs that inodes may take where nobody says otherwise (mkfs.xfs(8), `maxpct`, below 1 TiB).
    const INODES: u32 = 25;
    let block = rustix::fs::fstatfs(&root).at_fd("statfs", &root)?.f_bsize;
    let blocks = bytes / u64::try_from(block).ok().filter(|size| *size > 0).unwrap_or(4096);
    match kind {
        "ext4" => raw::ext4_grow(root.as_fd(), blocks),
        "xfs" => raw::xfs_grow(root.as_fd(), blocks, INODES),
        _ => Err(Errno::OPNOTSUPP),
    }
    .at_fd("grow the file system of", &root)
}

/// What is on a device, as far as its first blocks tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// `ext4` (also for what it grew out of) or `xfs`.
    pub kind: &'static str,
    /// Its UUID, as 36 characters.
    pub uuid: String,
}

/// The file system on a device; `None` if it is another one than [`Content`] has words for, or none.
pub fn content(device: impl AsFd) -> Result<Option<Content>> {
    let mut head = [0; 2048];
    crate::file::read_at(&device, &mut head, 0)?;
    // xfs: magic `XFSB` at 0, UUID at 32 (xfs_dsb of the kernel). ext4: magic 0xef53 at 0x438, UUID at 0x468
    // (ext4_super_block of the kernel).
    let (kind, at) = if head.starts_with(b"XFSB") {
        ("xfs", 32)
    } else if head[0x438..0x43a] == [0x53, 0xef] {
        ("ext4", 0x468)
    } else {
        return Ok(None);
    };
    Ok(Some(Content { kind, uuid: uuid(&head[at..at + 16]) }))
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The node of a device by its numbers, as the kernel named it; `EINVAL` if there is none.
pub fn node((major, minor): (u32, u32)) -> Result<PathBuf> {
    let path = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/uevent"));
    let text = std::fs::read_to_string(&path).map_err(|e| crate::error::error_from("read", &path, &e))?;
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    name.map(|name| Path::new("/dev").join(name))
        .ok_or_else(|| Error::new("find the node by", path, Errno::INVAL))
}

/// The file behind a loop device, by the device's numbers; `None` for any other device.
pub fn backing_file((major, minor): (u32, u32)) -> Option<PathBuf> {
    let path = format!("/sys/dev/block/{major}:{minor}/loop/backing_file");
    std::fs::read_to_string(path).ok().map(|text| PathBuf::from(text.trim_end_matches('\n')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_a_device_is_told_by_its_first_blocks() {
        let tmp = tempfile::tempdir().unwrap();
        let content_of = |bytes: &[u8]| {
            std::fs::write(tmp.path().join("device"), bytes).unwrap();
            content(std::fs::File::open(tmp.path().join("device")).unwrap()).unwrap()
        };
        let mut ext4 = vec![0; 4096];
        ext4[0x438..0x43a].copy_from_slice(&[0x53, 0xef]);
        ext4[0x468..0x478].copy_from_slice(&(0..16).collect::<Vec<u8>>());
        let found = content_of(&ext4).unwrap();
        assert_eq!((found.kind, found.uuid.as_str()), ("ext4", "00010203-0405-0607-0809-0a0b0c0d0e0f"));
        assert_eq!(content_of(&[b"XFSB".as_slice(), &[0; 4096]].concat()).unwrap().kind, "xfs");
        assert_eq!(content_of(&[0; 4096]), None);
        assert_eq!(content_of(b"short"), None);
    }
}
