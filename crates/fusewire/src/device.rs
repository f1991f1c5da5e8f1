//! [`Device`]: how the threads of a session wait for requests.
//!
//! A request is served in a microsecond or two, but waking a thread that sleeps costs ten times as much, and more on a
//! processor that has gone to sleep as well (union-fs.md §3.2). So while requests keep coming, one thread stays awake
//! and the others stay out of the kernel's queue, where every request would wake one of them for nothing. Threads
//! stand at one of these posts:
//!
//! - **Reader**, at most one. It reads without waiting, for [`SPIN`] after the last request; it serves what it reads and
//!   keeps its post meanwhile. When nothing has come it gives the post up and sleeps in a read of its own, to which
//!   the kernel brings the next request.
//! - **Watch**, the holder of one mutex. It looks every [`TICK`] whether the reader is still at the request that it was
//!   at before; then it becomes the reader, so that a request that takes long holds nobody up. It also comes when it
//!   is called: by a thread that for [`BACKLOG`] has found a request whenever it was ready for one; then it helps until
//!   it finds none. Where there is no reader it sleeps in a read too.
//! - **Reserve**, all others. They wait for the mutex, so that one of them has the watch when its holder leaves.
//!
//! An idle session thus is two threads asleep in the kernel, and a busy one costs no wake-ups. On two processors that
//! takes half of the time off a round trip for one caller, and nothing from two callers. The two ways of reading need
//! two descriptors of one connection, since it is the descriptor that waits or does not; if the device cannot be opened
//! a second time, all threads sleep, and the kernel wakes one a request.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// How long the reader stays awake for the next request: longer than a caller needs for a piece of a listing.
const SPIN: Duration = Duration::from_micros(200);
/// Who has to wait so long for the processor that he let others have is in their way, and they in his.
const CROWDED: Duration = Duration::from_micros(100);
/// How long nobody stays awake then: a thread that sleeps gets the processor sooner than one that let others go first.
const RESTRAINT: Duration = Duration::from_millis(20);
/// How long a request may take before somebody else reads.
const TICK: Duration = Duration::from_millis(1);
/// How long a thread is busy without a pause before it calls for help.
const BACKLOG: Duration = Duration::from_micros(500);

/// A request in the buffer of whoever read it: its length, and the descriptor through which it must be answered.
/// `None`: the mount is gone.
pub(crate) type Received<'d> = Option<(usize, BorrowedFd<'d>)>;

/// The device of a session, as all its threads share it.
pub(crate) struct Device<'a> {
    /// Reading from it waits for a request.
    waiting: BorrowedFd<'a>,
    /// Reading from it does not.
    prompt: Option<OwnedFd>,
    /// The thread that is the reader; 0 is none.
    reader: AtomicUsize,
    /// How many requests readers have come for, to see whether one is stuck.
    rounds: AtomicU64,
    watch: Mutex<()>,
    help_wanted: Mutex<bool>,
    help: Condvar,
}

/// What one thread knows of itself.
pub(crate) struct Post {
    id: NonZeroUsize,
    /// The last request came soon: it is worth staying awake for the next.
    keen: bool,
    /// Until when the processors have better things to do than to stay awake.
    crowded_until: Option<Instant>,
    /// Came when it was called and has found a request each time since.
    helping: bool,
    /// Since when there was a request each time.
    busy_since: Option<Instant>,
}

impl Post {
    /// The post of a thread; each has a number of its own.
    pub(crate) fn new(id: NonZeroUsize) -> Self {
        Self { id, keen: false, crowded_until: None, helping: false, busy_since: None }
    }
}

impl<'a> Device<'a> {
    pub(crate) fn new(device: &'a OwnedFd) -> Self {
        Self {
            waiting: device.as_fd(),
            prompt: prompt(device).ok(),
            reader: AtomicUsize::new(0),
            rounds: AtomicU64::new(0),
            watch: Mutex::new(()),
            help_wanted: Mutex::new(false),
            help: Condvar::new(),
        }
    }

    /// Waits for a request and reads it into `buffer`.
    pub(crate) fn receive(&self, post: &mut Post, buffer: &mut [u8]) -> rustix::io::Result<Received<'_>> {
        let Some(prompt) = self.prompt.as_ref().map(AsFd::as_fd) else { return self.sleep(post, buffer) };
        loop {
            if self.is_reader(post) {
                self.rounds.fetch_add(1, Ordering::Relaxed);
                if let Some(received) = self.read_awake(post, prompt, buffer)? {
                    return Ok(received);
                }
                self.reader.store(0, Ordering::Release);
                return self.sleep(post, buffer);
            }
            if post.helping
                && let Some(received) = self.read_now(post, prompt, buffer)?
            {
                return Ok(received);
            }
            post.helping = false;
            if let Some(received) = self.keep_watch(post, buffer)? {
                return Ok(received);
            }
        }
    }

    /// Whether this thread is the reader, or could become it because there was none.
    fn is_reader(&self, post: &Post) -> bool {
        let id = post.id.get();
        match self.reader.load(Ordering::Acquire) {
            0 => self.reader.compare_exchange(0, id, Ordering::AcqRel, Ordering::Relaxed).is_ok(),
            reader => reader == id,
        }
    }

    /// Reads, if need be for a while. `None`: nothing came.
    fn read_awake<'d>(
        &'d self,
        post: &mut Post,
        prompt: BorrowedFd<'d>,
        buffer: &mut [u8],
    ) -> rustix::io::Result<Option<Received<'d>>> {
        if let Some(received) = self.read_now(post, prompt, buffer)? {
            return Ok(Some(received));
        }
        let mut now = Instant::now();
        let end = now + SPIN;
        while post.keen && now < end && post.crowded_until.is_none_or(|until| now > until) {
            // Who else has to run on this processor may well be the one to send the next request.
            thread::yield_now();
            let read = try_read(prompt, buffer)?;
            let before = std::mem::replace(&mut now, Instant::now());
            post.crowded_until = (now - before > CROWDED).then(|| now + RESTRAINT);
            if let Some(len) = read {
                return Ok(Some(len.map(|len| (len, prompt))));
            }
        }
        post.keen = false;
        Ok(None)
    }

    /// Reads a request that is there already, and calls for help when there always is one.
    fn read_now<'d>(
        &'d self,
        post: &mut Post,
        prompt: BorrowedFd<'d>,
        buffer: &mut [u8],
    ) -> rustix::io::Result<Option<Received<'d>>> {
        let Some(len) = try_read(prompt, buffer)? else {
            post.busy_since = None;
            return Ok(None);
        };
        let now = Instant::now();
        if now.duration_since(*post.busy_since.get_or_insert(now)) > BACKLOG {
            post.busy_since = Some(now);
            *self.help_wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.help.notify_one();
        }
        Ok(Some(len.map(|len| (len, prompt))))
    }

    /// Has the watch, as soon as nobody else has. `None`: this thread has something to do now.
    fn keep_watch(&self, post: &mut Post, buffer: &mut [u8]) -> rustix::io::Result<Option<Received<'_>>> {
        let _watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let rounds = self.rounds.load(Ordering::Relaxed);
            let reader = self.reader.load(Ordering::Acquire);
            if reader == 0 {
                return self.sleep(post, buffer).map(Some);
            }
            let wanted = self.help_wanted.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut wanted, _) = self
                .help
                .wait_timeout_while(wanted, TICK, |wanted| !*wanted)
                .unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut *wanted) {
                post.helping = true;
                return Ok(None);
            }
            let stuck = self.rounds.load(Ordering::Relaxed) == rounds;
            let id = post.id.get();
            if stuck && self.reader.compare_exchange(reader, id, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                return Ok(None);
            }
        }
    }

    /// Reads, however long it takes.
    fn sleep(&self, post: &mut Post, buffer: &mut [u8]) -> rustix::io::Result<Received<'_>> {
        let begin = Instant::now();
        let len = read(self.waiting, buffer)?;
        post.keen = begin.elapsed() < SPIN;
        Ok(len.map(|len| (len, self.waiting)))
    }
}

/// A second description of the device, from which a read does not wait.
fn prompt(device: &OwnedFd) -> sys::Result<OwnedFd> {
    let prompt = sys::fuse::clone_device(device)?;
    let set = |flags| fcntl_setfl(&prompt, flags | OFlags::NONBLOCK);
    fcntl_getfl(&prompt)
        .and_then(set)
        .map_err(|errno| sys::Error::new("set flags of", "/dev/fuse", errno))?;
    Ok(prompt)
}

/// Reads a request; outside `None`: there is none now; inside `None`: the mount is gone.
fn try_read(device: BorrowedFd<'_>, buffer: &mut [u8]) -> rustix::io::Result<Option<Option<usize>>> {
    match read(device, buffer) {
        Err(Errno::AGAIN) => Ok(None),
        other => other.map(Some),
    }
}

/// Reads one request. `None`: the mount is gone.
pub(crate) fn read(device: BorrowedFd<'_>, buffer: &mut [u8]) -> rustix::io::Result<Option<usize>> {
    loop {
        match rustix::io::read(device, &mut *buffer) {
            Ok(len) => return Ok(Some(len)),
            // Gone; the second if that happened while a request was being handed over.
            Err(Errno::NODEV | Errno::CONNABORTED) => return Ok(None),
            // A request that was withdrawn while it was read; a signal.
            Err(Errno::NOENT | Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}
