//! Making what an entry describes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use archive::tar::Entry;
use sys::{FileKind, OwnedFd, file, meta};

use super::attributes::{Attributes, Wanted};
use super::dirs::{Dir, Made};
use super::{Applier, EntryError, LowerLink};
use crate::Whiteouts;
use crate::error::{EntryFault, Result, as_path};
use crate::name;

/// A regular file whose content is arriving.
#[derive(Debug)]
pub(super) struct OpenFile {
    fd: OwnedFd,
    path: Vec<u8>,
    wanted: Wanted,
    group: Option<u32>,
    sparse: Option<Sparse>,
    /// Its content is there already.
    filled: bool,
}

/// Where the next byte of a sparse file belongs.
#[derive(Debug)]
struct Sparse {
    map: archive::tar::SparseMap,
    extent: usize,
    /// Bytes of the extent that are written.
    done: u64,
}

impl OpenFile {
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        if self.filled {
            return Ok(());
        }
        let Some(sparse) = &mut self.sparse else { return Ok(file::write_all(&self.fd, bytes)?) };
        while !bytes.is_empty() {
            // The parser has checked that the extents add up to the payload.
            let Some((offset, length)) = sparse.map.extents.get(sparse.extent).copied() else {
                return Ok(());
            };
            let room = usize::try_from(length - sparse.done).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            file::write_at(&self.fd, now, offset + sparse.done)?;
            sparse.done += now.len() as u64;
            if sparse.done == length {
                sparse.extent += 1;
                sparse.done = 0;
            }
            bytes = rest;
        }
        Ok(())
    }

    pub(super) fn close(self, attributes: &mut Attributes) -> Result<()> {
        if let Some(sparse) = &self.sparse {
            file::truncate(&self.fd, sparse.map.real_size)?;
        }
        attributes.file(&self.fd, &self.wanted, self.group).map_err(|e| e.at(&self.path))
    }
}

impl Applier {
    /// Takes a name for this layer. What it had deleted there is there again.
    fn claim(&mut self, dir: &Dir, name: &OsStr, made: Made) -> Result<(), EntryError> {
        match self.made.insert(name::join(&dir.real, name.as_bytes()), made) {
            None => Ok(()),
            // What is left out still replaces the lower layers'.
            Some(Made::Whiteout) if made == Made::Skipped => Ok(()),
            Some(Made::Whiteout) => Ok(self.options.whiteouts.undelete(&dir.fd, name)?),
            Some(_) => Err(EntryFault::Duplicate.into()),
        }
    }

    /// Makes `name`, in the place of what a lower layer or a deletion has there.
    fn create<T>(&self, dir: &Dir, name: &OsStr, make: impl Fn() -> sys::Result<T>) -> sys::Result<T> {
        match make() {
            Err(e) if e.errno == sys::Errno::EXIST => {
                sys::tree::remove(&dir.fd, name)?;
                make()
            }
            other => other,
        }
    }

    pub(super) fn make_file(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), EntryError> {
        self.claim(dir, name, Made::Other)?;
        let wanted = Wanted::of(entry);
        self.size = self.size.saturating_add(entry.file_size());
        if self.link_donors(dir, name, entry, &wanted)? {
            self.taken.linked += entry.file_size();
            return Ok(());
        }
        let fd = self.create(dir, name, || sys::dir::create_file(&dir.fd, name, wanted.mode))?;
        let filled = match &mut self.donor {
            Some(donor) => donor.clone_into(entry, &fd)?,
            None => false,
        };
        self.taken.cloned += if filled { entry.file_size() } else { 0 };
        let sparse = entry.sparse.clone().map(|map| Sparse { map, extent: 0, done: 0 });
        self.file = Some(OpenFile { fd, path: entry.path.clone(), wanted, group: dir.group, sparse, filled });
        Ok(())
    }

    /// Takes the donor's file itself, in the place of what a lower layer or a deletion has there.
    fn link_donors(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        entry: &Entry,
        wanted: &Wanted,
    ) -> Result<bool, EntryError> {
        let Some(donor) = &mut self.donor else { return Ok(false) };
        match donor.link(entry, wanted, &dir.fd, name) {
            Err(e) if e.errno == sys::Errno::EXIST => {
                sys::tree::remove(&dir.fd, name)?;
                Ok(donor.link(entry, wanted, &dir.fd, name)?)
            }
            other => Ok(other?),
        }
    }

    pub(super) fn make_symlink(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), EntryError> {
        self.claim(dir, name, Made::Symlink)?;
        let target = OsStr::from_bytes(&entry.link);
        self.create(dir, name, || sys::dir::symlink(&dir.fd, name, target))?;
        self.attributes.special(&dir.fd, name, &Wanted::of(entry), dir.group, false)?;
        if self.options.whiteouts != Whiteouts::Delete {
            self.size += entry.link.len() as u64;
        }
        Ok(())
    }

    pub(super) fn make_device(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        entry: &Entry,
        kind: FileKind,
    ) -> Result<(), EntryError> {
        if self.options.devices {
            return self.make_node(dir, name, entry, kind);
        }
        self.claim(dir, name, Made::Skipped)?;
        self.skipped_devices += 1;
        Ok(())
    }

    pub(super) fn make_node(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        entry: &Entry,
        kind: FileKind,
    ) -> Result<(), EntryError> {
        self.claim(dir, name, Made::Other)?;
        let wanted = Wanted::of(entry);
        let (major, minor) = (entry.devmajor, entry.devminor);
        self.create(dir, name, || sys::dir::mknod(&dir.fd, name, kind, wanted.mode, major, minor))?;
        self.attributes.special(&dir.fd, name, &wanted, dir.group, true)
    }

    pub(super) fn make_dir(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), EntryError> {
        let real = name::join(&dir.real, name.as_bytes());
        let wanted = Wanted::of(entry);
        let before = self.made.insert(real.clone(), Made::Dir);
        let there = match before {
            Some(Made::Implied | Made::ImpliedNew) => true,
            None => self.make_dir_here(dir, name, &wanted)?,
            Some(Made::Whiteout) => {
                self.options.whiteouts.undelete(&dir.fd, name)?;
                self.make_dir_here(dir, name, &wanted)?
            }
            Some(_) => return Err(EntryFault::Duplicate.into()),
        };
        let late = if !there && self.attributes.is_plain(&wanted, dir.group) {
            super::attributes::Late::time(wanted.mtime)
        } else {
            let fd = sys::dir::open(&dir.fd, name)?;
            self.attributes.dir(&fd, &wanted, dir.group, there)?
        };
        self.late.insert(real.clone(), late);
        if before == Some(Made::Whiteout) {
            self.make_opaque(&real)?;
        }
        Ok(())
    }

    /// Makes a directory, or keeps a lower layer's. Returns whether it was there.
    fn make_dir_here(&self, dir: &Dir, name: &OsStr, wanted: &Wanted) -> sys::Result<bool> {
        let mode = self.attributes.making_mode(wanted.mode);
        let make = || sys::dir::mkdir(&dir.fd, name, mode);
        match make() {
            Err(e) if e.errno == sys::Errno::EXIST => {
                if meta::of(&dir.fd, name)?.kind == FileKind::Dir {
                    return Ok(true);
                }
                sys::tree::remove(&dir.fd, name)?;
                make().map(|()| false)
            }
            other => other.map(|()| false),
        }
    }

    /// The entry `./`: attributes of the layer's root.
    pub(super) fn make_root(&mut self, entry: &Entry) -> Result<(), EntryError> {
        if entry.kind != archive::tar::Kind::Directory {
            return Err(EntryFault::Root.into());
        }
        if self.made.insert(Vec::new(), Made::Dir) == Some(Made::Dir) {
            return Err(EntryFault::Duplicate.into());
        }
        let root = std::sync::Arc::clone(&self.open[0]);
        let late = self.attributes.dir(&root.fd, &Wanted::of(entry), None, true)?;
        self.late.insert(Vec::new(), late);
        // Whether the root has the setgid bit may have changed.
        self.open = vec![std::sync::Arc::new(Dir::open(&self.root, &[], &[])?)];
        Ok(())
    }

    pub(super) fn make_link(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), EntryError> {
        let target = name::clean(&entry.link);
        let shown = || as_path(&entry.link).to_owned();
        if name::escapes(&entry.link) || target.is_empty() {
            return Err(EntryFault::LinkOutside(shown()).into());
        }
        let (parent, target_name) = name::split(&target);
        let parent = self.find_dir(parent)?;
        let target = name::join(&parent, target_name.as_bytes());
        let real = name::join(&dir.real, name.as_bytes());
        if target == real {
            return Err(EntryFault::LinkToLater(shown()).into());
        }
        if name::marker(&target) != name::Marker::None {
            // Where deletions are kept as files, there is one on the disk, and a link to it would be a file.
            return Err(EntryFault::LinkToNothing(shown()).into());
        }
        match self.made.get(&target).copied() {
            Some(made) if made.is_dir() => Err(EntryFault::LinkToDirectory(shown()).into()),
            Some(Made::Whiteout) => Err(EntryFault::LinkToNothing(shown()).into()),
            Some(Made::Skipped) => self.claim(dir, name, Made::Skipped),
            Some(made @ (Made::Symlink | Made::Other)) => {
                self.claim(dir, name, made)?;
                self.link_here(dir, name, &parent, target_name)
            }
            Some(_) | None => {
                let path = as_path(&real).to_owned();
                self.links.push(LowerLink { path, target: as_path(&target).to_owned() });
                self.link_lower(dir, name, &parent, target_name, shown)
            }
        }
    }

    fn link_here(&self, dir: &Dir, name: &OsStr, parent: &[u8], target: &OsStr) -> Result<(), EntryError> {
        let parent = self.root.dir_nofollow(as_path(parent))?;
        Ok(self.create(dir, name, || sys::dir::link(&parent, target, &dir.fd, name))?)
    }

    /// A link to a lower layer's file: at once where that file is in the tree, else later.
    fn link_lower(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        parent: &[u8],
        target: &OsStr,
        shown: impl Fn() -> std::path::PathBuf,
    ) -> Result<(), EntryError> {
        if self.options.whiteouts != Whiteouts::Delete {
            return self.claim(dir, name, Made::LowerLink);
        }
        let found = match self.root.dir_nofollow(as_path(parent)) {
            Ok(parent) => meta::find(&parent, target)?,
            Err(e) if is_no_dir(&e) => None,
            Err(e) => return Err(e.into()),
        };
        match found {
            // Whether it comes later in the archive is not known before the end.
            None => self.claim(dir, name, Made::LowerLink),
            Some(found) if found.kind == FileKind::Dir => Err(EntryFault::LinkToDirectory(shown()).into()),
            Some(found) => {
                let made = if found.kind == FileKind::Symlink { Made::Symlink } else { Made::Other };
                self.claim(dir, name, made)?;
                self.link_here(dir, name, parent, target)
            }
        }
    }

    /// The path without links of a directory that need not be this layer's.
    fn find_dir(&self, lexical: &[u8]) -> Result<Vec<u8>, EntryError> {
        let mut real = Vec::new();
        for part in lexical.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            let next = name::join(&real, part);
            real = match self.made.get(&next) {
                Some(Made::Symlink) => self.follow(&next)?,
                _ => next,
            };
        }
        Ok(real)
    }
}

/// Whether a directory could not be opened because there is none.
pub(super) fn is_no_dir(error: &sys::Error) -> bool {
    matches!(error.errno, sys::Errno::NOENT | sys::Errno::NOTDIR | sys::Errno::LOOP)
}
