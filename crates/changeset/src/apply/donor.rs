//! Content that need not be written, because another directory has it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use archive::tar::Entry;
use sys::{Errno, FileKind, OwnedFd, Root, dir, file, meta, xattr};

use super::attributes::Wanted;
use crate::error::as_path;
use crate::name;

/// A directory in which the same archive was unpacked before, and whose files never change again. Its files become
/// those of the new directory: by a hard link where everything about them is the same, else by sharing their blocks,
/// else they are written as any others.
///
/// That the content is the archive's is for the caller to verify, by the digest of what the new directory gives back.
#[derive(Debug)]
pub struct Donor {
    root: Root,
    /// The directory that was looked into last, by its path in the archive.
    open: Option<(Vec<u8>, OwnedFd)>,
    /// Whether the two directories can have one file in common, as far as is known.
    links: bool,
    /// Whether two files can have blocks in common, as far as is known.
    clones: bool,
}

/// How much was taken from a donor, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// In files that have another name now.
    pub linked: u64,
    /// In files that share blocks.
    pub cloned: u64,
}

impl Donor {
    /// The files below `root`.
    pub fn new(root: Root) -> Self {
        Self { root, open: None, links: true, clones: true }
    }

    /// Gives the donor's file of this entry the name `to_name` in `to`. `false` if it has none that is just so, or not
    /// on this file system.
    pub(super) fn link(
        &mut self,
        entry: &Entry,
        wanted: &Wanted,
        to: &OwnedFd,
        to_name: &OsStr,
    ) -> sys::Result<bool> {
        if !self.links {
            return Ok(false);
        }
        let path = name::clean(&entry.path);
        let (above, name) = name::split(&path);
        let Some(parent) = self.directory(above)? else { return Ok(false) };
        if !is_same(parent, name, entry, wanted)? {
            return Ok(false);
        }
        match dir::link(parent, name, to, to_name) {
            // Of another user, linked too often already: a matter of this file.
            Err(e) if matches!(e.errno, Errno::MLINK | Errno::PERM) => Ok(false),
            Err(e) if matches!(e.errno, Errno::XDEV | Errno::OPNOTSUPP) => {
                self.links = false;
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }

    /// Gives the new file `to` the content of the donor's file. `false` if that has another length, or cannot share.
    pub(super) fn clone_into(&mut self, entry: &Entry, to: &OwnedFd) -> sys::Result<bool> {
        if !self.clones || entry.file_size() == 0 {
            return Ok(false);
        }
        let path = name::clean(&entry.path);
        let (above, name) = name::split(&path);
        let Some(parent) = self.directory(above)? else { return Ok(false) };
        match meta::find(parent, name)? {
            Some(found) if found.kind == FileKind::File && found.size == entry.file_size() => {}
            _ => return Ok(false),
        }
        self.clones = file::share(&dir::open_file(parent, name)?, to, entry.file_size())?;
        Ok(self.clones)
    }

    /// The donor's directory of this path; links on the way are followed inside the donor, as they were when the archive
    /// was unpacked there.
    fn directory(&mut self, path: &[u8]) -> sys::Result<Option<&OwnedFd>> {
        if self.open.as_ref().is_none_or(|(open, _)| open != path) {
            self.open = match self.root.dir(as_path(path)) {
                Ok(fd) => Some((path.to_vec(), fd)),
                Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
                Err(e) => return Err(e),
            };
        }
        Ok(self.open.as_ref().map(|(_, fd)| fd))
    }
}

/// Whether a file is as the entry wants it, except for its content.
fn is_same(parent: &OwnedFd, name: &OsStr, entry: &Entry, wanted: &Wanted) -> sys::Result<bool> {
    let Some(found) = meta::find(parent, name)? else { return Ok(false) };
    let same = found.kind == FileKind::File
        && found.size == entry.file_size()
        && (found.mode, found.uid, found.gid) == (wanted.mode, wanted.uid, wanted.gid)
        && found.mtime == wanted.mtime;
    Ok(same && has_same_xattrs(parent, name, wanted)?)
}

/// A mark of a union on the file makes it another one: it belongs to its driver. Labels belong to the machine.
fn has_same_xattrs(parent: &OwnedFd, name: &OsStr, wanted: &Wanted) -> sys::Result<bool> {
    let mut found = xattr::list(parent, name)?;
    found.retain(|key| key != "security.selinux");
    let wanted: Vec<_> =
        wanted.xattrs.iter().filter(|(key, _)| !xattr::is_overlay(OsStr::from_bytes(key))).collect();
    if found.len() != wanted.len() {
        return Ok(false);
    }
    for (key, value) in wanted {
        if xattr::get(parent, name, OsStr::from_bytes(key))?.as_ref() != Some(value) {
            return Ok(false);
        }
    }
    Ok(true)
}
