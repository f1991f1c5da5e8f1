//! One who is attached to a container, as its monitor sees him.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::error::{Error, Result};
use crate::log::Stream;
use crate::wire::{Decoder, Event, Request, Wants};

#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    decoder: Decoder,
    wants: Wants,
    backlog: VecDeque<u8>,
    gone: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Result<Self> {
        stream.set_nonblocking(true).map_err(Error::io("attach to", "the container"))?;
        let wants = Wants::default();
        Ok(Self { stream, decoder: Decoder::default(), wants, backlog: VecDeque::new(), gone: false })
    }

    pub(super) fn wants(&self) -> Wants {
        self.wants
    }

    pub(super) fn attach(&mut self, wants: Wants) {
        self.wants = wants;
    }

    /// Bytes that it has not read yet.
    pub(super) fn backlog(&self) -> usize {
        self.backlog.len()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    pub(super) fn tell(&mut self, event: &Event) {
        if !self.gone {
            self.backlog.extend(event.encode());
        }
    }

    /// Hands on what the container wrote.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout if self.wants.stdout => self.tell(&Event::Stdout(bytes.to_vec())),
            Stream::Stderr if self.wants.stderr => self.tell(&Event::Stderr(bytes.to_vec())),
            _ => {}
        }
    }

    /// Writes as much as it takes at once; says whether it is still there.
    pub(super) fn flush(&mut self) -> bool {
        while !self.gone && !self.backlog.is_empty() {
            let (bytes, _) = self.backlog.as_slices();
            match self.stream.write(bytes) {
                Ok(written) => drop(self.backlog.drain(..written)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.leave(),
            }
        }
        !self.gone
    }

    /// What it asks for. Who says what nobody says is let go.
    pub(super) fn read(&mut self) -> Vec<Request> {
        let mut buffer = [0; 32 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.leave(),
            Ok(read) => self.decoder.push(&buffer[..read]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.leave(),
        }
        let mut requests = Vec::new();
        loop {
            match self.decoder.next().and_then(|message| message.map(Request::decode).transpose()) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => return requests,
                Err(_) => {
                    self.leave();
                    return requests;
                }
            }
        }
    }

    fn leave(&mut self) {
        self.gone = true;
        self.backlog.clear();
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
