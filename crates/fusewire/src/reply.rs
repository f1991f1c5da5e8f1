//! [`Reply`]: the way of an answer to the kernel.

use std::io::IoSlice;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use zerocopy::{Immutable, IntoBytes};

use crate::proto::replies::OutHeader;

const HEADER: usize = size_of::<OutHeader>();

/// Whether the kernel took the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Sent {
    Yes,
    /// The mount is gone, or the answer was refused: what it handed out was not received.
    No,
}

/// Where the answer to one request goes. Using it up is answering.
pub(crate) struct Reply<'a> {
    device: BorrowedFd<'a>,
    unique: u64,
    buffer: &'a mut [u8],
}

impl<'a> Reply<'a> {
    /// `device` is where the request was read from. `buffer` is for answers that are built in place.
    pub(crate) fn new(device: BorrowedFd<'a>, unique: u64, buffer: &'a mut [u8]) -> Self {
        Self { device, unique, buffer }
    }

    /// The request failed.
    pub(crate) fn error(self, errno: Errno) -> Sent {
        self.send(-answerable(errno), &[])
    }

    /// It succeeded and there is nothing to say.
    pub(crate) fn done(self) -> Sent {
        self.send(0, &[])
    }

    /// It succeeded; the answer is a structure.
    pub(crate) fn value<T: IntoBytes + Immutable>(self, value: &T) -> Sent {
        self.send(0, &[IoSlice::new(value.as_bytes())])
    }

    /// The answer is bytes.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Sent {
        self.send(0, &[IoSlice::new(bytes)])
    }

    /// The answer is a structure and bytes behind it.
    pub(crate) fn value_and_bytes<T: IntoBytes + Immutable>(self, value: &T, bytes: &[u8]) -> Sent {
        self.send(0, &[IoSlice::new(value.as_bytes()), IoSlice::new(bytes)])
    }

    /// At most `size` bytes of the buffer, to build an answer of bytes in; [`Self::built`] sends it.
    pub(crate) fn room(&mut self, size: u32) -> &mut [u8] {
        let end = usize::try_from(size).unwrap_or(usize::MAX).min(self.buffer.len());
        &mut self.buffer[..end]
    }

    /// The answer is the first `len` bytes of the buffer, which are handed back. (More than it holds is cut off.)
    pub(crate) fn built(self, len: usize) -> (Sent, &'a [u8]) {
        let bytes = &self.buffer[..len.min(self.buffer.len())];
        (send(self.device, self.unique, 0, &[IoSlice::new(bytes)]), bytes)
    }

    fn send(self, error: i32, parts: &[IoSlice<'_>]) -> Sent {
        send(self.device, self.unique, error, parts)
    }
}

fn send(device: BorrowedFd<'_>, unique: u64, error: i32, parts: &[IoSlice<'_>]) -> Sent {
    match write(device, unique, error, parts) {
        Ok(()) => Sent::Yes,
        Err(_) => Sent::No,
    }
}

/// Writes a message to the device: an answer, or with `unique` 0 a notification. It is taken whole or refused: `NOENT`
/// means that the kernel does not know the request, or the node of the notification.
pub(crate) fn write(
    device: BorrowedFd<'_>,
    unique: u64,
    error: i32,
    parts: &[IoSlice<'_>],
) -> rustix::io::Result<()> {
    let len = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
    let header = OutHeader { len: u32::try_from(len).map_err(|_| Errno::INVAL)?, error, unique };
    let header = IoSlice::new(header.as_bytes());
    match *parts {
        [] => rustix::io::write(device, &header),
        [a] => rustix::io::writev(device, &[header, a]),
        [a, b] => rustix::io::writev(device, &[header, a, b]),
        _ => return Err(Errno::INVAL),
    }
    .map(drop)
}

/// The number of an error that a user may see. The kernel takes others (some of its file systems let them out) as no
/// answer at all, and the caller would wait for ever.
fn answerable(errno: Errno) -> i32 {
    const INTERNAL: i32 = 512;
    const NOT_SUPPORTED: i32 = 524; // the kernel's own ENOTSUPP
    match errno.raw_os_error() {
        NOT_SUPPORTED => Errno::OPNOTSUPP.raw_os_error(),
        raw if raw <= 0 || raw >= INTERNAL => Errno::IO.raw_os_error(),
        raw => raw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_the_kernel_would_not_take_is_replaced() {
        assert_eq!(answerable(Errno::from_raw_os_error(524)), Errno::OPNOTSUPP.raw_os_error());
        assert_eq!(answerable(Errno::from_raw_os_error(512)), Errno::IO.raw_os_error());
        assert_eq!(answerable(Errno::STALE), Errno::STALE.raw_os_error());
    }
}
