//! The attributes in which OverlayFS keeps what a directory tree cannot say (the kernel's `overlayfs.rst`;
//! union-fs.md rules 9 to 13, 29 to 33, 69), and how a user's own attributes of such names are kept apart.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::XattrFlags;

use crate::backing::{At, Result};

/// The prefix of names inside the namespace that a mount uses.
const OVERLAY: &[u8] = b"overlay.";

/// The names, for a mount that keeps them in `trusted.` or in `user.`.
#[derive(Debug)]
pub struct Marks {
    /// `trusted.overlay.` or `user.overlay.`.
    prefix: &'static [u8],
    /// On a directory: `y` hides what is below, `x` says that it may hold whiteouts that are files.
    pub opaque: CString,
    /// On an empty file in a directory that is marked `x`: a whiteout.
    pub whiteout: CString,
    /// On a directory: where it is in the layers below.
    pub redirect: CString,
    /// The handle of the inode that this one was copied up from.
    pub origin: CString,
    /// On a directory: it holds things that were copied up.
    pub impure: CString,
    /// On a file: its data is below.
    pub metacopy: CString,
    /// On an inode with several names: how many the union shows, against those of the inode.
    pub nlink: CString,
}

/// What marks a directory carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirMarks {
    /// Nothing shows from below.
    pub opaque: bool,
    /// It may hold whiteouts that are files.
    pub file_whiteouts: bool,
    /// It has another name below.
    pub redirected: bool,
    /// It holds things that were copied up.
    pub impure: bool,
}

impl Marks {
    /// The names in `user.` or in `trusted.`.
    pub fn new(user: bool) -> Self {
        let prefix: &'static str = if user { "user.overlay." } else { "trusted.overlay." };
        let name = |mark: &str| CString::new(format!("{prefix}{mark}")).unwrap_or_default();
        Self {
            prefix: prefix.as_bytes(),
            opaque: name("opaque"),
            whiteout: name("whiteout"),
            redirect: name("redirect"),
            origin: name("origin"),
            impure: name("impure"),
            metacopy: name("metacopy"),
            nlink: name("nlink"),
        }
    }

    /// The marks of a directory. Most have no attribute at all, which one call tells.
    pub fn of_dir(&self, dir: &OwnedFd) -> Result<DirMarks> {
        let dir = At::itself(dir);
        let mut list = Vec::new();
        let names = dir.xattrs(&mut list)?;
        let mut marks = DirMarks::default();
        if names.is_empty() {
            return Ok(marks);
        }
        let has = |mark: &CString| names.split(|b| *b == 0).any(|name| name == mark.to_bytes());
        marks.redirected = has(&self.redirect);
        marks.impure = has(&self.impure);
        if has(&self.opaque) {
            let mut value = [0; 4];
            match dir.xattr(&self.opaque, &mut value)? {
                Some(b"x") => marks.file_whiteouts = true,
                Some(b"y") => marks.opaque = true,
                _ => {}
            }
        }
        Ok(marks)
    }

    /// Whether the names are in `user.`.
    pub fn are_for_users(&self) -> bool {
        self.prefix.starts_with(b"user.")
    }

    /// Whether an attribute is the union's own, which nobody sees through it.
    pub fn is_own(&self, key: &[u8]) -> bool {
        key.starts_with(self.prefix) && !key[self.prefix.len()..].starts_with(OVERLAY)
    }

    /// The name in the layer of an attribute as a user names it: `trusted.overlay.X` is kept as
    /// `trusted.overlay.overlay.X`, so that a union can hold the layers of another.
    pub fn to_layer(&self, key: &OsStr) -> CString {
        let key = key.as_bytes();
        let stored = match key.strip_prefix(self.prefix) {
            Some(rest) => [self.prefix, OVERLAY, rest].concat(),
            None => key.to_vec(),
        };
        CString::new(stored).unwrap_or_default()
    }

    /// The name as a user sees it of an attribute in a layer; nothing for the union's own.
    pub fn to_user(&self, key: &[u8]) -> Option<Vec<u8>> {
        match key.strip_prefix(self.prefix) {
            None => Some(key.to_vec()),
            Some(rest) => Some([self.prefix, rest.strip_prefix(OVERLAY)?].concat()),
        }
    }
}

/// Sets an attribute of an inode of the upper layer.
pub fn set(at: At<'_>, key: &CStr, value: &[u8]) -> Result<()> {
    let pinned = at.pin()?;
    let path = crate::backing::magic(&pinned);
    rustix::fs::setxattr(path, key, value, XattrFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_own_overlay_attribute_is_one_level_deeper() {
        let marks = Marks::new(false);
        let stored = marks.to_layer(OsStr::new("trusted.overlay.opaque"));
        assert_eq!(stored.to_bytes(), b"trusted.overlay.overlay.opaque");
        assert_eq!(marks.to_user(stored.to_bytes()).unwrap(), b"trusted.overlay.opaque");
        assert_eq!(marks.to_user(b"trusted.overlay.opaque"), None);
        assert!(marks.is_own(b"trusted.overlay.origin") && !marks.is_own(stored.to_bytes()));
    }

    #[test]
    fn attributes_of_the_other_namespace_are_ordinary() {
        let marks = Marks::new(true);
        assert_eq!(marks.to_user(b"trusted.overlay.opaque").unwrap(), b"trusted.overlay.opaque");
        assert_eq!(marks.to_user(b"user.overlay.opaque"), None);
        assert_eq!(marks.to_layer(OsStr::new("user.x")).to_bytes(), b"user.x");
    }
}
