//! `start` and `attach`.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use model::ContainerId;
use runtime::wire::{Connection, Event, Request, Wants};

use crate::{Engine, Error, Result};

/// The program that becomes a monitor: it gets the container's ID as its last argument, and its first client as its
/// standard input, and calls [`Engine::monitor`].
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before the ID.
    pub args: Vec<OsString>,
    /// Variables of its environment besides ours.
    pub env: Vec<(OsString, OsString)>,
}

/// A container that was asked to start.
#[derive(Debug)]
pub enum Started {
    /// It runs now. The connection is to its monitor, which has been told what is wanted.
    Now(Connection),
    /// It ran already.
    Before,
}

impl Engine {
    /// Starts a container, and returns when its process runs. What it writes from its first byte on comes over the
    /// connection, as far as `wants` says. `size` are the rows and columns of its terminal.
    ///
    /// # Errors
    /// [`Error::NotStarted`]: why, and Docker's exit code for that.
    pub fn start(
        &self,
        container: &ContainerId,
        launcher: &Launcher,
        wants: Wants,
        size: Option<(u16, u16)>,
    ) -> Result<Started> {
        if self.is_running(container)? {
            return Ok(Started::Before);
        }
        let failed = Error::io("start the monitor", &launcher.program);
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut connection = Connection::new(ours);
        connection.send(&Request::Attach(wants))?;
        let mut command = Command::new(&launcher.program);
        command.args(&launcher.args).arg(container.hex()).envs(launcher.env.iter().cloned());
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let failed = Error::io("start the monitor", &launcher.program);
        let child = command.spawn().map_err(failed)?;
        // The command has a copy of the monitor's side, which would keep the connection open.
        drop(command);
        if let Some((rows, columns)) = size {
            // A monitor that is gone says so below.
            let _ = connection.send(&Request::Resize { rows, columns });
        }
        match connection.next_event()? {
            Some(Event::Started) => Ok(Started::Now(connection)),
            Some(Event::Failed { code, message }) => Err(Error::NotStarted { code, message }),
            Some(other) => Err(runtime::Error::Wire(format!("{other:?} before the start")).into()),
            None => {
                let message = format!("the monitor of the container, process {}, has died", child.id());
                Err(Error::NotStarted { code: 125, message })
            }
        }
    }

    /// Attaches to a container that runs.
    ///
    /// # Errors
    /// It does not run, or nobody looks after it.
    pub fn attach(&self, container: &ContainerId, wants: Wants) -> Result<Connection> {
        if !self.is_running(container)? {
            return Err(Error::conflict("You cannot attach to a stopped container, start it first"));
        }
        let mut connection = Connection::open(&self.store.running().path(container)).map_err(|_| {
            let what = "the process that looked after the container was killed";
            Error::conflict(format!("{what}: what it writes cannot be seen any more; restart it"))
        })?;
        connection.send(&Request::Attach(wants))?;
        Ok(connection)
    }

    /// Whether a container runs, whatever its documents say.
    ///
    /// # Errors
    /// No such container; system calls.
    pub fn is_running(&self, container: &ContainerId) -> Result<bool> {
        if !self.store.containers().exists(container)? {
            return Err(Error::NoSuchContainer(container.to_string()));
        }
        let Some(life) = self.store.running().life(container)? else { return Ok(false) };
        Ok(life.process().is_some())
    }

    /// The first process of a container that runs.
    pub(crate) fn process_of(&self, container: &ContainerId) -> Result<Option<sys::identity::Process>> {
        Ok(self.store.running().life(container)?.and_then(|life| life.process()))
    }

    /// As [`process_of`](Self::process_of), for verbs that need one.
    pub(crate) fn running_process(&self, container: &ContainerId) -> Result<sys::identity::Process> {
        let process = self.process_of(container)?;
        process.ok_or_else(|| Error::conflict(format!("container {container} is not running")))
    }
}
