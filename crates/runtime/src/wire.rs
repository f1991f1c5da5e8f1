//! What a monitor and those who attach to its container say to each other, over a socket of the container's own.
//!
//! A message is a letter, the length of what follows (four bytes, the highest first), and that. Both sides are always of
//! one version: a container that was started by another version of layercake is a reason to restart it, not more.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::error::{Error, Result};

/// From a client to the monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The first message: what it wants.
    Attach(Wants),
    /// For the container's standard input.
    Input(Vec<u8>),
    /// There will be no more input.
    InputEnd,
    /// The terminal has another size.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters in a line.
        columns: u16,
    },
    /// The container's process shall get this signal.
    Signal(i32),
}

/// What a client wants of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// To write to its standard input.
    pub stdin: bool,
    /// What it writes to its standard output.
    pub stdout: bool,
    /// What it writes to its standard error.
    pub stderr: bool,
}

/// From the monitor to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The container runs.
    Started,
    /// It could not be started, or looked after.
    Failed {
        /// Docker's exit code for that.
        code: u8,
        /// Why.
        message: String,
    },
    /// From its standard output.
    Stdout(Vec<u8>),
    /// From its standard error.
    Stderr(Vec<u8>),
    /// It has ended with this exit code, and everything that has to be done about it is done.
    Ended(i32),
}

/// More than that no message has.
const LONGEST: usize = 1 << 20;

impl Request {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Attach(wants) => {
                frame(b'A', &[wants.stdin.into(), wants.stdout.into(), wants.stderr.into()])
            }
            Self::Input(bytes) => frame(b'I', bytes),
            Self::InputEnd => frame(b'E', &[]),
            Self::Resize { rows, columns } => {
                frame(b'R', &[rows.to_be_bytes(), columns.to_be_bytes()].concat())
            }
            Self::Signal(number) => frame(b'K', &number.to_be_bytes()),
        }
    }

    pub(crate) fn decode((kind, payload): (u8, Vec<u8>)) -> Result<Self> {
        let bad = || Error::Wire(format!("request {kind} with {} bytes", payload.len()));
        Ok(match (kind, payload.as_slice()) {
            (b'A', &[stdin, stdout, stderr]) => {
                Self::Attach(Wants { stdin: stdin != 0, stdout: stdout != 0, stderr: stderr != 0 })
            }
            (b'I', _) => Self::Input(payload),
            (b'E', []) => Self::InputEnd,
            (b'R', &[a, b, c, d]) => {
                Self::Resize { rows: u16::from_be_bytes([a, b]), columns: u16::from_be_bytes([c, d]) }
            }
            (b'K', &[a, b, c, d]) => Self::Signal(i32::from_be_bytes([a, b, c, d])),
            _ => return Err(bad()),
        })
    }
}

impl Event {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Started => frame(b's', &[]),
            Self::Failed { code, message } => frame(b'f', &[&[*code], message.as_bytes()].concat()),
            Self::Stdout(bytes) => frame(b'o', bytes),
            Self::Stderr(bytes) => frame(b'e', bytes),
            Self::Ended(code) => frame(b'q', &code.to_be_bytes()),
        }
    }

    pub(crate) fn decode((kind, payload): (u8, Vec<u8>)) -> Result<Self> {
        let bad = || Error::Wire(format!("event {kind} with {} bytes", payload.len()));
        Ok(match (kind, payload.as_slice()) {
            (b's', []) => Self::Started,
            (b'f', [code, message @ ..]) => {
                Self::Failed { code: *code, message: String::from_utf8_lossy(message).into_owned() }
            }
            (b'o', _) => Self::Stdout(payload),
            (b'e', _) => Self::Stderr(payload),
            (b'q', &[a, b, c, d]) => Self::Ended(i32::from_be_bytes([a, b, c, d])),
            _ => return Err(bad()),
        })
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&[kind], &length.to_be_bytes()[..], payload].concat()
}

/// Puts messages together from what arrives.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.start));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let rest = &self.bytes[self.start..];
        let Some((head, rest)) = rest.split_at_checked(5) else { return Ok(None) };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > LONGEST {
            return Err(Error::Wire(format!("a message of {length} bytes")));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let message = (head[0], payload.to_vec());
        self.start += 5 + length;
        Ok(Some(message))
    }
}

/// A client's side of the socket.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    decoder: Decoder,
}

impl Connection {
    /// Connects to the monitor whose socket is in this directory.
    ///
    /// # Errors
    /// There is none that listens.
    pub fn open(dir: &Path) -> Result<Self> {
        let fd = sys::dir::open_path(dir)?;
        let path = crate::console::below(&fd, crate::monitor::SOCKET);
        let stream = UnixStream::connect(path).map_err(Error::io("connect to the monitor in", dir))?;
        Ok(Self::new(stream))
    }

    /// A connection that is there already.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, decoder: Decoder::default() }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The monitor is gone.
    pub fn send(&mut self, request: &Request) -> Result<()> {
        let sent = match request {
            // Longer ones are refused by the other side.
            Request::Input(bytes) if bytes.len() > LONGEST => {
                return bytes.chunks(LONGEST).try_for_each(|part| self.send(&Request::Input(part.to_vec())));
            }
            other => self.stream.write_all(&other.encode()),
        };
        sent.map_err(Error::io("write to", "the monitor"))
    }

    /// Waits for the next event; `None` if the monitor is gone.
    ///
    /// # Errors
    /// It said what nobody says; system calls.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let mut buffer = [0; 32 << 10];
        loop {
            if let Some(event) = self.ready()? {
                return Ok(Some(event));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => self.decoder.push(&buffer[..read]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(Error::io("read from", "the monitor")(e)),
            }
        }
    }

    /// The next event, if it has arrived already: poll the descriptor only when there is none.
    ///
    /// # Errors
    /// It said what nobody says.
    pub fn ready(&mut self) -> Result<Option<Event>> {
        self.decoder.next()?.map(Event::decode).transpose()
    }
}

impl AsFd for Connection {
    /// Readable when an event has come, or the monitor is gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back_however_they_are_cut() {
        let requests = [
            Request::Attach(Wants { stdin: true, stdout: false, stderr: true }),
            Request::Input(b"ls\n".to_vec()),
            Request::Input(Vec::new()),
            Request::InputEnd,
            Request::Resize { rows: 24, columns: 300 },
            Request::Signal(15),
        ];
        let bytes: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
        for size in 1..bytes.len() {
            let mut decoder = Decoder::default();
            let mut back = Vec::new();
            for part in bytes.chunks(size) {
                decoder.push(part);
                while let Some(message) = decoder.next().unwrap() {
                    back.push(Request::decode(message).unwrap());
                }
            }
            assert_eq!(back, requests, "{size}");
        }
        for event in [
            Event::Started,
            Event::Failed { code: 127, message: "no".into() },
            Event::Stdout(b"x".to_vec()),
            Event::Stderr(Vec::new()),
            Event::Ended(-1),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(&event.encode());
            assert_eq!(Event::decode(decoder.next().unwrap().unwrap()).unwrap(), event);
        }
    }

    proptest::proptest! {
        #[test]
        fn nonsense_is_an_error_and_no_panic(bytes: Vec<u8>) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(message)) = decoder.next() {
                let _ = (Request::decode(message.clone()), Event::decode(message));
            }
        }
    }
}
