//! How a runtime hands over the terminal of a container: it connects to a socket and sends the terminal's other side.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use sys::{AsRawFd, OwnedFd};

use crate::bundle::Bundle;
use crate::error::{Error, Result};

/// A socket that waits for a terminal.
#[derive(Debug)]
pub struct Console {
    listener: UnixListener,
    dir: OwnedFd,
    name: String,
}

impl Console {
    /// Makes the socket in the bundle's directory.
    ///
    /// # Errors
    /// System calls.
    pub fn listen(bundle: &Bundle) -> Result<Self> {
        let name = format!("tty-{:016x}", u64::from_le_bytes(sys::process::random()));
        let dir = sys::dir::open_path(bundle.dir())?;
        let listener = UnixListener::bind(below(&dir, &name)).map_err(Error::io("bind", bundle.dir()))?;
        Ok(Self { listener, dir, name })
    }

    /// Its name in the bundle's directory.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the terminal from a runtime that has said that the process runs.
    ///
    /// # Errors
    /// The runtime sent none; system calls.
    pub fn receive(self) -> Result<OwnedFd> {
        let missing = || Error::invalid("the runtime did not hand over the terminal of the container");
        // What was sent waits in the socket. A runtime that has not even connected never will.
        self.listener.set_nonblocking(true).map_err(Error::io("receive from", &self.name))?;
        let (stream, _) = self.listener.accept().map_err(|_| missing())?;
        stream.set_nonblocking(false).map_err(Error::io("receive from", &self.name))?;
        let (mut name, mut space) = ([0; 4096], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
        let mut control = RecvAncillaryBuffer::new(&mut space);
        recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)
            .map_err(Error::errno("receive from", &self.name))?;
        let mut fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        fds.find_map(|mut fds| fds.next()).ok_or_else(missing)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = sys::dir::unlink(&self.dir, std::ffi::OsStr::new(&self.name));
    }
}

/// A path of a socket that is short enough wherever the directory is: 107 bytes are the kernel's limit.
pub(crate) fn below(dir: &OwnedFd, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}
