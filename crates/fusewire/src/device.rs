//! [`Device`]: how threads wait for requests.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The device of a session, read by several threads.
pub(crate) struct Device<'a> {
    blocking: BorrowedFd<'a>,
    polled: Option<OwnedFd>,
    /// Who reads while requests keep coming: 0, nobody.
    reader: AtomicUsize,
    /// Requests that the reader has taken.
    taken: AtomicU64,
    watch: Mutex<()>,
    called: Mutex<bool>,
    call: Condvar,
    spin: Duration,
    simple: bool,
    yields: bool,
    adapt: bool,
    pub(crate) stat: [AtomicU64; 6],
}

pub(crate) struct Thread {
    id: usize,
    busy_since: Option<Instant>,
    skip: u32,
}

impl Thread {
    pub(crate) fn new(id: usize) -> Self {
        Self { id: id + 1, busy_since: None, skip: 0 }
    }
}

type Got<'a> = rustix::io::Result<Option<(usize, BorrowedFd<'a>)>>;

impl<'a> Device<'a> {
    pub(crate) fn new(device: &'a OwnedFd) -> Self {
        let spin = std::env::var("SPIN").ok().and_then(|s| s.parse().ok()).unwrap_or(50);
        Self {
            blocking: device.as_fd(),
            polled: if spin == 0 { None } else { polled(device) },
            reader: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            watch: Mutex::new(()),
            called: Mutex::new(false),
            call: Condvar::new(),
            spin: Duration::from_micros(spin),
            simple: std::env::var_os("SIMPLE").is_some(),
            yields: std::env::var_os("YIELD").is_some(),
            adapt: std::env::var_os("ADAPT").is_some(),
            stat: Default::default(),
        }
    }

    fn count(&self, n: usize) {
        self.stat[n].fetch_add(1, Ordering::Relaxed);
    }

    /// The next request: its length, and the descriptor through which it must be answered. `None`: unmounted.
    pub(crate) fn receive(&self, thread: &mut Thread, buffer: &mut [u8]) -> Got<'_> {
        let Some(polled) = &self.polled else { return self.asleep(buffer) };
        let polled = polled.as_fd();
        if self.simple {
            if self.reader.compare_exchange(0, thread.id, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                let got = self.awake(thread, polled, buffer)?;
                self.reader.store(0, Ordering::Release);
                if let Some(got) = got {
                    return Ok(got);
                }
            }
            return self.asleep(buffer);
        }
        loop {
            let holder = self.reader.load(Ordering::Acquire);
            if holder == thread.id
                || holder == 0 && self.reader.compare_exchange(0, thread.id, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                self.taken.fetch_add(1, Ordering::Relaxed);
                if let Some(got) = self.awake(thread, polled, buffer)? {
                    if thread.busy_since.is_some_and(|since| since.elapsed() > Duration::from_micros(500)) {
                        thread.busy_since = Some(Instant::now());
                        self.count(4);
                        if let Ok(mut called) = self.called.try_lock() {
                            *called = true;
                            self.call.notify_one();
                        }
                    }
                    return Ok(got);
                }
                self.reader.store(0, Ordering::Release);
                return self.asleep(buffer);
            }
            let watch = self.watch.lock().unwrap_or_else(|e| e.into_inner());
            if let Some(got) = self.on_watch(thread, polled, buffer, watch)? {
                return Ok(got);
            }
        }
    }

    fn on_watch<'b>(&'b self, thread: &mut Thread, polled: BorrowedFd<'b>, buffer: &mut [u8], _watch: MutexGuard<'_, ()>) -> rustix::io::Result<Option<Option<(usize, BorrowedFd<'b>)>>>
    {
        loop {
            let holder = self.reader.load(Ordering::Acquire);
            let before = self.taken.load(Ordering::Relaxed);
            if holder == 0 {
                return self.asleep(buffer).map(Some);
            }
            let called = self.called.lock().unwrap_or_else(|e| e.into_inner());
            let (mut called, _) = self.call.wait_timeout_while(called, Duration::from_millis(1), |called| !*called).unwrap_or_else(|e| e.into_inner());
            if std::mem::take(&mut *called) {
                drop(called);
                match read(polled, buffer) {
                    Err(Errno::AGAIN) => {}
                    other => return Ok(Some(other?.map(|len| (len, unsafe_static(polled))))),
                }
                continue;
            }
            drop(called);
            if self.taken.load(Ordering::Relaxed) == before
                && self.reader.compare_exchange(holder, thread.id, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                return Ok(None);
            }
        }
    }

    fn awake<'b>(&'b self, thread: &mut Thread, polled: BorrowedFd<'b>, buffer: &mut [u8]) -> rustix::io::Result<Option<Option<(usize, BorrowedFd<'b>)>>> {
        match read(polled, buffer) {
            Err(Errno::AGAIN) => thread.busy_since = None,
            other => {
                thread.busy_since.get_or_insert_with(Instant::now);
                self.count(0);
                return Ok(Some(other?.map(|len| (len, unsafe_static(polled)))));
            }
        }
        if thread.skip > 0 {
            thread.skip -= 1;
            return Ok(None);
        }
        let mut now = Instant::now();
        let until = now + self.spin;
        loop {
            if self.yields { std::thread::yield_now(); } else { std::hint::spin_loop(); }
            match read(polled, buffer) {
                Err(Errno::AGAIN) => {
                    let later = Instant::now();
                    if self.adapt && later - now > Duration::from_micros(20) {
                        thread.skip = 50;
                        self.count(5);
                        return Ok(None);
                    }
                    now = later;
                    if now >= until {
                        self.count(2);
                        return Ok(None);
                    }
                }
                other => {
                    self.count(1);
                    return Ok(Some(other?.map(|len| (len, unsafe_static(polled)))));
                }
            }
        }
    }

    fn asleep(&self, buffer: &mut [u8]) -> Got<'_> {
        let got = read(self.blocking, buffer)?.map(|len| (len, self.blocking));
        self.count(3);
        Ok(got)
    }
}

fn unsafe_static(fd: BorrowedFd<'_>) -> BorrowedFd<'_> { fd }

fn polled(device: &OwnedFd) -> Option<OwnedFd> {
    let clone = sys::fuse::clone_device(device).ok()?;
    let flags = rustix::fs::fcntl_getfl(&clone).ok()?;
    rustix::fs::fcntl_setfl(&clone, flags | rustix::fs::OFlags::NONBLOCK).ok()?;
    Some(clone)
}

/// Reads one request. `None`: the mount is gone. `AGAIN`: there is none now.
pub(crate) fn read(device: BorrowedFd<'_>, buffer: &mut [u8]) -> rustix::io::Result<Option<usize>> {
    loop {
        match rustix::io::read(device, &mut *buffer) {
            Ok(len) => return Ok(Some(len)),
            Err(Errno::NODEV) => return Ok(None),
            // A request that was withdrawn while it was read, or a signal.
            Err(Errno::NOENT | Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}
