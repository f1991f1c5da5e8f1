//! `stop`, `kill`, `wait`.

use std::time::Duration;

use model::ContainerId;
use runtime::wire::{Connection, Event, Request, Wants};
use store::Change;

use super::signal;
use crate::{Engine, Error, Result};

/// How a container is asked to end.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// The signal, by name or number; the container's own if absent.
    pub signal: Option<String>,
    /// Seconds until it is killed, negative for never; the container's own if absent.
    pub timeout: Option<i64>,
}

/// Docker's, in seconds.
const USUAL_TIMEOUT: i64 = 10;

impl Engine {
    /// Asks a container to end, kills it if it does not, and returns when it is cleaned up after. One that does not run
    /// is no error.
    ///
    /// # Errors
    /// No such container or signal; system calls.
    pub fn stop(&self, id: &ContainerId, options: &StopOptions) -> Result<()> {
        let container = self.store.containers().get(id)?;
        let config = container.config();
        let own = Some(config.stop_signal.as_str()).filter(|signal| !signal.is_empty());
        let number = signal::number(options.signal.as_deref().or(own).unwrap_or("TERM"))?;
        let Some(process) = self.process_of(id)? else { return self.wait_settled(id) };
        let lock = self.store.commit()?;
        self.store.containers().change(&lock, id, &Change::StopRequested)?;
        drop(lock);
        process.signal(number)?;
        let seconds = options.timeout.or(config.stop_timeout).unwrap_or(USUAL_TIMEOUT);
        let timeout = u64::try_from(seconds).ok().map(Duration::from_secs);
        if !process.wait(timeout) {
            process.kill()?;
            process.wait(None);
        }
        self.wait_settled(id)
    }

    /// Sends a signal to a container's first process; after a SIGKILL, returns when it is cleaned up after.
    ///
    /// # Errors
    /// It does not run; no such signal.
    pub fn kill(&self, id: &ContainerId, signal: &str) -> Result<()> {
        let number = signal::number(signal)?;
        let container = self.store.containers().get(id)?;
        let process = self.process_of(id)?.ok_or_else(|| {
            let name = container.name().trim_start_matches('/');
            Error::conflict(format!("cannot kill container: {name}: container {id} is not running"))
        })?;
        process.signal(number)?;
        if number == signal::KILL {
            process.wait(None);
            self.wait_settled(id)?;
        }
        Ok(())
    }

    /// Waits until a container has ended, and returns its exit code; of one that does not run, that of its last run.
    ///
    /// # Errors
    /// No such container; system calls.
    pub fn wait(&self, id: &ContainerId) -> Result<i64> {
        if let Some(process) = self.process_of(id)? {
            if let Ok(mut connection) = Connection::open(&self.store.running().path(id)) {
                connection.send(&Request::Attach(Wants::default()))?;
                while let Some(event) = connection.next_event()? {
                    if let Event::Ended(code) = event {
                        return Ok(code.into());
                    }
                }
            }
            // Without a monitor.
            process.wait(None);
            self.wait_settled(id)?;
        }
        Ok(self.store.containers().get(id)?.state().exit_code)
    }
}
