//! The process beside a running container.
//!
//! It is a process of its own that outlives the command that started the container, and does as little as possible: it
//! starts the runtime, keeps the container's terminal or pipes, writes what comes out of them to the log, hands it to who
//! is attached, and learns the exit code, for which it is the container's parent (a subreaper, prctl(2)). It has one
//! thread. What the exit code is written to, and what else has to be done, is its caller's business.
//!
//! 1. [`Monitor::begin`] as the first thing that the process does;
//! 2. [`Monitor::launch`], or [`Monitor::fail`];
//! 3. [`Monitor::serve`] until the container has ended;
//! 4. [`Monitor::end`] when everything else is done.

mod client;
mod streams;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use model::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use sys::identity::Identity;
use sys::signals::Signals;
use sys::{AsFd, OwnedFd};

use crate::error::{Error, Result};
use crate::log;
use crate::wire::{Event, Request};
use crate::{Bundle, Console, ExitCode, Launched, Runtime};

use client::Client;
use streams::Streams;

/// The socket of a monitor, in the container's directory.
pub(crate) const SOCKET: &str = "attach";

/// How long pipes are read on that somebody holds open after the container's first process has ended. Its other
/// processes have ended with it, unless it shares the host's processes.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How long a client may take to read the last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// While a client has that many bytes to read, the container has to wait.
const CROWDED: usize = 1 << 20;

/// What standard input of a container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Whether there is a terminal; else there are pipes.
    pub tty: bool,
    /// Whether standard input can be written to.
    pub stdin: bool,
    /// Whether it ends with the first client that was attached to it.
    pub stdin_once: bool,
}

/// The monitor of one container.
#[derive(Debug)]
pub struct Monitor {
    signals: Signals,
    listener: Option<UnixListener>,
    clients: Vec<Client>,
    streams: Streams,
    container: Option<(Pid, Identity)>,
    ended: Option<ExitCode>,
}

impl Monitor {
    /// Makes this process a monitor, whose first client is at the other end of `control`.
    ///
    /// # Errors
    /// System calls.
    pub fn begin(control: OwnedFd) -> Result<Self> {
        let signals = [
            rustix::process::Signal::CHILD,
            rustix::process::Signal::HUP,
            rustix::process::Signal::INT,
            rustix::process::Signal::TERM,
        ];
        let signals = Signals::catch(&signals.map(|signal| signal.as_raw()))?;
        let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0));
        rustix::process::set_child_subreaper(own).map_err(Error::errno("become", "a subreaper"))?;
        let first = Client::new(UnixStream::from(control))?;
        Ok(Self {
            signals,
            listener: None,
            clients: vec![first],
            streams: Streams::default(),
            container: None,
            ended: None,
        })
    }

    /// Takes clients from now on, at a socket in this directory.
    ///
    /// # Errors
    /// System calls.
    pub fn listen(&mut self, dir: &Path) -> Result<()> {
        let fd = sys::dir::open_path(dir)?;
        match sys::dir::unlink(&fd, std::ffi::OsStr::new(SOCKET)) {
            Err(e) if !e.is_not_found() => return Err(e.into()),
            _ => {}
        }
        let listener =
            UnixListener::bind(crate::console::below(&fd, SOCKET)).map_err(Error::io("bind", dir))?;
        listener.set_nonblocking(true).map_err(Error::io("bind", dir))?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Starts the container.
    ///
    /// # Errors
    /// As [`Runtime::launch`].
    pub fn launch(
        &mut self,
        runtime: &Runtime,
        id: &str,
        bundle: &Bundle,
        terminal: Terminal,
    ) -> Result<Identity> {
        let launched = if terminal.tty {
            let console = Console::listen(bundle)?;
            let launched = runtime.launch(id, bundle, crate::Stdio::null(), Some(&console))?;
            self.streams = Streams::terminal(console.receive()?, terminal)?;
            launched
        } else {
            let (streams, stdio) = Streams::pipes(terminal)?;
            let launched = runtime.launch(id, bundle, stdio, None)?;
            self.streams = streams;
            launched
        };
        self.adopt(launched)
    }

    /// It has been started and nobody has asked for its exit code yet, so its number is its own.
    fn adopt(&mut self, launched: Launched) -> Result<Identity> {
        let identity = Identity::of(launched.pid)?;
        let pid = i32::try_from(launched.pid).ok().and_then(Pid::from_raw);
        self.container = pid.map(|pid| (pid, identity.clone()));
        Ok(identity)
    }

    /// Tells everybody something.
    pub fn announce(&mut self, event: &Event) {
        self.clients.iter_mut().for_each(|client| client.tell(event));
        self.clients.retain_mut(Client::flush);
    }

    /// Looks after the container until it has ended and its output is read; writes its output to `log`. What cannot be
    /// logged is lost; the container goes on.
    ///
    /// # Errors
    /// System calls of the loop itself.
    pub fn serve(&mut self, mut log: Option<log::Writer>) -> Result<ExitCode> {
        // Who has ended before we looked has told nobody.
        self.reap();
        let mut deadline = None;
        loop {
            if self.ended.is_some() {
                let end = *deadline.get_or_insert_with(|| std::time::Instant::now() + AFTERMATH);
                if self.streams.are_at_end() || std::time::Instant::now() >= end {
                    break;
                }
            }
            let timeout = deadline
                .map(|end: std::time::Instant| end.saturating_duration_since(std::time::Instant::now()));
            self.turn(timeout, &mut log)?;
        }
        if let Some(log) = &mut log {
            let _ = log.finish(now());
        }
        Ok(self.ended.unwrap_or(ExitCode(255)))
    }

    /// Waits for something to happen, and deals with it.
    fn turn(&mut self, timeout: Option<Duration>, log: &mut Option<log::Writer>) -> Result<()> {
        let crowded = self.clients.iter().any(|client| client.backlog() > CROWDED);
        let ready = self.wait(timeout, crowded)?;
        if ready.signals {
            while self.signals.next().is_some() {}
            self.reap();
        }
        // Before the output: who has asked for it before it was written gets it.
        for index in ready.clients {
            let requests = self.clients[index].read();
            requests.into_iter().for_each(|request| self.serve_request(index, request));
        }
        for stream in ready.output {
            let now = now();
            if let Some((stream, bytes)) = self.streams.read(stream) {
                if let Some(log) = log {
                    let _ = log.write(stream, &bytes, now);
                }
                self.clients.iter_mut().for_each(|client| client.output(stream, &bytes));
            }
        }
        if ready.listener
            && let Some(listener) = &self.listener
        {
            while let Ok((stream, _)) = listener.accept() {
                self.clients.extend(Client::new(stream));
            }
        }
        if ready.input {
            self.streams.write_input();
        }
        for client in &mut self.clients {
            if !client.flush() && client.wants().stdin {
                self.streams.input_client_left();
            }
        }
        self.clients.retain(|client| !client.is_gone());
        Ok(())
    }

    fn wait(&self, timeout: Option<Duration>, crowded: bool) -> Result<Ready> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let listener = self.listener.as_ref().map(|listener| {
            fds.push(PollFd::new(listener, PollFlags::IN));
            fds.len() - 1
        });
        let first_output = fds.len();
        let outputs = if crowded { &[][..] } else { self.streams.outputs() };
        fds.extend(outputs.iter().map(|(_, fd)| PollFd::new(fd, PollFlags::IN)));
        let input = self.streams.waiting_input().map(|fd| {
            fds.push(PollFd::new(fd, PollFlags::OUT));
            fds.len() - 1
        });
        let first_client = fds.len();
        let full = self.streams.has_much_input();
        fds.extend(self.clients.iter().map(|client| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !full);
            flags.set(PollFlags::OUT, client.backlog() > 0);
            PollFd::from_borrowed_fd(client.as_fd(), flags)
        }));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(Error::errno("poll", "the container")(e)),
        }
        let is_ready = |index: usize| !fds[index].revents().is_empty();
        Ok(Ready {
            signals: is_ready(0),
            listener: listener.is_some_and(is_ready),
            output: (0..outputs.len())
                .filter(|index| is_ready(first_output + index))
                .map(|i| outputs[i].0)
                .collect(),
            input: input.is_some_and(is_ready),
            clients: (0..self.clients.len()).filter(|index| is_ready(first_client + index)).collect(),
        })
    }

    fn serve_request(&mut self, index: usize, request: Request) {
        match request {
            Request::Attach(wants) => self.clients[index].attach(wants),
            Request::Input(bytes) => self.streams.take_input(&bytes),
            Request::InputEnd => self.streams.input_client_left(),
            Request::Resize { rows, columns } => self.streams.resize(rows, columns),
            Request::Signal(number) => {
                if let Some(process) = self.container.as_ref().and_then(|(_, identity)| identity.open()) {
                    // A signal that there is not is the client's mistake.
                    let _ = process.signal(number);
                }
            }
        }
    }

    /// Asks for the exit codes of all children that have ended: the container's, and orphans that came to us.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.container.as_ref().is_some_and(|(container, _)| *container == pid) {
                let code =
                    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
                self.ended = Some(ExitCode(code.unwrap_or(255)));
            }
        }
    }

    /// Says that nothing runs, and why.
    pub fn fail(mut self, code: u8, message: impl Into<String>) {
        self.announce(&Event::Failed { code, message: message.into() });
        self.drain();
    }

    /// Says that the container has ended, and lets everybody go.
    pub fn end(mut self, code: ExitCode) {
        self.announce(&Event::Ended(code.0));
        self.drain();
    }

    /// Gives the clients some time to read what is left.
    fn drain(&mut self) {
        let end = std::time::Instant::now() + LAST_WORDS;
        while !self.clients.is_empty() && std::time::Instant::now() < end {
            self.clients.retain_mut(|client| client.flush() && client.backlog() > 0);
            let mut fds: Vec<_> =
                self.clients.iter().map(|c| PollFd::from_borrowed_fd(c.as_fd(), PollFlags::OUT)).collect();
            let left = Timespec::try_from(end.saturating_duration_since(std::time::Instant::now())).ok();
            if !fds.is_empty() && poll(&mut fds, left.as_ref()).is_err() {
                return;
            }
        }
    }
}

/// What can be done at once.
struct Ready {
    signals: bool,
    listener: bool,
    output: Vec<log::Stream>,
    input: bool,
    clients: Vec<usize>,
}

fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}
