//! A process that goes on by itself after the command that started it has ended.

use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::{At, Error, Result};
use crate::{AsFd, OwnedFd, raw};

/// Takes a process that was just executed away from whoever started it: a session of its own, no more descriptors
/// than the standard streams, deaf to the end of the terminal. Call it before anything is opened.
pub fn detach() {
    leave();
    raw::ignore_hangup();
}

/// As [`detach`], for a process that starts programs: an ignored signal would stay ignored in them.
pub fn leave() {
    // A descriptor or a terminal of the first command would stay open for as long as this process lives.
    raw::close_inherited();
    let _ = rustix::process::setsid();
}

/// Lets go of the standard streams, which become `/dev/null`, and of the working directory, which becomes `/`.
pub fn let_go() -> Result<()> {
    let path = Path::new("/dev/null");
    let null = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).at("open", path)?;
    rustix::stdio::dup2_stdin(&null).at("dup", path)?;
    rustix::stdio::dup2_stdout(&null).at("dup", path)?;
    rustix::stdio::dup2_stderr(&null).at("dup", path)?;
    let root = Path::new("/");
    rustix::process::chdir(root).at("chdir to", root)
}

/// The signals that ask a process to end: SIGHUP, SIGINT, SIGTERM.
#[derive(Debug)]
pub struct Termination(OwnedFd);

impl Termination {
    /// From now on these signals end no thread that is started, nor this one; they are to be waited for instead. Call
    /// it before the first thread.
    pub fn catch() -> Result<Self> {
        let signals = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];
        raw::signal_fd(&signals, false).map(Self).map_err(|e| Error::new("wait for", "signals", e))
    }

    /// Waits for one.
    pub fn wait(&self) -> Result<()> {
        let mut signal = [0; 128]; // struct signalfd_siginfo
        loop {
            match rustix::io::read(self.0.as_fd(), &mut signal) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map(drop).at_fd("read from", &self.0),
            }
        }
    }
}
