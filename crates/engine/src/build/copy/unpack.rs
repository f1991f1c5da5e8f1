//! Archives that `ADD` unpacks: their entries go into the layer's archive under their new names, nothing is unpacked twice.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::compress;
use archive::digest::Sha256;
use archive::tar::{self, Entry, Kind, Sink, Timestamp as TarTime, Writer};
use model::Timestamp;

use super::owner::Owner;
use super::target::plain;
use crate::build::key::Key;
use crate::copy::{Nowhere, Tree};
use crate::{Engine, Error, Result};

/// An archive, and where it is unpacked.
#[derive(Debug)]
pub(super) struct Archive {
    file: Arc<File>,
    /// Below the root, without links.
    dir: PathBuf,
    owner: Option<Owner>,
}

/// Reads a file from its start, whoever else reads it.
struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = std::os::unix::fs::FileExt::read_at(&*self.file, buf, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// Whether a file is a tar archive, compressed or not: whether it begins with an entry.
///
/// # Errors
/// The file cannot be read.
pub(super) fn is_archive(file: &Arc<File>) -> Result<bool> {
    let size = (&**file).seek(SeekFrom::End(0)).map_err(Error::io("read", "an archive"))?;
    if size == 0 {
        return Ok(false);
    }
    let limits = compress::Limits::default();
    let Ok((_, plain)) = compress::open(At { file: file.clone(), offset: 0 }, limits) else {
        return Ok(false);
    };
    let mut reader = tar::Reader::new(plain, tar::Limits::default());
    Ok(matches!(reader.next_member(), Ok(Some(_))))
}

impl Archive {
    pub fn new(file: Arc<File>, dir: PathBuf, owner: Option<Owner>) -> Self {
        Self { file, dir, owner }
    }

    /// Adds what it holds and where that goes.
    pub fn add_to(&self, key: &mut Key) -> Result<()> {
        let mut hash = Sha256::new();
        let mut reader = At { file: self.file.clone(), offset: 0 };
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = reader.read(&mut buffer).map_err(Error::io("read", "an archive"))?;
            if n == 0 {
                break;
            }
            hash.update(&buffer[..n]);
        }
        let owner = self.owner.map(|owner| format!("{}:{}", owner.uid, owner.gid)).unwrap_or_default();
        key.part("archive").part(hash.finish()).part(self.dir.as_os_str().as_bytes()).part(owner);
        Ok(())
    }

    /// Writes its entries into the layer's archive. `made` are the paths that are in that already.
    ///
    /// # Errors
    /// It is damaged; two of its entries are one file; a name would be a deletion in a layer.
    pub fn write(
        &self,
        engine: &Engine,
        below: Option<&Tree>,
        made: &mut BTreeSet<PathBuf>,
        epoch: Option<Timestamp>,
        tar: &mut Writer<&mut dyn Write>,
    ) -> Result<()> {
        let input = At { file: self.file.clone(), offset: 0 };
        let (_, plain) = compress::open(input, engine.limits.decompress)?;
        let (ways, epoch) = (HashMap::new(), epoch.map(tar_time));
        let mut renamed = Renamed { archive: self, below, made, ways, epoch, tar, passing: false };
        tar::parse(plain, engine.limits.tar, &mut renamed)
    }
}

/// Writes entries under their new names.
struct Renamed<'a, 'w> {
    archive: &'a Archive,
    below: Option<&'a Tree>,
    made: &'a mut BTreeSet<PathBuf>,
    /// Where directories of the archive really lie, links of the layers below followed.
    ways: HashMap<PathBuf, PathBuf>,
    epoch: Option<TarTime>,
    tar: &'a mut Writer<&'w mut dyn Write>,
    /// Whether the content that comes is wanted.
    passing: bool,
}

impl Renamed<'_, '_> {
    /// Where an entry of this name goes.
    fn place(&mut self, name: &[u8]) -> Result<PathBuf> {
        let path = self.archive.dir.join(plain(Path::new(OsStr::from_bytes(name))));
        let (Some(parent), Some(leaf)) = (path.parent(), path.file_name()) else { return Ok(path) };
        if leaf.as_bytes().starts_with(b".wh.") {
            let name = path.display();
            return Err(Error::invalid(format!("/{name}: in a layer a name like this would be a deletion")));
        }
        Ok(self.way(parent)?.join(leaf))
    }

    /// Where a directory really lies. A link that the layer itself made stays where it is, for the layer's unpacking
    /// to follow.
    fn way(&mut self, dir: &Path) -> Result<PathBuf> {
        let Some(below) = self.below else { return Ok(dir.to_owned()) };
        if dir.as_os_str().is_empty() || self.made.contains(dir) {
            return Ok(dir.to_owned());
        }
        if let Some(way) = self.ways.get(dir) {
            return Ok(way.clone());
        }
        let way = match below.find(dir, true)? {
            Ok(place) => place.path,
            Err(Nowhere::Missing(_)) => {
                let (parent, leaf) =
                    (dir.parent().unwrap_or(Path::new("")), dir.file_name().unwrap_or_default());
                self.way(parent)?.join(leaf)
            }
            Err(_) => dir.to_owned(),
        };
        self.ways.insert(dir.to_owned(), way.clone());
        Ok(way)
    }
}

impl Sink for Renamed<'_, '_> {
    type Error = Error;

    fn raw(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.passing = entry.kind != Kind::GlobalHeader;
        if !self.passing {
            return Ok(());
        }
        let path = self.place(&entry.path)?;
        // The destination, and what leads to it, may have been made for it.
        if entry.kind == Kind::Directory && self.made.contains(&path) {
            self.passing = false;
            return Ok(());
        }
        let mut entry = entry.clone();
        entry.path = path.as_os_str().as_bytes().to_vec();
        if entry.kind == Kind::Directory {
            entry.path.extend_from_slice(if entry.path.is_empty() { b"./" } else { b"/" });
        }
        if entry.kind == Kind::HardLink {
            entry.link = self.place(&entry.link)?.into_os_string().into_encoded_bytes();
        }
        if let Some(owner) = self.archive.owner {
            (entry.uid, entry.gid) = (owner.uid, owner.gid);
        }
        if let Some(epoch) = self.epoch {
            entry.mtime = entry.mtime.min(epoch);
        }
        // Names of users mean nothing in a layer, and other records repeat what the entry says.
        entry.uname.clear();
        entry.gname.clear();
        entry.pax.clear();
        (entry.atime, entry.ctime) = (None, None);
        entry.mode &= 0o7777;
        self.made.insert(path);
        Ok(self.tar.append_header(&entry)?)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        if self.passing { Ok(self.tar.data(bytes)?) } else { Ok(()) }
    }

    fn end_entry(&mut self) -> Result<()> {
        Ok(())
    }
}

fn tar_time(time: Timestamp) -> TarTime {
    TarTime { secs: time.unix_seconds(), nanos: time.subsec_nanos() }
}
