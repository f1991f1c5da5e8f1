//! The record of a holder: which process it is.
//!
//! Two lock files stand beside the record `holder`:
//! - `holder.in-use` is shared by every command inside. The holder takes it exclusively before it leaves, so a command
//!   that has joined but not mounted yet cannot lose its namespaces.
//! - `holder.lock` is taken exclusively to start a holder, so that two first commands make one.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::identity::{Identity, Process};
use crate::lock::{self, Lock, Mutual};
use crate::{AsFd, OwnedFd, atomic, dir};

/// What the lock files' names add to the record's.
pub(super) const IN_USE: &str = ".in-use";
pub(super) const STARTING: &str = ".lock";

/// The directory and the name of the record.
pub(super) struct Place {
    pub(super) dir: OwnedFd,
    pub(super) name: OsString,
}

impl Place {
    /// Opens the directory of the record at the path `record`.
    pub(super) fn open(record: &Path) -> Result<Self> {
        let name = record.file_name().ok_or_else(|| Error::new("open", record, Errno::INVAL))?;
        Ok(Self { dir: dir::open_path(record.parent().unwrap_or(Path::new("/")))?, name: name.to_owned() })
    }

    /// The name of a file beside the record.
    pub(super) fn beside(&self, suffix: &str) -> OsString {
        let mut name = self.name.clone();
        name.push(suffix);
        name
    }

    /// Takes the lock beside the record that `suffix` names.
    pub(super) fn take(&self, suffix: &str, mutual: Mutual) -> Result<Lock> {
        lock::take(&self.dir, &self.beside(suffix), mutual)
    }
}

/// A holder, as its record file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Which process it is.
    pub(super) process: Identity,
    /// Why the namespace has one id only, if it has.
    pub(super) note: Option<String>,
}

impl Record {
    /// The record of a process that runs now.
    pub(super) fn of(pid: u32, note: Option<String>) -> Result<Self> {
        Ok(Self { process: Identity::of(pid)?, note })
    }

    /// Reads the record `name`. `None` if there is none, or one that no holder wrote: it names no holder either way.
    pub(super) fn read(parent: impl AsFd, name: &OsStr) -> Result<Option<Self>> {
        Ok(atomic::find(parent, name)?.and_then(|bytes| Self::parse(&String::from_utf8_lossy(&bytes))))
    }

    /// Replaces the record `name`; one writer at a time. It need not be durable: no holder outlives a power cut.
    pub(super) fn write(&self, parent: impl AsFd, name: &OsStr) -> Result<()> {
        // Not a name that sweeps look for: one could take it away before the rename. The next writer does that here.
        let mut temp = OsString::from(name);
        temp.push(".new");
        match dir::unlink(&parent, &temp) {
            Err(e) if !e.is_not_found() => return Err(e),
            _ => {}
        }
        atomic::create_unsynced(&parent, &temp, 0o600, self.to_text().as_bytes())?;
        dir::rename(&parent, &temp, &parent, name)
    }

    /// Removes the record `name` if it is this process's.
    pub(super) fn remove_own(parent: impl AsFd, name: &OsStr) -> Result<()> {
        match Self::read(&parent, name)? {
            Some(record) if record.process.pid == std::process::id() => dir::unlink(&parent, name),
            _ => Ok(()),
        }
    }

    /// The process, if it is still there.
    pub(super) fn open(&self) -> Option<Process> {
        self.process.open()
    }

    fn to_text(&self) -> String {
        let Identity { pid, started, boot } = &self.process;
        let mut text = format!("pid {pid}\nstarted {started}\nboot {boot}\n");
        if let Some(note) = &self.note {
            text += &format!("note {}\n", note.replace('\n', " "));
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(' '));
        let process = Identity {
            pid: field("pid")?.parse().ok()?,
            started: field("started")?.parse().ok()?,
            boot: field("boot")?.to_owned(),
        };
        Some(Self { process, note: field("note").map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let record = Record::of(std::process::id(), Some("a\nb".into())).unwrap();
        let back = Record::parse(&record.to_text()).unwrap();
        assert_eq!(back, Record { note: Some("a b".into()), ..record });
        assert!(back.open().is_some());
    }

    #[test]
    fn a_torn_record_names_no_holder() {
        let text = Record::of(std::process::id(), None).unwrap().to_text();
        for end in 0..text.len() - 1 {
            // A cut inside the boot id parses, and then belongs to no boot.
            assert!(Record::parse(&text[..end]).and_then(|r| r.open()).is_none(), "{end}");
        }
    }
}
