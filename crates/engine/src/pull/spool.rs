//! A blob on its way: segments that grow while they are read.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use archive::digest::Sha256;
use model::{DiffId, Digest};
use store::{SEGMENT, Segments};
use sys::OwnedFd;

use super::report::Report;
use crate::error::{Error, Result};

/// What is fetched.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub digest: Digest,
    /// The layer that it holds, by the configuration.
    pub diff: DiffId,
    /// Its length in bytes, as the manifest has it.
    pub size: u64,
    /// What progress calls it.
    pub item: String,
}

/// A blob on its way.
pub(super) struct Spool {
    pub blob: Wanted,
    segments: Segments,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Bytes of each segment that are there.
    have: Vec<u64>,
    verdict: Verdict,
}

/// What is known of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not all of them are there and compared.
    Open,
    /// They are those that were asked for.
    Good,
    /// They have another digest.
    Wrong(Digest),
    /// The rest will not come.
    Stopped,
}

impl Spool {
    /// Goes on where `segments` stopped.
    pub fn new(blob: Wanted, segments: Segments) -> Result<Self> {
        let state = State { have: segments.lengths()?, verdict: Verdict::Open };
        Ok(Self { blob, segments, state: Mutex::new(state), changed: Condvar::new() })
    }

    pub fn segment_count(&self) -> usize {
        self.segments.count()
    }

    /// Bytes that are there.
    pub fn have(&self) -> u64 {
        self.state().have.iter().sum()
    }

    /// What is missing of a segment, as offsets in the blob.
    pub fn missing(&self, segment: usize) -> std::ops::Range<u64> {
        let range = self.segments.range(segment);
        range.start + self.state().have[segment]..range.end
    }

    /// From the first byte that is missing to the end, as offsets in the blob.
    pub fn missing_of_all(&self) -> std::ops::Range<u64> {
        let gaps = (0..self.segment_count()).map(|segment| self.missing(segment));
        gaps.into_iter().find(|gap| !gap.is_empty()).map_or(0..0, |gap| gap.start..self.blob.size)
    }

    /// Begins to write.
    pub fn writer(&self) -> SpoolWriter<'_> {
        SpoolWriter { spool: self, open: None }
    }

    /// Reads the blob from its start; waits for what is not there yet.
    pub fn reader(self: &Arc<Self>) -> SpoolReader {
        SpoolReader { spool: self.clone(), open: None, at: 0 }
    }

    /// Compares the blob with its digest while it comes.
    pub fn verify(self: &Arc<Self>, report: &Report<'_>) -> Result<Verdict> {
        let mut reader = self.reader();
        let mut sha = Sha256::new();
        let mut buf = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => sha.update(&buf[..n]),
                Err(_) if self.verdict() == Verdict::Stopped => return Ok(Verdict::Stopped),
                Err(e) => return Err(Error::io("read", &self.blob.item)(e)),
            }
        }
        report.verifying(&self.blob.item);
        let found = Digest::from(sha.finish());
        let verdict = if found == self.blob.digest { Verdict::Good } else { Verdict::Wrong(found) };
        Ok(self.settle(verdict))
    }

    /// Ends it: nothing more will come.
    pub fn stop(&self) {
        self.settle(Verdict::Stopped);
    }

    /// The first verdict counts.
    fn settle(&self, verdict: Verdict) -> Verdict {
        let mut state = self.state();
        if state.verdict == Verdict::Open {
            state.verdict = verdict;
        }
        self.changed.notify_all();
        state.verdict
    }

    pub fn verdict(&self) -> Verdict {
        self.state().verdict
    }

    /// Waits until the bytes are all there and compared, or will not come.
    pub fn wait(&self) -> Verdict {
        let mut state = self.state();
        while state.verdict == Verdict::Open {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.verdict
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segment of an offset.
fn segment_of(offset: u64) -> usize {
    usize::try_from(offset / SEGMENT).unwrap_or(usize::MAX)
}

/// Writes to a [`Spool`].
pub(super) struct SpoolWriter<'a> {
    spool: &'a Spool,
    open: Option<(usize, OwnedFd)>,
}

impl SpoolWriter<'_> {
    /// Writes bytes that begin at `offset` of the blob; what is there already is left out. Answers with how many were
    /// new.
    pub fn put(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<u64> {
        let mut new = 0;
        while !bytes.is_empty() {
            let segment = segment_of(offset);
            let range = self.spool.segments.range(segment);
            let len = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(len);
            new += self.put_in(segment, offset - range.start, piece)?;
            (bytes, offset) = (rest, range.end);
        }
        Ok(new)
    }

    fn put_in(&mut self, segment: usize, offset: u64, piece: &[u8]) -> Result<u64> {
        let have = self.spool.state().have[segment];
        let known = usize::try_from(have.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(piece) = piece.get(known..).filter(|piece| !piece.is_empty()) else { return Ok(0) };
        let at = offset + known as u64;
        if self.open.as_ref().is_none_or(|(open, _)| *open != segment) {
            self.open = Some((segment, self.spool.segments.open_to_write(segment)?));
        }
        if let Some((_, file)) = &self.open {
            sys::file::write_at(file, piece, at)?;
        }
        let mut state = self.spool.state();
        let end = at + piece.len() as u64;
        state.have[segment] = state.have[segment].max(end);
        self.spool.changed.notify_all();
        Ok(piece.len() as u64)
    }
}

/// Reads a [`Spool`] from its start.
pub(super) struct SpoolReader {
    spool: Arc<Spool>,
    open: Option<(usize, OwnedFd)>,
    at: u64,
}

impl SpoolReader {
    /// Waits until there are bytes at the present place; answers with how many, 0 at the end.
    fn available(&self, segment: usize) -> io::Result<u64> {
        if self.at == self.spool.blob.size {
            return Ok(0);
        }
        let start = self.spool.segments.range(segment).start;
        let mut state = self.spool.state();
        loop {
            let have = start + state.have[segment];
            if have > self.at {
                return Ok(have - self.at);
            }
            if state.verdict == Verdict::Stopped {
                return Err(io::Error::other("the download was given up"));
            }
            state = self.spool.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Read for SpoolReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let segment = segment_of(self.at);
        let available = self.available(segment)?;
        let len = usize::try_from(available).unwrap_or(usize::MAX).min(buf.len());
        if len == 0 {
            return Ok(0);
        }
        let file = match &self.open {
            Some((open, file)) if *open == segment => file,
            _ => {
                let file = self.spool.segments.open_to_read(segment).map_err(io::Error::other)?;
                &self.open.insert((segment, file)).1
            }
        };
        let start = self.spool.segments.range(segment).start;
        let n = sys::file::read_at(file, &mut buf[..len], self.at - start)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}
