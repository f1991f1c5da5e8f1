//! Inode numbers that stay: over a copy-up and over a remount (union-fs.md rules 31 and 40 to 45).
//!
//! A copy carries the handle of the inode that it was made from in `overlay.origin`, in the kernel's format
//! (`struct ovl_fb` of `fs/overlayfs/overlayfs.h`), so the kernel's overlay shows the same numbers.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::RwLock;

use rustix::fs::Statx;
use rustix::io::Errno;

use crate::backing::{self, At};
use crate::config::Xino;
use crate::node::Part;
use crate::union::Union;

/// Where the number of the file system goes.
const SHIFT: u32 = 56;

/// Makes one number space of those of several file systems.
#[derive(Debug)]
pub struct Numbers {
    apart: bool,
    /// The first is not marked in its numbers.
    devices: RwLock<Vec<u64>>,
}

impl Numbers {
    /// For layers on these devices.
    pub fn new(xino: Xino, devices: impl Iterator<Item = u64>) -> Self {
        let mut known = Vec::new();
        for device in devices {
            if !known.contains(&device) {
                known.push(device);
            }
        }
        Self { apart: xino != Xino::Off, devices: RwLock::new(known) }
    }

    /// The number that users see for an inode of a layer.
    pub fn of(&self, stat: &Statx) -> u64 {
        self.number(backing::device(stat), stat.stx_ino)
    }

    /// The same for an entry of a directory.
    pub fn number(&self, device: u64, ino: u64) -> u64 {
        if !self.apart || ino >> SHIFT != 0 {
            return ino; // as the kernel's `xino=auto`: where the bits are in use, the number stays as it is
        }
        ino | (self.index(device) << SHIFT)
    }

    fn index(&self, device: u64) -> u64 {
        let position = |devices: &[u64]| devices.iter().position(|d| *d == device);
        let known = position(&self.devices.read().unwrap_or_else(std::sync::PoisonError::into_inner));
        let index = known.unwrap_or_else(|| {
            // A file system inside a layer, such as a btrfs subvolume.
            let mut devices = self.devices.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            position(&devices).unwrap_or_else(|| {
                devices.push(device);
                devices.len() - 1
            })
        });
        (index as u64) & 0xff
    }
}

/// The head of a handle as OverlayFS stores it: version, magic, length, flags, type, UUID.
const HEAD: usize = 21;
const MAGIC: u8 = 0xfb;
/// The handle's words are big-endian.
const BIG_ENDIAN: u8 = 1;
/// The handle may be read on any machine.
const ANY_ENDIAN: u8 = 2;

/// The value of `overlay.origin` for an inode; nothing if its file system has no handles or no UUID.
pub fn encode_origin(at: At<'_>, uuid: &[u8; 16]) -> Option<Vec<u8>> {
    let handle = sys::handle::of(at.dir, at.name).ok()?;
    let kind = u8::try_from(handle.kind).ok()?;
    let len = u8::try_from(HEAD + handle.bytes.len()).ok()?;
    let flags = if cfg!(target_endian = "big") { BIG_ENDIAN } else { 0 };
    let mut value = vec![0, MAGIC, len, flags, kind];
    value.extend(uuid);
    value.extend(handle.bytes);
    Some(value)
}

/// A stored handle: the UUID of its file system, and the handle.
fn decode_origin(value: &[u8]) -> Option<([u8; 16], sys::handle::Handle)> {
    let (head, bytes) = value.split_at_checked(HEAD)?;
    let ours = if cfg!(target_endian = "big") { BIG_ENDIAN } else { 0 };
    let readable = head[3] & ANY_ENDIAN != 0 || head[3] & BIG_ENDIAN == ours;
    let sound = head[0] == 0 && head[1] == MAGIC && usize::from(head[2]) == value.len() && readable;
    let uuid = head[5..].try_into().ok()?;
    sound.then(|| (uuid, sys::handle::Handle { kind: i32::from(head[4]), bytes: bytes.to_vec() }))
}

/// The number of the inode that one of the upper layer was copied up from; nothing if it was not, or if that inode is
/// no more. Who may not open by handle finds it only where it most likely is: under the same name in the parts of its
/// directory `below`.
pub fn origin_ino(union: &Union, at: At<'_>, below: &[Part], name: &OsStr) -> Option<u64> {
    let mut value = [0; 160];
    let value = at.xattr(&union.marks.origin, &mut value).ok()??;
    let (uuid, handle) = decode_origin(value)?;
    let layer = union.lowers().map(|(_, layer)| layer).find(|layer| layer.uuid() == uuid)?;
    let origin: OwnedFd = match sys::handle::open(layer.readable().ok()?, &handle) {
        Ok(origin) => origin,
        Err(Errno::PERM) => {
            let same = |part: &&Part| sys::handle::of(&part.dir, name).is_ok_and(|found| found == handle);
            At::child(&below.iter().find(same)?.dir, name).pin().ok()?
        }
        Err(_) => return None,
    };
    let stat = At::itself(&origin).stat().ok()?;
    Some(union.numbers.of(&stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_two_file_systems_differ() {
        let numbers = Numbers::new(Xino::Auto, [7, 7, 9].into_iter());
        assert_eq!(numbers.number(7, 5), 5);
        assert_eq!(numbers.number(9, 5), 5 | 1 << SHIFT);
        assert_eq!(numbers.number(11, 5), 5 | 2 << SHIFT, "one that nobody told of");
        assert_eq!(numbers.number(9, 1 << 60), 1 << 60, "no room");
        assert_eq!(Numbers::new(Xino::Off, [7, 9].into_iter()).number(9, 5), 5);
    }

    #[test]
    fn an_origin_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let fd: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
        let uuid = [9; 16];
        let value = encode_origin(At::itself(&fd), &uuid).unwrap();
        assert_eq!((value[1], usize::from(value[2])), (MAGIC, value.len()));
        let (read, handle) = decode_origin(&value).unwrap();
        assert_eq!((read, handle), (uuid, sys::handle::of(&fd, std::ffi::OsStr::new("")).unwrap()));
        for broken in [&value[..20], &value[..value.len() - 1], b"", &[0; 40]] {
            assert!(decode_origin(broken).is_none());
        }
    }
}
