//! Which files of a layer are no longer what its archive had.

use std::fmt;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use archive::Crc64;
use archive::tar::{self, Entry, Kind, Parser, SparseMap};
use archive::tar_split::{Item, Unpacker};
use sys::{FileKind, Meta, OwnedFd, Root, dir, file, meta};

use crate::error::{Error, Result, as_path};
use crate::name::{self, Marker};

/// A file that is not what the archive had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name in the archive.
    pub path: PathBuf,
    /// How it differs.
    pub fault: Fault,
}

/// How a file differs from the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is not there.
    Missing,
    /// Something else is there, or in the place of one of its directories.
    Kind,
    /// Its length in bytes is another.
    Size {
        /// The archive's.
        expected: u64,
        /// The file's.
        found: u64,
    },
    /// Its content is another, by the CRC-64 in the tar-split record.
    Content,
    /// The symbolic link leads somewhere else.
    Target,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file is missing"),
            Self::Kind => f.write_str("it is another kind of file now"),
            Self::Size { expected, found } => write!(f, "it has {found} bytes instead of {expected}"),
            Self::Content => f.write_str("its content was changed"),
            Self::Target => f.write_str("the link leads somewhere else"),
        }
    }
}

/// Compares all files of the layer below `layer` with its tar-split records, uncompressed. Reads every byte. Devices
/// count as missing only where `devices` says that they had been made.
///
/// # Errors
/// Only for records that cannot be read, and for failures other than a file that differs.
pub fn verify(tar_split: impl Read, layer: &Root, devices: bool) -> Result<Vec<Difference>> {
    let mut check = Check { layer, devices, entry: None, found: Vec::new(), buffer: vec![0; 256 << 10] };
    let mut parser = Parser::new(tar::Limits { sparse_extents: u64::MAX, ..tar::Limits::default() });
    for item in Unpacker::new(tar_split) {
        match item? {
            Item::Segment(bytes) => parser.push(&bytes, &mut check)?,
            Item::File { size: 0, .. } => {}
            Item::File { size, crc, .. } => {
                check.expect(crc);
                parser.skip(size, &mut check)?;
            }
        }
    }
    parser.finish(&mut check)?;
    Ok(check.found)
}

/// Opens the regular file of an archive's entry; links among its directories are followed inside the layer, as they
/// were when it was made. The last component is never followed.
pub(crate) fn open(layer: &Root, path: &[u8]) -> Result<Result<(OwnedFd, Meta), Fault>> {
    match layer.file_nofollow(as_path(&name::clean(path))) {
        Ok(fd) => {
            let meta = meta::of_fd(&fd)?;
            Ok(Ok((fd, meta)))
        }
        Err(e) => absent(e).map(Err),
    }
}

/// A look-up that failed because of what the layer has on the way, or another failure.
fn absent(error: sys::Error) -> Result<Fault> {
    match error.errno {
        sys::Errno::NOENT => Ok(Fault::Missing),
        sys::Errno::NOTDIR | sys::Errno::LOOP | sys::Errno::INVAL | sys::Errno::ISDIR | sys::Errno::NXIO => {
            Ok(Fault::Kind)
        }
        _ => Err(error.into()),
    }
}

struct Check<'a> {
    layer: &'a Root,
    devices: bool,
    /// The entry that is passing.
    entry: Option<Passing>,
    found: Vec<Difference>,
    buffer: Vec<u8>,
}

struct Passing {
    path: Vec<u8>,
    size: u64,
    crc: Option<[u8; 8]>,
    /// A sparse file's content is in the records themselves.
    sparse: Option<(SparseMap, Crc64)>,
}

impl Check<'_> {
    fn expect(&mut self, crc: Option<[u8; 8]>) {
        if let Some(entry) = &mut self.entry {
            entry.crc = crc;
        }
    }

    fn report(&mut self, path: &[u8], fault: Fault) {
        self.found.push(Difference { path: as_path(path).to_owned(), fault });
    }

    fn look(&self, entry: &Entry) -> Result<Option<Fault>> {
        let path = name::clean(&entry.path);
        let wanted = match entry.kind {
            Kind::Symlink => FileKind::Symlink,
            Kind::Directory => FileKind::Dir,
            Kind::Fifo => FileKind::Fifo,
            Kind::CharDevice if self.devices => FileKind::CharDevice,
            Kind::BlockDevice if self.devices => FileKind::BlockDevice,
            // Regular files are compared with their content, hard links are names of what is compared.
            _ => return Ok(None),
        };
        if path.is_empty() {
            return Ok(None);
        }
        let (parent, name) = match self.layer.parent(as_path(&path)) {
            Ok(found) => found,
            Err(e) => return absent(e).map(Some),
        };
        let Some(meta) = meta::find(&parent, &name)? else { return Ok(Some(Fault::Missing)) };
        if meta.kind != wanted {
            return Ok(Some(Fault::Kind));
        }
        if wanted == FileKind::Symlink && dir::read_link(&parent, &name)?.as_bytes() != entry.link {
            return Ok(Some(Fault::Target));
        }
        Ok(None)
    }

    fn compare(&mut self, passing: &Passing) -> Result<Option<Fault>> {
        let (fd, meta) = match open(self.layer, &passing.path)? {
            Ok(open) => open,
            Err(fault) => return Ok(Some(fault)),
        };
        let (expected, extents, crc) = match &passing.sparse {
            Some((map, crc)) => (map.real_size, map.extents.clone(), Some(crc.clone().finish())),
            None => (passing.size, vec![(0, passing.size)], passing.crc),
        };
        if meta.size != expected {
            return Ok(Some(Fault::Size { expected, found: meta.size }));
        }
        file::advise_sequential(&fd);
        let mut sum = Crc64::new();
        let mut same = true;
        for extent in &extents {
            same &= self.read(&fd, *extent, |bytes| {
                sum.update(bytes);
                true
            })?;
        }
        if passing.sparse.is_some() {
            for extent in outside(&file::extents(&fd, meta.size)?, &extents) {
                same &= self.read(&fd, extent, |bytes| bytes.iter().all(|byte| *byte == 0))?;
            }
        }
        same &= extents.iter().all(|(_, length)| *length == 0) || crc == Some(sum.finish());
        Ok((!same).then_some(Fault::Content))
    }

    /// Shows a part of a file to `look` piece by piece. Returns whether the part is all there and `look` liked it.
    fn read(
        &mut self,
        fd: &OwnedFd,
        (offset, length): (u64, u64),
        mut look: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool> {
        let mut done = 0;
        while done < length {
            let want = usize::try_from(length - done).unwrap_or(usize::MAX).min(self.buffer.len());
            let n = file::read_at(fd, &mut self.buffer[..want], offset + done)?;
            if n == 0 || !look(&self.buffer[..n]) {
                return Ok(false);
            }
            done += n as u64;
        }
        Ok(true)
    }
}

/// The parts of `data` that no extent of `map` covers; both are ascending.
fn outside(data: &[(u64, u64)], map: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut parts = Vec::new();
    let mut map = map.iter().copied().peekable();
    for (mut at, length) in data.iter().copied() {
        let end = at + length;
        while at < end {
            match map.peek().copied() {
                Some((start, length)) if start + length <= at => drop(map.next()),
                Some((start, length)) if start <= at => at = start + length,
                next => {
                    let until = next.map_or(end, |(start, _)| start.min(end));
                    parts.push((at, until - at));
                    at = until;
                }
            }
        }
    }
    parts
}

impl tar::Sink for Check<'_> {
    type Error = Error;

    fn raw(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.entry = None;
        if entry.kind == Kind::GlobalHeader || name::marker(&name::clean(&entry.path)) != Marker::None {
            return Ok(());
        }
        if entry.kind == Kind::Regular {
            let sparse = entry.sparse.clone().map(|map| (map, Crc64::new()));
            self.entry = Some(Passing { path: entry.path.clone(), size: entry.size, crc: None, sparse });
        } else if let Some(fault) = self.look(entry)? {
            self.report(&entry.path, fault);
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(Passing { sparse: Some((_, crc)), .. }) = &mut self.entry {
            crc.update(bytes);
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<()> {
        if let Some(passing) = self.entry.take()
            && let Some(fault) = self.compare(&passing)?
        {
            self.report(&passing.path, fault);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::outside;

    #[test]
    fn parts_outside_of_a_map() {
        assert_eq!(outside(&[(0, 10)], &[(2, 3), (7, 1)]), [(0, 2), (5, 2), (8, 2)]);
        assert_eq!(outside(&[(0, 4), (8, 4)], &[(2, 8)]), [(0, 2), (10, 2)]);
        assert_eq!(outside(&[(0, 4)], &[(0, 4), (6, 1)]), []);
        assert_eq!(outside(&[(3, 4)], &[]), [(3, 4)]);
    }
}
