//! The entries of an archive as files below a directory, for `cp` in both directions.
//!
//! Docker's rules (28.5): a directory merges with the one that is there, a file replaces a file, and neither replaces
//! the other kind; missing parents are made, 0755; the directory that is unpacked into keeps its attributes.
//!
//! Whoever made the archive, nothing is made outside: every name is opened below a descriptor. In a container, links
//! that stand among an entry's parents are followed inside the container; on the host none is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use archive::tar::{Entry, Kind, Sink, SparseMap};
use sys::idmap::IdMap;
use sys::{Errno, FileKind, OwnedFd, Root, Time, dir, file, meta, xattr};

use super::paths;
use crate::{Error, Result};

/// Where entries go, and how.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// What no name and no link leads out of.
    pub root: &'a Root,
    /// The directory below `root` that is unpacked into, without links.
    pub dir: &'a Path,
    /// What messages call that directory.
    pub shown: String,
    /// Whether links among an entry's parents are followed inside `root`.
    pub follow: bool,
    /// Whether files get the owners that the archive names; else they are ours.
    pub keep_owners: bool,
    /// Whether this process is root in a user namespace only: owners and devices that it cannot make are left out.
    pub user_namespace: bool,
    /// The ids on the disk for those that the archive names, if they are others.
    pub ids: Option<&'a IdMap>,
}

/// Makes files of entries. Not durable.
#[derive(Debug)]
pub(crate) struct Extractor<'a> {
    target: Target<'a>,
    file: Option<OpenFile>,
    /// Directories with the modes and times that they get at the end.
    dirs: Vec<(PathBuf, u32, Time)>,
    length: u64,
}

/// A regular file whose content is arriving.
#[derive(Debug)]
struct OpenFile {
    fd: OwnedFd,
    entry: Entry,
    /// Where the next byte of a sparse file belongs: the extent, and how much of it is there.
    at: (usize, u64),
}

/// Length of a tar block.
const BLOCK: u64 = archive::tar::BLOCK as u64;

impl<'a> Extractor<'a> {
    /// Unpacks into `target`.
    pub fn new(target: Target<'a>) -> Self {
        Self { target, file: None, dirs: Vec::new(), length: 2 * BLOCK }
    }

    /// Sets what directories get last. Returns the length of a plain archive of these entries, which is what Docker
    /// tells the user.
    pub fn finish(self) -> Result<u64> {
        for (path, mode, time) in self.dirs.iter().rev() {
            let (parent, name) = self.target.parent(path)?;
            meta::chmod(&parent, &name, *mode)?;
            meta::set_times(&parent, &name, *time, *time)?;
        }
        Ok(self.length)
    }

    fn make(&mut self, entry: &Entry) -> Result<()> {
        let shown = || String::from_utf8_lossy(&entry.path).into_owned();
        let Some(path) = paths::below(&entry.path) else {
            return Err(Error::invalid(format!("invalid entry name {:?}", shown())));
        };
        if path.as_os_str().is_empty() {
            return match entry.kind {
                Kind::Directory => Ok(()),
                _ => Err(self.conflict("directory", ".", "non-directory")),
            };
        }
        let (parent, name) = self.target.parent_or_make(&path)?;
        let there = meta::find(&parent, &name)?;
        let is_dir = |kind| kind == FileKind::Dir;
        match there.map(|meta| is_dir(meta.kind)) {
            Some(true) if entry.kind != Kind::Directory => {
                return Err(self.conflict("directory", &path.to_string_lossy(), "non-directory"));
            }
            Some(false) if entry.kind == Kind::Directory => {
                return Err(self.conflict("non-directory", &path.to_string_lossy(), "directory"));
            }
            Some(false) => dir::unlink(&parent, &name)?,
            _ => {}
        }
        match entry.kind {
            Kind::Regular => {
                let fd = dir::create_file(&parent, &name, entry.mode & 0o700)?;
                self.file = Some(OpenFile { fd, entry: entry.clone(), at: (0, 0) });
                Ok(())
            }
            Kind::Directory => {
                if there.is_none() {
                    dir::mkdir(&parent, &name, 0o700)?;
                }
                let fd = dir::open(&parent, &name)?;
                // What it gets to hold comes first, and an ordinary user needs the right to that.
                self.target.attributes(&fd, entry, entry.mode | 0o700)?;
                self.dirs.push((path, entry.mode & 0o7777, time(entry)));
                Ok(())
            }
            Kind::HardLink => self.link(&parent, &name, entry),
            Kind::Symlink => {
                dir::symlink(&parent, &name, OsStr::from_bytes(&entry.link))?;
                self.target.special(&parent, &name, entry)
            }
            Kind::CharDevice => self.node(&parent, &name, entry, FileKind::CharDevice),
            Kind::BlockDevice => self.node(&parent, &name, entry, FileKind::BlockDevice),
            Kind::Fifo => self.node(&parent, &name, entry, FileKind::Fifo),
            Kind::GlobalHeader => Ok(()),
            Kind::Contiguous => Err(unhandled(b'7')),
            Kind::Other(flag) => Err(unhandled(flag)),
        }
    }

    fn link(&self, parent: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<()> {
        let invalid =
            || Error::invalid(format!("invalid hardlink target {:?}", String::from_utf8_lossy(&entry.link)));
        let target =
            paths::below(&entry.link).filter(|path| !path.as_os_str().is_empty()).ok_or_else(invalid)?;
        let (old_dir, old) = self.target.parent(&target)?;
        Ok(dir::link(old_dir, &old, parent, name)?)
    }

    fn node(&self, parent: &OwnedFd, name: &OsStr, entry: &Entry, kind: FileKind) -> Result<()> {
        let (major, minor) = (entry.devmajor, entry.devminor);
        if kind == FileKind::CharDevice && (major, minor) == (0, 0) {
            let path = String::from_utf8_lossy(&entry.path);
            return Err(Error::invalid(format!(
                "{path}: character device 0:0 means a deletion and cannot be copied"
            )));
        }
        match dir::mknod(parent, name, kind, entry.mode & 0o700, major, minor) {
            Err(e) if e.errno == Errno::PERM && self.target.user_namespace && kind != FileKind::Fifo => {
                Ok(())
            }
            Err(e) => Err(e.into()),
            Ok(()) => {
                self.target.special(parent, name, entry)?;
                Ok(meta::chmod(parent, name, entry.mode & 0o7777)?)
            }
        }
    }

    /// Docker's words, with its mix of paths.
    fn conflict(&self, there: &str, path: &str, entry: &str) -> Error {
        Error::conflict(format!("cannot overwrite {there} {path:?} with {entry} {:?}", self.target.shown))
    }
}

impl Target<'_> {
    /// The directory that holds the last component of `path`, and that component.
    fn parent(&self, path: &Path) -> sys::Result<(OwnedFd, OsString)> {
        let path = self.dir.join(path);
        if self.follow { self.root.parent(&path) } else { self.root.parent_nofollow(&path) }
    }

    /// As [`parent`](Self::parent); directories that are missing on the way are made.
    fn parent_or_make(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        match self.parent(path) {
            Err(e) if e.is_not_found() => {}
            other => return Ok(other?),
        }
        let above: Vec<&Path> =
            path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        for dir in above.into_iter().rev() {
            let (parent, name) = self.parent(dir)?;
            if meta::find(&parent, &name)?.is_none() {
                let made = dir::ensure(&parent, &name, 0o755)?;
                if let Some((uid, gid)) = self.ids.map(IdMap::root) {
                    meta::chown_fd(made, uid, gid)?;
                }
            }
        }
        Ok(self.parent(path)?)
    }

    /// Owner, attributes and mode, in the order in which the kernel does not undo them.
    fn attributes(&self, fd: &OwnedFd, entry: &Entry, mode: u32) -> Result<()> {
        if let Some((uid, gid)) = self.owner(entry)? {
            self.unless_squashed(meta::chown_fd(fd, uid, gid))?;
        }
        set_xattrs(entry, |key, value| xattr::set_fd(fd, key, value))?;
        Ok(meta::chmod_fd(fd, mode & 0o7777)?)
    }

    /// The same of what cannot be opened; without the mode, which a link does not have.
    fn special(&self, parent: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<()> {
        if let Some((uid, gid)) = self.owner(entry)? {
            self.unless_squashed(meta::chown(parent, name, uid, gid))?;
        }
        set_xattrs(entry, |key, value| xattr::set(parent, name, key, value))?;
        Ok(meta::set_times(parent, name, time(entry), time(entry))?)
    }

    /// Who is to own what the entry makes, if it is not to be us.
    fn owner(&self, entry: &Entry) -> Result<Option<(u32, u32)>> {
        let Some(ids) = self.ids else { return Ok(self.keep_owners.then_some((entry.uid, entry.gid))) };
        if !self.keep_owners {
            return Ok(Some(ids.root()));
        }
        crate::remap::host_ids(ids, entry.uid, entry.gid).map(Some)
    }

    /// An owner that a user namespace does not have need not be exact.
    fn unless_squashed(&self, result: sys::Result<()>) -> sys::Result<()> {
        match result {
            Err(e) if self.user_namespace && matches!(e.errno, Errno::INVAL | Errno::PERM) => Ok(()),
            other => other,
        }
    }
}

/// Sets what the file system takes; as Docker, the rest is left out. OverlayFS's own notes are nobody's to set.
fn set_xattrs(entry: &Entry, set: impl Fn(&OsStr, &[u8]) -> sys::Result<()>) -> Result<()> {
    for (key, value) in &entry.xattrs {
        let key = OsStr::from_bytes(key);
        if xattr::is_overlay(key) {
            continue;
        }
        match set(key, value) {
            Err(e) if !matches!(e.errno, Errno::OPNOTSUPP | Errno::PERM) => return Err(e.into()),
            _ => {}
        }
    }
    Ok(())
}

fn time(entry: &Entry) -> Time {
    Time { secs: entry.mtime.secs, nanos: entry.mtime.nanos }
}

fn unhandled(flag: u8) -> Error {
    Error::invalid(format!("unhandled tar header type {flag}"))
}

impl OpenFile {
    fn write(&mut self, mut bytes: &[u8]) -> sys::Result<()> {
        let Some(SparseMap { extents, .. }) = &self.entry.sparse else {
            return file::write_all(&self.fd, bytes);
        };
        while !bytes.is_empty() {
            // The parser has checked that the extents add up to the payload.
            let Some((offset, length)) = extents.get(self.at.0).copied() else { return Ok(()) };
            let room = usize::try_from(length - self.at.1).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            file::write_at(&self.fd, now, offset + self.at.1)?;
            self.at.1 += now.len() as u64;
            if self.at.1 == length {
                self.at = (self.at.0 + 1, 0);
            }
            bytes = rest;
        }
        Ok(())
    }
}

impl Sink for Extractor<'_> {
    type Error = Error;

    fn raw(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.length += BLOCK + entry.size.next_multiple_of(BLOCK);
        self.make(entry)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some(file) => Ok(file.write(bytes)?),
            None => Ok(()),
        }
    }

    fn end_entry(&mut self) -> Result<()> {
        let Some(OpenFile { fd, entry, .. }) = self.file.take() else { return Ok(()) };
        if let Some(map) = &entry.sparse {
            file::truncate(&fd, map.real_size)?;
        }
        self.target.attributes(&fd, &entry, entry.mode)?;
        Ok(meta::set_times_fd(&fd, time(&entry), time(&entry))?)
    }
}
