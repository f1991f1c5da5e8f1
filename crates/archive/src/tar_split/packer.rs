//! Writing records.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{SEGMENT_BYTES, TAIL_SEGMENT_BYTES, clean};
use crate::crc64::Crc64;
use crate::error::{Error, Result};
use crate::tar::{Entry, Kind, Sink};

/// Lines are handed on in pieces of about this size.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes the records of the archive that it is fed as a [`Sink`], uncompressed; wrap the output in
/// [`gzip`](super::gzip) to store them.
#[derive(Debug)]
pub struct Packer<W> {
    out: W,
    lines: Vec<u8>,
    position: u64,
    segment: Vec<u8>,
    segment_limit: usize,
    file: File,
    crc: Crc64,
    seen: SeenNames,
}

/// What the payload that is passing goes into.
#[derive(Debug)]
enum File {
    /// Nothing passes, or what does was recorded in front.
    None,
    /// A file entry.
    Plain { name: Vec<u8>, size: u64 },
    /// Segments.
    Sparse,
}

impl<W: Write> Packer<W> {
    /// Starts with record 0.
    pub fn new(out: W) -> Self {
        Packer {
            out,
            lines: Vec::with_capacity(BUFFER_BYTES * 2),
            position: 0,
            segment: Vec::new(),
            segment_limit: SEGMENT_BYTES,
            file: File::None,
            crc: Crc64::new(),
            seen: SeenNames::default(),
        }
    }

    /// Writes what is still held back and gives the output back, not flushed.
    pub fn finish(mut self) -> Result<W> {
        self.end_segment()?;
        self.write_lines(0)?;
        Ok(self.out)
    }

    fn add_to_segment(&mut self, mut bytes: &[u8]) -> Result<()> {
        while self.segment.len() + bytes.len() > self.segment_limit {
            let (piece, rest) = bytes.split_at(self.segment_limit.saturating_sub(self.segment.len()));
            self.segment.extend_from_slice(piece);
            self.end_segment()?;
            bytes = rest;
        }
        self.segment.extend_from_slice(bytes);
        Ok(())
    }

    fn end_segment(&mut self) -> Result<()> {
        if self.segment.is_empty() {
            return Ok(());
        }
        self.lines.extend_from_slice(br#"{"type":2,"payload":""#);
        push_base64(&mut self.lines, &self.segment);
        self.lines.push(b'"');
        self.segment.clear();
        self.end_line()
    }

    fn file_line(&mut self, name: &[u8], payload: Option<(u64, [u8; 8])>) -> Result<()> {
        self.lines.extend_from_slice(br#"{"type":1"#);
        match std::str::from_utf8(name) {
            Ok("") => {}
            Ok(text) => {
                self.lines.extend_from_slice(br#","name":""#);
                push_escaped(&mut self.lines, text);
                self.lines.push(b'"');
            }
            Err(_) => {
                self.lines.extend_from_slice(br#","name_raw":""#);
                push_base64(&mut self.lines, name);
                self.lines.push(b'"');
            }
        }
        match payload {
            None => self.lines.extend_from_slice(br#","payload":null"#),
            Some((size, crc)) => {
                self.lines.extend_from_slice(br#","size":"#);
                push_number(&mut self.lines, size);
                self.lines.extend_from_slice(br#","payload":""#);
                push_base64(&mut self.lines, &crc);
                self.lines.push(b'"');
            }
        }
        self.end_line()
    }

    fn end_line(&mut self) -> Result<()> {
        self.lines.extend_from_slice(br#","position":"#);
        push_number(&mut self.lines, self.position);
        self.lines.extend_from_slice(b"}\n");
        self.position += 1;
        self.write_lines(BUFFER_BYTES)
    }

    fn write_lines(&mut self, at_least: usize) -> Result<()> {
        if self.lines.len() >= at_least {
            self.out.write_all(&self.lines).map_err(Error::io("writing tar-split"))?;
            self.lines.clear();
        }
        Ok(())
    }
}

impl<W: Write> Sink for Packer<W> {
    type Error = Error;

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.add_to_segment(bytes)
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        if !self.seen.insert(&entry.path) {
            if entry.kind == Kind::GlobalHeader {
                return Ok(());
            }
            return Err(Error::DuplicatePath { path: String::from_utf8_lossy(&entry.path).into_owned() });
        }
        self.end_segment()?;
        if entry.size != 0 && entry.sparse.is_none() {
            self.file = File::Plain { name: entry.path.clone(), size: entry.size };
            return Ok(());
        }
        self.file = File::Sparse;
        self.segment_limit = TAIL_SEGMENT_BYTES;
        self.file_line(&entry.path, None)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        match self.file {
            File::Plain { .. } => {
                self.crc.update(bytes);
                Ok(())
            }
            File::Sparse | File::None => self.add_to_segment(bytes),
        }
    }

    fn end_entry(&mut self) -> Result<()> {
        self.segment_limit = SEGMENT_BYTES;
        match std::mem::replace(&mut self.file, File::None) {
            File::Plain { name, size } => {
                let crc = std::mem::take(&mut self.crc).finish();
                self.file_line(&name, Some((size, crc)))
            }
            File::Sparse => self.end_segment(),
            File::None => Ok(()),
        }
    }

    fn end_archive(&mut self) -> Result<()> {
        self.end_segment()?;
        self.segment_limit = TAIL_SEGMENT_BYTES;
        Ok(())
    }
}

/// The cleaned names so far, as 128 bits of keyed hash each: a layer may have millions of names, and its author can
/// neither choose nor expect two with the same hash.
#[derive(Debug, Default)]
struct SeenNames {
    keys: [RandomState; 2],
    names: HashSet<[u64; 2]>,
}

impl SeenNames {
    /// Whether the name is new.
    fn insert(&mut self, name: &[u8]) -> bool {
        let name = clean(name);
        let hash = [self.keys[0].hash_one(&name), self.keys[1].hash_one(&name)];
        self.names.insert(hash)
    }
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // Cannot fail: the room is exactly what padded base64 takes.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes a JSON string's inside as Go's encoder does, which also escapes what HTML and JavaScript stumble over.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    for (i, c) in text.char_indices() {
        let short: &[u8] = match c {
            '"' => br#"\""#,
            '\\' => br"\\",
            '\n' => br"\n",
            '\r' => br"\r",
            '\t' => br"\t",
            '\u{8}' => br"\b",
            '\u{c}' => br"\f",
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => b"",
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..i]);
        plain = i + c.len_utf8();
        out.extend_from_slice(short);
        if short.is_empty() {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let mut out = Vec::new();
        push_escaped(&mut out, "a\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}<>&é\u{2028}\u{2029}z");
        let expected = "a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001f\u{7f}\\u003c\\u003e\\u0026é\\u2028\\u2029z";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn numbers_and_base64() {
        for n in [0, 7, 10, 65535, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, n);
            assert_eq!(out, n.to_string().into_bytes());
        }
        for (bytes, text) in [(&b""[..], ""), (b"\xff\xfe", "//4="), (b"abc", "YWJj"), (b"a", "YQ==")] {
            let mut out = b"x".to_vec();
            push_base64(&mut out, bytes);
            assert_eq!(out[1..], *text.as_bytes());
        }
    }
}
