//! Files with several names in a lower layer (union-fs.md rules 30 and 47). When one of them is copied up, the copy also
//! gets a name in the work directory's `index/`, made of the handle of the lower file; so the other names lead to the
//! copy, now and after a remount. How many names the union shows is kept in an attribute of the copy.
//!
//! Names and values are those of the kernel's `index=on` (`fs/overlayfs/namei.c`, `ovl_get_index_name`).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use rustix::fs::{self as rfs, AtFlags};
use rustix::io::Errno;

use crate::backing::{At, Result};
use crate::identity;
use crate::marks;
use crate::union::Union;

impl Union {
    /// The copy of a lower file that has several names, if it was copied up under any of them.
    pub(crate) fn index_find(&self, at: At<'_>) -> Result<Option<OwnedFd>> {
        let Some(index) = self.work()?.index(false)? else { return Ok(None) };
        let Some(name) = self.index_name(at) else { return Ok(None) };
        match At::child(&index, &name).pin() {
            Ok(copy) => Ok(Some(copy)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Enters a copy that gets its first name next. Nothing happens on a file system without handles: there the names
    /// part, as they do in the kernel without `index=on`.
    pub(crate) fn index_add(&self, lower: At<'_>, copy: &OwnedFd, names: u32) -> Result<Option<()>> {
        let Some(name) = self.index_name(lower) else { return Ok(None) };
        let Some(index) = self.work()?.index(true)? else { return Ok(None) };
        // Two links are there afterwards: this one, and the name that is copied up.
        self.set_extra_names(At::itself(copy), i64::from(names) - 2)?;
        crate::copy_up::link_nameless(copy, &index, &name)?;
        Ok(Some(()))
    }

    /// Notes how many names an inode has in the union more than links in the upper file system.
    pub(crate) fn set_extra_names(&self, copy: At<'_>, extra: i64) -> Result<()> {
        marks::set(copy, &self.marks.nlink, &encode(extra))
    }

    /// Whether an inode's link count is kept in an attribute.
    pub(crate) fn is_counted(&self, at: At<'_>) -> Result<bool> {
        Ok(self.extra_names(at)?.is_some())
    }

    /// How many names an inode has in the union more than links in the upper file system.
    pub(crate) fn extra_names(&self, at: At<'_>) -> Result<Option<i64>> {
        let mut value = [0; 32];
        Ok(at.xattr(&self.marks.nlink, &mut value)?.and_then(decode))
    }

    /// Removes the entry of a file whose last name went, given the handle of its origin.
    pub(crate) fn index_remove(&self, copy: At<'_>) -> Result<()> {
        let Some(index) = self.work()?.index(false)? else { return Ok(()) };
        let Some(origin) = copy.xattr_vec(&self.marks.origin)? else { return Ok(()) };
        match rfs::unlinkat(&index, hex(&origin), AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    fn index_name(&self, at: At<'_>) -> Option<OsString> {
        let device = at.stat().map(|stat| crate::backing::device(&stat)).ok()?;
        let layer = self.lowers().map(|(_, layer)| layer).find(|layer| layer.device == device)?;
        identity::encode_origin(at, &layer.uuid()).map(|origin| hex(&origin)).filter(|name| name.len() < 256)
    }
}

/// `U` counts from the links of the file in the upper layer.
fn encode(extra: i64) -> Vec<u8> {
    format!("U{extra:+}").into_bytes()
}

fn decode(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.strip_prefix('U')?.parse().ok()
}

fn hex(bytes: &[u8]) -> OsString {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_counts_are_the_kernels() {
        assert_eq!((encode(0), encode(-2), encode(3)), (b"U+0".to_vec(), b"U-2".to_vec(), b"U+3".to_vec()));
        assert_eq!(
            (decode(b"U+3"), decode(b"U-2"), decode(b"x"), decode(b"U")),
            (Some(3), Some(-2), None, None)
        );
    }
}
