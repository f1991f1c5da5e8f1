//! A tree, or a part of one, as the entries of an archive: for `export` and `cp`.
//!
//! The order is Docker's: depth first, by the names' bytes, a directory before what is in it. Sockets have no entry;
//! further names of a file are hard links to its first one.

use std::collections::{BTreeMap, HashMap, btree_map};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use archive::tar::{Entry, Kind, Sink, Writer};
use changeset::entry::{self, BUFFER};
use changeset::{Found, Lowers};
use sys::idmap::HOST_ROOT;
use sys::{FileKind, OwnedFd, dir, file, meta};

use super::paths;
use crate::{Error, Result};

/// Gives what is at `start` (a path without links) to the sink. There it is called `name`; the names of what is in it
/// follow from that. An empty name leaves the start itself out.
///
/// # Errors
/// Those of the sink; a file that changes while it is being read.
pub(crate) fn walk<S: Sink<Error = Error>>(
    layers: &Lowers,
    start: &Path,
    name: &[u8],
    sink: &mut S,
) -> Result<()> {
    let Some(found) = layers.lookup(start)? else {
        return Err(changeset::Error::Changed { path: Path::new("/").join(start) }.into());
    };
    let mut walk =
        Walk { layers, sink, links: HashMap::new(), open: Open::default(), buffer: vec![0; BUFFER] };
    let mut levels = Vec::new();
    if !name.is_empty() {
        walk.entry(start, name, &found)?;
    }
    if found.meta.kind == FileKind::Dir {
        levels.push(walk.enter(start.to_owned(), name.to_vec())?);
    }
    while let Some(level) = levels.last_mut() {
        let Some((leaf, found)) = level.rest.next() else {
            levels.pop();
            continue;
        };
        let (path, name) = (level.path.join(&leaf), paths::join(&level.name, &leaf));
        walk.entry(&path, &name, &found)?;
        if found.meta.kind == FileKind::Dir {
            levels.push(walk.enter(path, name)?);
        }
    }
    Ok(())
}

/// A directory whose entries are being written.
struct Level {
    path: PathBuf,
    name: Vec<u8>,
    rest: btree_map::IntoIter<OsString, Found>,
}

struct Walk<'a, S> {
    layers: &'a Lowers,
    sink: &'a mut S,
    /// First names of files that have several, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    open: Open,
    buffer: Vec<u8>,
}

/// The directory that entries are in, in the layers that were asked.
#[derive(Default)]
struct Open {
    path: PathBuf,
    parts: BTreeMap<usize, OwnedFd>,
}

impl<S: Sink<Error = Error>> Walk<'_, S> {
    fn enter(&self, path: PathBuf, name: Vec<u8>) -> Result<Level> {
        let rest = self.layers.list(&path)?.into_iter();
        Ok(Level { path, name, rest })
    }

    /// The layer's directory that holds the last component of `path`.
    fn parent(&mut self, path: &Path, layer: usize) -> Result<&OwnedFd> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if self.open.path != parent {
            self.open = Open { path: parent.to_owned(), parts: BTreeMap::new() };
        }
        Ok(match self.open.parts.entry(layer) {
            btree_map::Entry::Occupied(fd) => fd.into_mut(),
            btree_map::Entry::Vacant(free) => free.insert(self.layers.root(layer).dir_nofollow(parent)?),
        })
    }

    fn entry(&mut self, path: &Path, name: &[u8], found: &Found) -> Result<()> {
        let meta = &found.meta;
        if meta.kind == FileKind::Socket {
            return Ok(());
        }
        if meta.kind == FileKind::Dir {
            return self.directory(path, name, found);
        }
        if meta.nlink > 1 {
            if let Some(first) = self.links.get(&(meta.dev, meta.ino)) {
                let link = first.clone();
                return self.emit(&Entry { link, ..entry::header(name, Kind::HardLink, meta) });
            }
            self.links.insert((meta.dev, meta.ino), name.to_vec());
        }
        let Some(leaf) = path.file_name() else { return Ok(()) };
        match meta.kind {
            FileKind::File => self.regular(path, leaf, name, found),
            _ => self.special(path, leaf, name, found),
        }
    }

    /// An entry without content.
    fn emit(&mut self, entry: &Entry) -> Result<()> {
        self.sink.entry(entry)?;
        self.sink.end_entry()
    }

    fn directory(&mut self, path: &Path, name: &[u8], found: &Found) -> Result<()> {
        let fd = self.layers.root(found.layer).dir_nofollow(path)?;
        self.emit(&entry::directory(name, &fd, &found.meta)?)
    }

    fn special(&mut self, path: &Path, leaf: &OsStr, name: &[u8], found: &Found) -> Result<()> {
        let parent = self.parent(path, found.layer)?;
        let entry = entry::special(name, parent, leaf, &found.meta)?;
        self.emit(&entry)
    }

    fn regular(&mut self, path: &Path, leaf: &OsStr, name: &[u8], found: &Found) -> Result<()> {
        let fd = dir::open_file(self.parent(path, found.layer)?, leaf)?;
        // Of the file that is open, in case the name was given to another one.
        let meta = meta::of_fd(&fd)?;
        let (entry, extents) = entry::regular(name, &fd, &meta)?;
        self.sink.entry(&entry)?;
        if meta.size > BUFFER as u64 {
            file::advise_sequential(&fd);
        }
        for (offset, length) in extents {
            let mut done = 0;
            while done < length {
                let want = usize::try_from(length - done).unwrap_or(usize::MAX).min(self.buffer.len());
                let n = file::read_at(&fd, &mut self.buffer[..want], offset + done)?;
                if n < want {
                    return Err(changeset::Error::Changed { path: Path::new("/").join(path) }.into());
                }
                self.sink.data(&self.buffer[..n])?;
                done += n as u64;
            }
        }
        self.sink.end_entry()
    }
}

/// Writes entries as an archive.
pub(crate) struct ToArchive<W> {
    tar: Writer<W>,
    shifted: bool,
}

impl<W: std::io::Write> ToArchive<W> {
    /// An archive that goes to `out`. In `shifted` trees, what the host's root has made in Docker's remapped containers
    /// (`/etc/mtab`) is said to be root's.
    pub fn new(out: W, shifted: bool) -> Self {
        Self { tar: Writer::new(out), shifted }
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<W> {
        Ok(self.tar.finish()?)
    }
}

impl<W: std::io::Write> Sink for ToArchive<W> {
    type Error = Error;

    fn raw(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        if self.shifted && (entry.uid == HOST_ROOT || entry.gid == HOST_ROOT) {
            let root = |id: u32| if id == HOST_ROOT { 0 } else { id };
            let entry = Entry { uid: root(entry.uid), gid: root(entry.gid), ..entry.clone() };
            return Ok(self.tar.append_header(&entry)?);
        }
        Ok(self.tar.append_header(entry)?)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.tar.data(bytes)?)
    }

    fn end_entry(&mut self) -> Result<()> {
        Ok(())
    }
}
