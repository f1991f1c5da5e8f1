//! A container's streams on the user's: what `run`, `start -a` and `attach` do while the container runs.

mod keys;

use std::io::Write;
use std::os::fd::AsFd;

use engine::run::{Connection, Event, Request};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use sys::signals::Signals;

use crate::output::failure::{Failure, USAGE};
use crate::output::stdout;
use crate::terminal::{self, Kept};
pub use keys::DetachKeys;
use keys::Keys;

/// How to attach.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// What is typed goes to the container.
    pub stdin: bool,
    /// The container has a terminal.
    pub tty: bool,
    /// Signals go to the container, not to this process.
    pub sig_proxy: bool,
    /// The keys that let go of the container.
    pub detach_keys: DetachKeys,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The container has ended with this code.
    Ended(i32),
    /// The user let go of it.
    Detached,
}

/// Signals that are handed on. Others end this process, as they end any.
const PROXIED: [Signal; 6] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2];

/// After so many signals that ask for the end, the user is tired of a container that does not listen.
const PATIENCE: u32 = 3;

/// The signals that will be read, caught before the container starts so that none is lost.
#[derive(Debug)]
pub struct Caught(Signals);

impl Attach {
    /// Catches the signals. Call it before any thread is started.
    ///
    /// # Errors
    /// System calls.
    pub fn catch(&self) -> Result<Caught, Failure> {
        let mut signals = vec![Signal::WINCH.as_raw()];
        if self.sig_proxy {
            signals.extend(PROXIED.map(Signal::as_raw));
        }
        Signals::catch(&signals).map(Caught).map_err(Failure::refused)
    }

    /// Attaches until the container ends, or the user lets go of it.
    ///
    /// # Errors
    /// The container's monitor has died; standard output cannot be written.
    pub fn run(&self, connection: Connection, caught: &Caught) -> Result<Outcome, Failure> {
        let raw = if self.stdin && self.tty { Kept::raw_stdin()? } else { None };
        let mut pump = Pump {
            connection,
            stdin: self.stdin,
            keys: (self.tty && self.stdin).then(|| Keys::new(&self.detach_keys)),
            pleas: 0,
            tty: self.tty,
        };
        if self.tty {
            pump.resize();
        }
        let outcome = pump.run(caught);
        drop(raw);
        outcome
    }
}

struct Pump {
    connection: Connection,
    stdin: bool,
    keys: Option<Keys>,
    pleas: u32,
    tty: bool,
}

impl Pump {
    fn run(&mut self, caught: &Caught) -> Result<Outcome, Failure> {
        loop {
            // What arrived with the last read tells no poll.
            while let Some(event) = self.connection.ready().map_err(Failure::refused)? {
                if let Some(outcome) = show(event)? {
                    return Ok(outcome);
                }
            }
            let stdin = std::io::stdin();
            let mut fds = vec![
                PollFd::from_borrowed_fd(self.connection.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(caught.0.as_fd(), PollFlags::IN),
            ];
            if self.stdin {
                fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(err) => return Err(Failure::plain(format_args!("cannot wait for the container: {err}"))),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            if ready[1] {
                while let Some(signal) = caught.0.next() {
                    self.signal(signal)?;
                }
            }
            if ready.get(2) == Some(&true) && self.read_input()? {
                return Ok(Outcome::Detached);
            }
            if ready[0] {
                match self.connection.next_event().map_err(Failure::refused)? {
                    Some(event) => {
                        if let Some(outcome) = show(event)? {
                            return Ok(outcome);
                        }
                    }
                    None => {
                        return Err(Failure::refused("the process that looked after the container has died")
                            .hint("layercake ps shows whether the container still runs")
                            .code(USAGE));
                    }
                }
            }
        }
    }

    fn signal(&mut self, signal: i32) -> Result<(), Failure> {
        if signal == Signal::WINCH.as_raw() {
            self.resize();
            return Ok(());
        }
        if signal == Signal::INT.as_raw() || signal == Signal::TERM.as_raw() {
            self.pleas += 1;
            if self.pleas == PATIENCE {
                return Err(Failure::plain(format_args!(
                    "got {PATIENCE} SIGTERM/SIGINTs, forcefully exiting"
                )));
            }
        }
        // A monitor that is gone is found out by reading.
        let _ = self.connection.send(&Request::Signal(signal));
        Ok(())
    }

    fn resize(&mut self) {
        if let Some((rows, columns)) = terminal::size().filter(|_| self.tty) {
            let _ = self.connection.send(&Request::Resize { rows, columns });
        }
    }

    /// Hands on what was typed; says whether the user lets go.
    fn read_input(&mut self) -> Result<bool, Failure> {
        let mut buffer = [0; 32 << 10];
        // Not through the buffer of the standard library, which would hide bytes from poll(2).
        let read = match rustix::io::read(std::io::stdin(), &mut buffer) {
            Ok(read) => read,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(false),
            // A terminal that is gone.
            Err(_) => 0,
        };
        if read == 0 {
            self.stdin = false;
            let _ = self.connection.send(&Request::InputEnd);
            return Ok(false);
        }
        let (bytes, detached) = match &mut self.keys {
            Some(keys) => keys.take(&buffer[..read]),
            None => (buffer[..read].to_vec(), false),
        };
        if !bytes.is_empty() {
            let _ = self.connection.send(&Request::Input(bytes));
        }
        Ok(detached)
    }
}

fn show(event: Event) -> Result<Option<Outcome>, Failure> {
    match event {
        Event::Started => {}
        Event::Stdout(bytes) => stdout::print_bytes(&bytes)?,
        Event::Stderr(bytes) => {
            // If nobody listens, it is lost.
            let _ = std::io::stderr().write_all(&bytes);
        }
        Event::Failed { code, message } => return Err(Failure::refused(message).code(code)),
        Event::Ended(code) => return Ok(Some(Outcome::Ended(code))),
    }
    Ok(None)
}
