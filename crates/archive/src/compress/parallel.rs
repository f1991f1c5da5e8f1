//! Encoding on several threads, with the same bytes for any number of them.
//!
//! A stream is cut into blocks of a fixed length, and each becomes a gzip member or a zstd frame of its own: every
//! decoder takes several for one stream (RFC 1952 §2.2, RFC 8878 §3). Nothing else goes in, neither a time nor a name,
//! so a layer that is compressed again has the same digest, and is not sent again.
//!
//! One set of [`Workers`] serves any number of streams, in the order in which their blocks come: what one stream does
//! not use, another does. Of each stream a block for each thread and two more may wait, at most [`WAITING`].

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::Compression;
use super::block::{self, Packer};
use crate::error::{Error, Result};

/// The most blocks of one stream that are being compressed or wait to be read: bounds the memory of many threads.
const WAITING: usize = 8;

/// How to compress: with what, and how hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method {
    kind: Compression,
    level: i32,
}

impl Method {
    /// The method with its default level; a level if one is given: 1 to 12 for gzip, 1 to 19 for zstd.
    ///
    /// # Errors
    /// A kind that is only read, not written, and a level that is out of range.
    pub fn new(kind: Compression, level: Option<i32>) -> Result<Self> {
        let refuse = |why: String| {
            let source = io::Error::new(io::ErrorKind::InvalidInput, why);
            Err(Error::Io { operation: "starting encoder", source })
        };
        let (default, levels) = match kind {
            Compression::None => return Ok(Self { kind, level: 0 }),
            Compression::Gzip => (block::GZIP_LEVEL, 1..=12),
            Compression::Zstd => (block::ZSTD_LEVEL, 1..=19),
            Compression::Bzip2 | Compression::Xz => {
                return refuse(format!("{kind} is only read, not written"));
            }
        };
        let level = level.unwrap_or(default);
        if !levels.contains(&level) {
            let (first, last) = (levels.start(), levels.end());
            return refuse(format!("{kind} has levels from {first} to {last}, not {level}"));
        }
        Ok(Self { kind, level })
    }

    /// With what.
    pub fn kind(self) -> Compression {
        self.kind
    }

    /// How hard.
    pub fn level(self) -> i32 {
        self.level
    }
}

/// A block, and who waits for it.
struct Job {
    method: Method,
    block: Vec<u8>,
    answer: Sender<io::Result<Vec<u8>>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn put(&self, job: Job) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).jobs.push_back(job);
        self.changed.notify_one();
    }

    /// Waits for a job; `None` when there will be no more.
    fn take(&self) -> Option<Job> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match queue.jobs.pop_front() {
                Some(job) => return Some(job),
                None if queue.closed => return None,
                None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Threads that compress. Dropped, they end when what they were given is done.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(threads: usize) -> Result<Self> {
        let mut workers = Self { shared: Arc::default(), threads: Vec::new() };
        for _ in 0..threads.max(1) {
            let shared = Arc::clone(&workers.shared);
            let thread = thread::Builder::new().name("compress".to_owned()).spawn(move || work(&shared));
            workers.threads.push(thread.map_err(Error::io("starting a thread"))?);
        }
        Ok(workers)
    }

    /// A stream: what is written to the first end is read, compressed, from the second. The ends belong into two
    /// threads: whoever writes waits when nobody reads.
    pub fn stream(&self, method: Method) -> (Feed, Packed) {
        let (promises, blocks) = sync_channel((self.threads.len() + 2).min(WAITING));
        let feed =
            Feed { shared: Arc::clone(&self.shared), method, block: Vec::new(), promises, is_empty: true };
        (feed, Packed { blocks, block: Vec::new(), at: 0, state: State::Open })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // One that panicked has taken its answers with it, which whoever waited for them was told.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

fn work(shared: &Shared) {
    let mut packer = Packer::default();
    while let Some(Job { method, block, answer }) = shared.take() {
        // Whoever does not wait any more has failed, and says so himself.
        let _ = answer.send(packer.pack(method, block));
    }
}

/// What goes from one end of a stream to the other.
enum Promise {
    /// A block will come here.
    Block(Receiver<io::Result<Vec<u8>>>),
    /// There is no more.
    End,
}

/// The end of a stream where the bytes go in. Dropped before [`finish`](Feed::finish), it makes the other end fail.
pub struct Feed {
    shared: Arc<Shared>,
    method: Method,
    block: Vec<u8>,
    promises: SyncSender<Promise>,
    is_empty: bool,
}

impl Feed {
    /// Says that this was all.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn finish(mut self) -> io::Result<()> {
        // A stream of nothing has one empty member: no bytes at all would not be a gzip stream.
        if !self.block.is_empty() || self.is_empty {
            self.send()?;
        }
        self.promises.send(Promise::End).map_err(|_| gone())
    }

    fn send(&mut self) -> io::Result<()> {
        self.is_empty = false;
        let block = std::mem::take(&mut self.block);
        let (answer, promise) = channel();
        // First the promise: it waits for its place, and with it the job.
        self.promises.send(Promise::Block(promise)).map_err(|_| gone())?;
        self.shared.put(Job { method: self.method, block, answer });
        Ok(())
    }
}

impl Write for Feed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let whole = block::bytes(self.method);
        if self.block.capacity() == 0 {
            self.block.reserve_exact(whole);
        }
        let n = buf.len().min(whole - self.block.len());
        self.block.extend_from_slice(&buf[..n]);
        if self.block.len() == whole {
            self.send()?;
        }
        Ok(n)
    }

    /// Does nothing: where the blocks end does not depend on who writes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("method", &self.method).finish_non_exhaustive()
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads what is compressed any more")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Broken,
}

/// The end of a stream where the compressed bytes come out.
pub struct Packed {
    blocks: Receiver<Promise>,
    block: Vec<u8>,
    at: usize,
    state: State,
}

impl Packed {
    /// Whether the stream broke off because the other end did, not because of who reads.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// The next block, waiting for it; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let broken = || io::Error::other("what was to be compressed breaks off");
        match self.blocks.recv() {
            Ok(Promise::Block(answer)) => answer.recv().map_err(|_| broken())?.map(Some),
            Ok(Promise::End) => Ok(None),
            Err(_) => Err(broken()),
        }
    }
}

impl Read for Packed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && self.state != State::Ended {
            match self.next() {
                Ok(Some(block)) => (self.block, self.at) = (block, 0),
                Ok(None) => self.state = State::Ended,
                Err(error) => {
                    self.state = State::Broken;
                    return Err(error);
                }
            }
        }
        let n = buf.len().min(self.block.len() - self.at);
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("state", &self.state).finish_non_exhaustive()
    }
}
