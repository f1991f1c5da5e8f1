//! Writes a log.

use std::ffi::OsStr;
use std::io::Write;

use model::Timestamp;
use model::gojson::STORED;
use rustix::fs::{Mode, OFlags};
use sys::OwnedFd;

use super::{Rotation, Stream, file_name};
use crate::error::{Error, Result};

/// Longer lines are several entries, as in Docker.
const LONGEST: usize = 16 << 10;

/// A log that is being written to.
#[derive(Debug)]
pub struct Writer {
    dir: OwnedFd,
    name: String,
    rotation: Rotation,
    file: std::fs::File,
    size: u64,
    /// Beginnings of lines, of standard output and standard error.
    begun: [Vec<u8>; 2],
}

#[derive(serde::Serialize)]
struct Line<'a> {
    log: &'a str,
    stream: Stream,
    time: Timestamp,
}

impl Writer {
    /// Opens the log `name` (0640) in the directory, to write at its end.
    ///
    /// # Errors
    /// System calls.
    pub fn open(dir: OwnedFd, name: &str, rotation: Rotation) -> Result<Self> {
        let file = open(&dir, name)?;
        let size = file.metadata().map_err(Error::io("stat", name))?.len();
        Ok(Self { dir, name: name.to_owned(), rotation, file, size, begun: [Vec::new(), Vec::new()] })
    }

    /// Writes all lines that are complete with these bytes; what is begun comes with the next ones, or with
    /// [`Writer::finish`].
    ///
    /// # Errors
    /// System calls. What could not be written is lost.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) -> Result<()> {
        let begun = std::mem::take(&mut self.begun[stream as usize]);
        let whole;
        let mut rest = if begun.is_empty() {
            bytes
        } else {
            whole = [&begun, bytes].concat();
            &whole
        };
        let mut lines = Vec::with_capacity(rest.len() + 128);
        while !rest.is_empty() {
            let (line, after) = match rest.iter().take(LONGEST).position(|byte| *byte == b'\n') {
                Some(end) => rest.split_at(end + 1),
                None if rest.len() >= LONGEST => rest.split_at(LONGEST),
                None => break,
            };
            encode(&mut lines, stream, line, now)?;
            rest = after;
            // A file becomes no larger than it may because much came at once.
            if self.rotation.max_size.is_some_and(|max| self.size + lines.len() as u64 >= max) {
                self.append(&std::mem::take(&mut lines))?;
            }
        }
        self.begun[stream as usize] = rest.to_vec();
        self.append(&lines)
    }

    /// Writes lines that are begun: nothing follows.
    ///
    /// # Errors
    /// System calls.
    pub fn finish(&mut self, now: Timestamp) -> Result<()> {
        let mut lines = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(&mut self.begun[stream as usize]);
            if !line.is_empty() {
                encode(&mut lines, stream, &line, now)?;
            }
        }
        self.append(&lines)
    }

    /// Appends whole lines in one call, so that a reader sees no half of one.
    fn append(&mut self, lines: &[u8]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.rotation.max_size.is_some_and(|max| self.size > 0 && self.size + lines.len() as u64 > max) {
            self.rotate()?;
        }
        self.file.write_all(lines).map_err(Error::io("write to", &self.name))?;
        self.size += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> Result<()> {
        let rename = |from: u32, to: u32| {
            let (from, to) = (file_name(&self.name, from), file_name(&self.name, to));
            match sys::dir::rename(&self.dir, OsStr::new(&from), &self.dir, OsStr::new(&to)) {
                Err(e) if e.is_not_found() => Ok(()),
                other => other,
            }
        };
        for age in (0..self.rotation.max_files.saturating_sub(1)).rev() {
            rename(age, age + 1)?;
        }
        if self.rotation.max_files <= 1 {
            sys::dir::unlink(&self.dir, OsStr::new(&self.name))?;
        }
        self.file = open(&self.dir, &self.name)?;
        self.size = 0;
        Ok(())
    }
}

fn encode(lines: &mut Vec<u8>, stream: Stream, text: &[u8], time: Timestamp) -> Result<()> {
    // Not one of the bytes may be lost, but JSON has text only: Docker writes replacement characters, too.
    let text = String::from_utf8_lossy(text);
    let line = STORED.to_vec(&Line { log: &text, stream, time });
    lines.extend(line.map_err(|e| Error::invalid(e.to_string()))?);
    lines.push(b'\n');
    Ok(())
}

fn open(dir: &OwnedFd, name: &str) -> Result<std::fs::File> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o640));
    fd.map(std::fs::File::from).map_err(Error::errno("open", name))
}
