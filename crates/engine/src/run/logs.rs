//! `logs`.

use model::ContainerId;
use runtime::log::{Entry, Query, Reader};
use sys::identity::Process;

use super::monitor::log_name;
use crate::{Engine, Error, Result};

/// A container's log that is being read.
#[derive(Debug)]
pub struct Logs {
    reader: Reader,
    monitor: Option<Process>,
}

impl Engine {
    /// Opens a container's log. With `follow`, it goes on until the container has ended.
    ///
    /// # Errors
    /// It has no log that can be read.
    pub fn logs(&self, id: &ContainerId, query: Query, follow: bool) -> Result<Logs> {
        let host = self.store.containers().host_config(id)?.view()?;
        if !matches!(host.log_config.kind.as_str(), "json-file" | "") {
            return Err(Error::invalid("configured logging driver does not support reading"));
        }
        let dir = self.store.containers().dir(id)?.ok_or_else(|| Error::NoSuchContainer(id.to_string()))?;
        // Asked before the log is opened: what was written until it ended is read in any case.
        let life = if follow { self.store.running().life(id)? } else { None };
        let monitor = life.and_then(|life| life.monitor.open());
        Ok(Logs { reader: Reader::open(dir, &log_name(id), query)?, monitor })
    }
}

impl Logs {
    /// The next entry; waits for it as long as the container runs, if it is followed. `None` at the end.
    ///
    /// # Errors
    /// System calls.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.reader.next_entry()? {
                return Ok(Some(entry));
            }
            let Some(monitor) = &self.monitor else { return Ok(None) };
            if !self.reader.wait(monitor)? {
                self.monitor = None;
            }
        }
    }
}
