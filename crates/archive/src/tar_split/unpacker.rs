//! Reading records.

use std::io::{BufRead, BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::borrow::Cow;

use crate::error::{Error, Result};

/// Longest line that is read. Docker's own are below some six MiB: a few extension headers of 1 MiB, in base64.
const LINE_BYTES: u64 = 64 << 20;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Bytes of the archive.
    Segment(Vec<u8>),
    /// An entry of the archive, whose payload comes here.
    File {
        /// Name as in the archive: not cleaned, not confined.
        name: Vec<u8>,
        /// Length of the payload in bytes. Entries without payload are recorded with 0. (Docker records the size
        /// that a directory or link claims, together with the checksum of nothing, which is all zeros.)
        size: u64,
        /// [`Crc64`](crate::Crc64) of the payload; always there if `size` is not 0.
        crc: Option<[u8; 8]>,
    },
}

/// Reads records, uncompressed (see [`gunzip`](super::gunzip)), one at a time.
#[derive(Debug)]
pub struct Unpacker<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    record: u64,
}

impl<R: Read> Unpacker<R> {
    /// Starts with record 0.
    pub fn new(input: R) -> Self {
        Unpacker { input: BufReader::with_capacity(64 << 10, input), line: Vec::new(), record: 0 }
    }

    fn read_item(&mut self) -> Result<Option<Item>> {
        loop {
            self.line.clear();
            let mut limited = (&mut self.input).take(LINE_BYTES + 1);
            let n = limited.read_until(b'\n', &mut self.line).map_err(Error::io("reading tar-split"))?;
            if n == 0 {
                return Ok(None);
            }
            if n as u64 > LINE_BYTES {
                return Err(self.bad("the line is too long".into()));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let item = item(&self.line).map_err(|reason| self.bad(reason))?;
        self.record += 1;
        Ok(Some(item))
    }

    fn bad(&self, reason: String) -> Error {
        Error::TarSplit { record: self.record, reason }
    }
}

impl<R: Read> Iterator for Unpacker<R> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Result<Item>> {
        self.read_item().transpose()
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: u32,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name_raw: Option<Cow<'a, str>>,
    #[serde(default)]
    size: i64,
    #[serde(borrow, default)]
    payload: Option<Cow<'a, str>>,
}

fn item(line: &[u8]) -> Result<Item, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let payload = decode(line.payload.as_deref().unwrap_or_default(), "payload")?;
    match line.kind {
        1 => {
            let name_raw = decode(line.name_raw.as_deref().unwrap_or_default(), "name_raw")?;
            let name = if name_raw.is_empty() {
                line.name.unwrap_or_default().into_owned().into_bytes()
            } else {
                name_raw
            };
            let size = u64::try_from(line.size).map_err(|_| "negative size".to_owned())?;
            let crc = match (payload.len(), size) {
                (0, 0) => None,
                (0, _) => return Err("a file without checksum".into()),
                _ => Some(
                    payload.try_into().map_err(|_| "a checksum that is not eight bytes long".to_owned())?,
                ),
            };
            Ok(Item::File { name, size, crc })
        }
        2 => Ok(Item::Segment(payload)),
        other => Err(format!("unknown type {other}")),
    }
}

fn decode(text: &str, field: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| format!("{field}: {e}"))
}
