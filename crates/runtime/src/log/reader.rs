//! Reads a log, also one that is being written to.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;

use model::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, inotify};
use rustix::io::Errno;
use serde::Deserialize;
use sys::identity::Process;
use sys::{AsFd, AsRawFd, OwnedFd};

use super::{Entry, Stream, file_name, tail};
use crate::error::{Error, Result};

/// What is wanted of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query {
    /// Only the last entries, this many.
    pub tail: Option<usize>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Nothing newer.
    pub until: Option<Timestamp>,
}

/// A log that is being read. What is written meanwhile is read, too, across rotations.
#[derive(Debug)]
pub struct Reader {
    dir: OwnedFd,
    name: String,
    query: Query,
    /// Files to be read, the oldest first. The last one is written to.
    files: VecDeque<std::fs::File>,
    begun: Vec<u8>,
    ready: VecDeque<Entry>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    log: String,
    stream: Stream,
    time: Timestamp,
}

/// Files that somebody may have put aside; more than that are not looked for.
const MOST_FILES: u32 = 10_000;

impl Reader {
    /// Opens the log `name` in the directory. One that is not there is empty.
    ///
    /// # Errors
    /// System calls.
    pub fn open(dir: OwnedFd, name: &str, query: Query) -> Result<Self> {
        let mut files = VecDeque::new();
        for age in 0..MOST_FILES {
            match open(&dir, &file_name(name, age))? {
                Some(file) => files.push_front(file),
                None => break,
            }
        }
        if let Some(lines) = query.tail {
            tail::skip_to(&mut files, lines, name)?;
        }
        let name = name.to_owned();
        Ok(Self { dir, name, query, files, begun: Vec::new(), ready: VecDeque::new() })
    }

    /// The next entry that there is; `None` for the present end. Lines that are no entries are passed over.
    ///
    /// # Errors
    /// System calls.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                if self.query.until.is_some_and(|until| entry.time > until) {
                    return Ok(None);
                }
                if self.query.since.is_none_or(|since| entry.time >= since) {
                    return Ok(Some(entry));
                }
                continue;
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Waits until something is written, or the process that writes has ended; says whether it still runs.
    ///
    /// # Errors
    /// System calls.
    pub fn wait(&mut self, writer: &Process) -> Result<bool> {
        let name = self.name.clone();
        let failed = || Error::errno::<Errno>("watch", &name);
        let watch =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(failed())?;
        let events =
            inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        let dir = format!("/proc/self/fd/{}", self.dir.as_raw_fd());
        inotify::add_watch(&watch, dir, events).map_err(failed())?;
        // What was written before the watch began has told nobody.
        if self.fill()? {
            return Ok(true);
        }
        let writer = writer.as_fd();
        loop {
            let mut fds =
                [PollFd::new(&watch, PollFlags::IN), PollFd::from_borrowed_fd(writer, PollFlags::IN)];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                Err(e) => return Err(failed()(e)),
                Ok(_) => return Ok(fds[1].revents().is_empty()),
            }
        }
    }

    /// Reads on; says whether there was anything.
    fn fill(&mut self) -> Result<bool> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Some(file) = self.files.front_mut() else {
                match open(&self.dir, &self.name)? {
                    Some(file) => self.files.push_back(file),
                    None => return Ok(false),
                }
                continue;
            };
            let read = file.read(&mut buffer).map_err(Error::io("read", &self.name))?;
            if read > 0 {
                self.take(&buffer[..read]);
                return Ok(true);
            }
            if self.files.len() == 1 && !self.was_rotated()? {
                return Ok(false);
            }
            // Nothing is written to a file any more that was put aside.
            self.begun.clear();
            self.files.pop_front();
        }
    }

    /// Whether the file that we read to its end is no longer the one that is written to.
    fn was_rotated(&mut self) -> Result<bool> {
        let Some(last) = self.files.back_mut() else { return Ok(false) };
        let Some(now) = open(&self.dir, &self.name)? else { return Ok(false) };
        let meta = |file: &std::fs::File| file.metadata().map_err(Error::io("stat", &self.name));
        let (read, written) = (meta(last)?, meta(&now)?);
        if (read.dev(), read.ino()) != (written.dev(), written.ino()) {
            // Something may have been written after we came to the end and before it was put aside.
            let at = last.stream_position().map_err(Error::io("seek in", &self.name))?;
            if read.len() > at {
                return Ok(false);
            }
            self.files.push_back(now);
            return Ok(true);
        }
        if read.len() < last.stream_position().map_err(Error::io("seek in", &self.name))? {
            // Emptied in place, as some rotate logs.
            last.seek(SeekFrom::Start(0)).map_err(Error::io("seek in", &self.name))?;
        }
        Ok(false)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.begun.split_off(end + 1);
        let lines = std::mem::replace(&mut self.begun, rest);
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let entries = lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        self.ready.extend(entries.map(|line| Entry { time: line.time, stream: line.stream, text: line.log }));
    }
}

fn open(dir: &OwnedFd, name: &str) -> Result<Option<std::fs::File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(Error::errno("open", name)(e)),
    }
}
