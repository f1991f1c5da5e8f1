//! Fetches blobs over several connections at once.
//!
//! The work is cut into segments. Each connection takes the next one: of the largest blobs first, of those that are
//! unpacked at the moment alike, segments in order. A server that does not give parts of a blob is read from one
//! connection. What broke off is asked for again from where it stands, after a wait that grows; whatever fails for good
//! ends all of it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use registry::{Body, Repository};

use super::report::Report;
use super::spool::{Spool, Verdict};
use crate::error::{Error, Result};

/// A connection that has brought so much before it broke is as good as new.
const GOOD: u64 = 256 << 10;

/// Fetches the blobs of an image.
pub(super) struct Fetcher<'a> {
    repository: Repository,
    report: &'a Report<'a>,
    /// The largest first.
    spools: Vec<Arc<Spool>>,
    /// How many layers are unpacked at once.
    unpacking: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What is left to do of each blob.
    work: Vec<Work>,
    stopped: bool,
    failure: Option<Error>,
}

/// What is left to do of a blob.
struct Work {
    /// Segments that nobody has taken.
    next: usize,
    /// Connections that are at it.
    active: usize,
    parts: Parts,
    told: bool,
}

/// Whether the server gives parts of a blob.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Unknown,
    /// Somebody has asked for the first.
    Asking,
    Yes,
    No,
}

/// A segment to fetch.
#[derive(Clone, Copy)]
struct Job {
    blob: usize,
    segment: usize,
}

impl<'a> Fetcher<'a> {
    pub fn new(
        repository: Repository,
        mut spools: Vec<Arc<Spool>>,
        unpacking: usize,
        report: &'a Report<'a>,
    ) -> Self {
        spools.sort_by_key(|spool| std::cmp::Reverse(spool.blob.size));
        let work =
            spools.iter().map(|_| Work { next: 0, active: 0, parts: Parts::Unknown, told: false }).collect();
        let state = Mutex::new(State { work, stopped: false, failure: None });
        Self { repository, report, spools, unpacking: unpacking.max(1), state, changed: Condvar::new() }
    }

    /// Starts as many connections as there is work for, and a thread for each blob that compares it with its digest.
    pub fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, connections: usize) {
        self.spools.iter().for_each(|spool| self.report.expect(&spool.blob.item));
        let segments: usize = self.spools.iter().map(|spool| spool.segment_count()).sum();
        for _ in 0..connections.min(segments) {
            scope.spawn(move || self.work());
        }
        for spool in &self.spools {
            scope.spawn(move || self.verify(spool));
        }
    }

    /// Ends all of it.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
        self.spools.iter().for_each(|spool| spool.stop());
    }

    /// What went wrong here: the cause of what went wrong elsewhere.
    pub fn failure(&self) -> Option<Error> {
        self.state().failure.take()
    }

    /// Waits until all blobs are there and are what they should be.
    pub fn finish(&self) -> Result<()> {
        let good = self.spools.iter().all(|spool| spool.wait() == Verdict::Good);
        if good {
            Ok(())
        } else {
            Err(self.failure().unwrap_or_else(|| Error::invalid("the download was given up")))
        }
    }

    fn fail(&self, error: Error) {
        self.state().failure.get_or_insert(error);
        self.stop();
    }

    fn verify(&self, spool: &Arc<Spool>) {
        match spool.verify(self.report) {
            Ok(Verdict::Good) => self.report.verified(&spool.blob.item),
            Ok(Verdict::Wrong(found)) => {
                let blob = &spool.blob;
                self.fail(Error::WrongBlob { expected: blob.digest, found });
            }
            Ok(_) => {}
            Err(e) => self.fail(e),
        }
    }

    /// One connection.
    fn work(&self) {
        while let Some(job) = self.next_job() {
            let fetched = self.fetch(job);
            self.state().work[job.blob].active -= 1;
            self.changed.notify_all();
            if let Err(e) = fetched {
                self.fail(e);
            }
        }
    }

    /// The next segment; waits while it is not known whether there is one to take.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            let mut undecided = false;
            let mut candidates = Vec::new();
            for (blob, work) in state.work.iter().enumerate() {
                if work.next < self.spools[blob].segment_count() {
                    match work.parts {
                        Parts::Unknown | Parts::Yes => candidates.push(blob),
                        Parts::Asking => undecided = true,
                        Parts::No => {}
                    }
                }
            }
            // Those that are unpacked next get connections alike; the rest waits for its turn.
            let alike = candidates.into_iter().take(self.unpacking);
            if let Some(blob) = alike.min_by_key(|blob| state.work[*blob].active) {
                let work = &mut state.work[blob];
                let job = Job { blob, segment: work.next };
                (work.next, work.active) = (work.next + 1, work.active + 1);
                if work.parts == Parts::Unknown {
                    work.parts = Parts::Asking;
                }
                if !std::mem::replace(&mut work.told, true) {
                    drop(state);
                    let spool = &self.spools[blob];
                    self.report.fetching(&spool.blob.item, spool.blob.size, spool.have());
                }
                return Some(job);
            }
            if !undecided {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Fetches a segment, with as many attempts as it takes.
    fn fetch(&self, job: Job) -> Result<()> {
        let spool = &self.spools[job.blob];
        let mut backoff = self.repository.backoff();
        loop {
            let (parts, stopped) = {
                let state = self.state();
                (state.work[job.blob].parts, state.stopped)
            };
            let missing =
                if parts == Parts::No { spool.missing_of_all() } else { spool.missing(job.segment) };
            if missing.is_empty() || stopped {
                if parts == Parts::Asking {
                    // Nothing had to be asked: the next one will.
                    self.know(job.blob, Parts::Unknown);
                }
                return Ok(());
            }
            let before = spool.have();
            let error = match self.attempt(job, missing) {
                Ok(()) => continue,
                Err(Error::Registry(e)) => e,
                Err(e) => return Err(e),
            };
            if spool.have() - before >= GOOD {
                backoff.reset();
            }
            match backoff.again(&error) {
                Some(wait) => self.pause(wait),
                None => return Err(error.into()),
            }
        }
    }

    /// Asks for what is missing of a segment, and takes what comes.
    fn attempt(&self, job: Job, missing: Range<u64>) -> Result<()> {
        let spool = &self.spools[job.blob];
        let blob = &spool.blob;
        let to = (spool.segment_count() > 1).then_some(missing.end);
        let mut body = self.repository.blob(&blob.digest, missing.start, to)?;
        if let Some(total) = body.total.filter(|total| *total != blob.size) {
            let text = format!("the server has {total} bytes of it, the manifest says {}", blob.size);
            return Err(interrupted(blob.digest, io::Error::other(text)));
        }
        if body.from > missing.start {
            let text = format!("the server sent what begins at {}, not at {}", body.from, missing.start);
            return Err(interrupted(blob.digest, io::Error::other(text)));
        }
        self.know(job.blob, if body.ranges { Parts::Yes } else { Parts::No });
        // Whoever gives no parts begins at the start and goes on to the end.
        let end = if body.ranges { missing.end } else { blob.size };
        self.receive(job, &mut body, end)
    }

    /// Takes bytes of the blob up to `end`, and not one more.
    fn receive(&self, job: Job, body: &mut Body, end: u64) -> Result<()> {
        let spool = &self.spools[job.blob];
        let mut writer = spool.writer();
        let mut buf = vec![0; 256 << 10];
        let mut at = body.from;
        while at < end && !self.state().stopped {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buf.len());
            match body.read(&mut buf[..wanted]) {
                Ok(0) => {
                    let text = format!("it ends after {at} of {} bytes", spool.blob.size);
                    return Err(interrupted(spool.blob.digest, io::Error::other(text)));
                }
                Ok(n) => {
                    let new = writer.put(at, &buf[..n])?;
                    self.report.fetched(&spool.blob.item, new);
                    at += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(interrupted(spool.blob.digest, e)),
            }
        }
        Ok(())
    }

    fn know(&self, blob: usize, parts: Parts) {
        self.state().work[blob].parts = parts;
        self.changed.notify_all();
    }

    /// Waits, but not longer than there is something to wait for.
    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut state = self.state();
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|_| !state.stopped) {
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that broke off.
fn interrupted(digest: model::Digest, source: io::Error) -> Error {
    registry::Error::interrupted(format!("blob {digest}"), source).into()
}
