//! Writing archives.

use std::io::{self, Read, Write};

use super::encode::{Fields, beside, extension_block, sparse_map};
use super::header::ZERO;
use super::{Entry, Kind, padding};
use crate::error::{Error, Result};

/// Writes an archive the way Docker 25 and later write layers (Go's `archive/tar` asked for PAX): a ustar header
/// where everything fits, otherwise a PAX extended header with sorted records in front of it. The same entries
/// always give the same bytes.
///
/// Sparse files are written in GNU's PAX format 1.0, which Go reads but does not write.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    path: Vec<u8>,
    /// Missing bytes of the current payload, and its padding.
    left: u64,
    pad: u64,
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub fn new(out: W) -> Self {
        Writer { out, path: Vec::new(), left: 0, pad: 0 }
    }

    /// Writes an entry with its payload: exactly [`Entry::size`] bytes of `payload` (packed for sparse files).
    pub fn append(&mut self, entry: &Entry, payload: impl Read) -> Result<()> {
        self.append_header(entry)?;
        io::copy(&mut payload.take(self.left), &mut Payload(self))
            .map_err(Error::io("writing tar payload"))?;
        self.end_payload()
    }

    /// Writes the header of an entry; [`Entry::size`] bytes of [`data`](Self::data) must follow.
    pub fn append_header(&mut self, entry: &Entry) -> Result<()> {
        self.end_payload()?;
        self.path.clone_from(&entry.path);
        let refuse = |reason| unwritable(&entry.path, reason);
        if matches!(entry.kind, Kind::Regular | Kind::CharDevice | Kind::BlockDevice | Kind::Fifo)
            && entry.path.ends_with(b"/")
        {
            return Err(refuse("the name of what is no directory ends in a slash"));
        }
        if !entry.kind.has_payload() && (entry.size != 0 || entry.sparse.is_some()) {
            return Err(refuse("an entry of this kind has no payload"));
        }
        if matches!(entry.kind, Kind::Other(b'x' | b'L' | b'K' | b'S' | b'g')) {
            return Err(refuse("extension headers are written by the writer itself"));
        }
        let map = match &entry.sparse {
            Some(map) => sparse_map(map, entry.size)
                .ok_or_else(|| refuse("the sparse map does not fit the payload"))?,
            None => Vec::new(),
        };
        let fields =
            Fields::new(entry, map.len() as u64).ok_or_else(|| refuse("the payload is too large"))?;
        let records = fields.records().map_err(refuse)?;
        match (entry.kind, &records) {
            (Kind::GlobalHeader, None) => return Err(refuse("a global header needs PAX records")),
            (Kind::GlobalHeader, Some(records)) => self.extension(b'g', &entry.path, records)?,
            (_, None) => self.write(&fields.ustar())?,
            (_, Some(records)) => {
                self.extension(b'x', &beside(&entry.path, b"PaxHeaders.0"), records)?;
                self.write(&fields.pax())?;
            }
        }
        self.write(&map)?;
        self.left = entry.size;
        self.pad = padding(entry.size);
        Ok(())
    }

    /// Writes a piece of the current payload.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(unwritable(&self.path, "the payload is longer than the size in the header"));
        };
        self.write(bytes)?;
        self.left = left;
        Ok(())
    }

    /// Writes the two zero blocks at the end and gives the output back, not flushed.
    pub fn finish(mut self) -> Result<W> {
        self.end_payload()?;
        self.write(&ZERO)?;
        self.write(&ZERO)?;
        Ok(self.out)
    }

    fn end_payload(&mut self) -> Result<()> {
        if self.left != 0 {
            return Err(unwritable(&self.path, "the payload is shorter than the size in the header"));
        }
        let pad = std::mem::take(&mut self.pad) as usize;
        self.write(&ZERO[..pad])
    }

    /// Writes an extension header with its body.
    fn extension(&mut self, flag: u8, name: &[u8], body: &[u8]) -> Result<()> {
        self.write(&extension_block(flag, name, body.len()))?;
        self.write(body)?;
        self.write(&ZERO[..padding(body.len() as u64) as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::io("writing tar archive"))
    }
}

struct Payload<'a, W>(&'a mut Writer<W>);

impl<W: Write> Write for Payload<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.data(buf).map_err(io::Error::other)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unwritable(path: &[u8], reason: &'static str) -> Error {
    Error::Unwritable { path: String::from_utf8_lossy(path).into_owned(), reason }
}
