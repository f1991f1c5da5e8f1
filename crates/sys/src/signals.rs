//! Signals that are read from a descriptor instead of ending the process.

use std::os::fd::BorrowedFd;

use crate::error::{Error, Result};
use crate::{AsFd, OwnedFd, raw};

/// A set of signals that this process reads. Programs that it starts would not get them either: see [`unblock`].
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// From now on these signals (their numbers) end no thread that is started, nor this one; they are to be read
    /// instead. Call it before the first thread.
    ///
    /// # Errors
    /// System calls.
    pub fn catch(signals: &[i32]) -> Result<Self> {
        raw::signal_fd(signals, true).map(Self).map_err(|e| Error::new("wait for", "signals", e))
    }

    /// The next signal that has come, if any, by number.
    pub fn next(&self) -> Option<i32> {
        let mut info = [0; 128]; // struct signalfd_siginfo, which begins with the number
        match rustix::io::read(&self.0, &mut info) {
            Ok(read) if read == info.len() => Some(i32::from_ne_bytes([info[0], info[1], info[2], info[3]])),
            _ => None,
        }
    }
}

/// Blocks no signal for this thread any more. For a thread that does nothing but start a program, which begins with what
/// its thread blocks; some set that right themselves, others do not.
pub fn unblock() {
    raw::unblock_signals();
}

impl AsFd for Signals {
    /// Readable when a signal has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
