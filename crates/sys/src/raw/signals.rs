//! Signals.

use std::os::fd::{FromRawFd, OwnedFd};

use super::last_error;

/// Blocks these signals for this thread and those that it starts; they are read from the descriptor, which does not
/// wait if `at_once`.
pub(crate) fn signal_fd(signals: &[i32], at_once: bool) -> rustix::io::Result<OwnedFd> {
    // SAFETY: a set of signals is plain data for which zero is a valid value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    let flags = libc::SFD_CLOEXEC | if at_once { libc::SFD_NONBLOCK } else { 0 };
    // SAFETY: all calls take a pointer to the live set; no handler is installed.
    let fd = unsafe {
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::signalfd(-1, &set, flags)
    };
    if fd < 0 {
        return Err(last_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// No signal is blocked for this thread any more.
pub(crate) fn unblock_signals() {
    // SAFETY: a set of signals is plain data for which zero is a valid value.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: both calls take a pointer to the live set.
    unsafe {
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// The signal of this number, real-time signals included; `None` if there is no such signal.
pub(crate) fn signal(number: i32) -> Option<rustix::process::Signal> {
    // SAFETY: numbers are checked to be the kernel's; nothing is done with signals that the C library reserves but
    // to send them to processes that are not this one.
    (1..=64).contains(&number).then(|| unsafe { rustix::process::Signal::from_raw_unchecked(number) })
}
