//! The terminal or the pipes of a container.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::Winsize;

use super::Terminal;
use crate::Stdio;
use crate::error::{Error, Result};
use crate::log::Stream;

/// No more input is taken from clients while the container has that much to read.
const MUCH: usize = 256 << 10;

/// Our ends of a container's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    outputs: Vec<(Stream, OwnedFd)>,
    input: Option<OwnedFd>,
    /// What the container has not read yet.
    pending: VecDeque<u8>,
    /// Input ends when what is pending is written.
    input_ends: bool,
    terminal: Terminal,
}

impl Streams {
    /// The side of a terminal that the runtime sent.
    pub(super) fn terminal(tty: OwnedFd, terminal: Terminal) -> Result<Self> {
        ioctl_fionbio(&tty, true).map_err(Error::errno("set up", "the terminal"))?;
        let input = tty.try_clone().map_err(Error::io("set up", "the terminal"))?;
        Ok(Self { outputs: vec![(Stream::Stdout, tty)], input: Some(input), terminal, ..Self::default() })
    }

    /// New pipes, and their other ends.
    pub(super) fn pipes(terminal: Terminal) -> Result<(Self, Stdio)> {
        let new = || pipe_with(PipeFlags::CLOEXEC).map_err(Error::errno("make", "a pipe"));
        let (out, their_out) = new()?;
        let (err, their_err) = new()?;
        let mut stdio = Stdio { stdout: their_out.into(), stderr: their_err.into(), ..Stdio::null() };
        let input = match terminal.stdin {
            true => {
                let (theirs, ours) = new()?;
                stdio.stdin = theirs.into();
                Some(ours)
            }
            false => None,
        };
        for ours in [&out, &err].into_iter().chain(&input) {
            ioctl_fionbio(ours, true).map_err(Error::errno("set up", "a pipe"))?;
            fcntl_setfd(ours, FdFlags::CLOEXEC).map_err(Error::errno("set up", "a pipe"))?;
        }
        let outputs = vec![(Stream::Stdout, out), (Stream::Stderr, err)];
        Ok((Self { outputs, input, terminal, ..Self::default() }, stdio))
    }

    /// What is read from.
    pub(super) fn outputs(&self) -> &[(Stream, OwnedFd)] {
        &self.outputs
    }

    /// Whether everything has been read.
    pub(super) fn are_at_end(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Reads what is there. A stream that has ended is no longer read from.
    pub(super) fn read(&mut self, stream: Stream) -> Option<(Stream, Vec<u8>)> {
        let index = self.outputs.iter().position(|(own, _)| *own == stream)?;
        let mut buffer = vec![0; 32 << 10];
        match rustix::io::read(&self.outputs[index].1, &mut buffer) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            // A terminal whose other side is closed says EIO.
            Ok(0) | Err(_) => {
                self.outputs.remove(index);
                None
            }
            Ok(read) => {
                buffer.truncate(read);
                Some((stream, buffer))
            }
        }
    }

    /// Takes input for the container.
    pub(super) fn take_input(&mut self, bytes: &[u8]) {
        if self.input.is_some() && self.terminal.stdin && !self.input_ends {
            self.pending.extend(bytes);
            self.write_input();
        }
    }

    /// Where input waits to be written to.
    pub(super) fn waiting_input(&self) -> Option<&OwnedFd> {
        self.input.as_ref().filter(|_| !self.pending.is_empty())
    }

    pub(super) fn has_much_input(&self) -> bool {
        self.pending.len() > MUCH
    }

    /// Writes what the container takes at once.
    pub(super) fn write_input(&mut self) {
        while let Some(input) = &self.input
            && !self.pending.is_empty()
        {
            let (bytes, _) = self.pending.as_slices();
            match rustix::io::write(input, bytes) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                // Nobody reads it any more.
                Err(_) => {
                    self.pending.clear();
                    self.input_ends = true;
                }
            }
        }
        if self.input_ends && self.pending.is_empty() && !self.terminal.tty {
            self.input = None;
        }
    }

    /// The client whose input it was has gone, or has no more. A terminal stays: others may attach to it.
    pub(super) fn input_client_left(&mut self) {
        if self.terminal.stdin_once && !self.terminal.tty {
            self.input_ends = true;
            self.write_input();
        }
    }

    /// Tells the terminal its size.
    pub(super) fn resize(&self, rows: u16, columns: u16) {
        if let Some(tty) = self.input.as_ref().filter(|_| self.terminal.tty) {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            let _ = rustix::termios::tcsetwinsize(tty.as_fd(), size);
        }
    }
}
