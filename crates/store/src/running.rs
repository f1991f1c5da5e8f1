//! `layercake/running/`: one directory per container that runs, named by its id. Whoever runs it keeps there what its
//! runtime needs, and a record of who is who. A directory that stays when nobody runs the container tells that its
//! monitor was killed, or the machine restarted (`docs/format/layercake-private.md`).
//!
//! To run a container is to hold the lock on its directory in `containers/`. It is a flock, so it cannot outlive its
//! holder.

use std::path::PathBuf;

use model::ContainerId;
use sys::OwnedFd;
use sys::identity::Identity;
use sys::lock::{Lock, Mutual};

use crate::error::{Error, Result};
use crate::root::{DataRoot, PRIVATE};
use crate::small::{absent, find_dir, find_text, names_in, os};

const DIR: &str = "running";
const RECORD: &str = "record";

/// The containers that run.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    pub(crate) root: &'a DataRoot,
}

/// Who is who of a container that runs, or ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The process that looks after it.
    pub monitor: Identity,
    /// Its own first process, once there is one.
    pub container: Option<Identity>,
    /// Whether its tree was mounted for the run, and is to be unmounted after it.
    pub mounted: bool,
}

impl Life {
    /// The container's first process, if it still runs.
    pub fn process(&self) -> Option<sys::identity::Process> {
        self.container.as_ref()?.open().filter(|process| !process.has_ended())
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        Some(Self {
            monitor: Identity::parse(field("monitor")?)?,
            container: field("container").and_then(Identity::parse),
            mounted: field("mounted") == Some("yes"),
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("monitor {}\n", self.monitor);
        if let Some(container) = &self.container {
            text += &format!("container {container}\n");
        }
        text + if self.mounted { "mounted yes\n" } else { "mounted no\n" }
    }
}

impl Running<'_> {
    /// The containers that have a directory here, sorted.
    ///
    /// # Errors
    /// System calls.
    pub fn list(&self) -> Result<Vec<ContainerId>> {
        let names = names_in(self.all()?.as_ref())?;
        Ok(names.iter().filter_map(|name| ContainerId::parse(name).ok()).collect())
    }

    /// Where a container's directory is, if it has one.
    pub fn path(&self, id: &ContainerId) -> PathBuf {
        self.root.path().join(PRIVATE).join(DIR).join(id.hex())
    }

    /// Makes an empty directory (0700) for a container; what stood there before goes. For the holder of its lock.
    ///
    /// # Errors
    /// System calls.
    pub fn make(&self, id: &ContainerId) -> Result<PathBuf> {
        let private = self.root.writable(&self.root.dirs.private)?;
        let all = sys::dir::ensure(private, os(DIR), 0o700)?;
        sys::tree::remove(&all, os(&id.hex()))?;
        sys::dir::ensure(&all, os(&id.hex()), 0o700)?;
        Ok(self.path(id))
    }

    /// Who is who of a container; `None` if it does not run, or nothing is known yet.
    ///
    /// # Errors
    /// System calls.
    pub fn life(&self, id: &ContainerId) -> Result<Option<Life>> {
        let Some(dir) = self.dir(id)? else { return Ok(None) };
        Ok(find_text(&dir, RECORD)?.and_then(|text| Life::parse(&text)))
    }

    /// Writes down who is who. Not durable: no process outlives a power cut.
    ///
    /// # Errors
    /// There is no directory; system calls.
    pub fn record(&self, id: &ContainerId, life: &Life) -> Result<()> {
        let dir = self.dir(id)?.ok_or(Error::NoContainer(*id))?;
        let temp = "record.new";
        absent(sys::dir::unlink(&dir, os(temp)))?;
        sys::atomic::create_unsynced(&dir, os(temp), 0o600, life.to_text().as_bytes())?;
        Ok(sys::dir::rename(&dir, os(temp), &dir, os(RECORD))?)
    }

    /// Removes a container's directory. For the holder of its lock.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(&self, id: &ContainerId) -> Result<()> {
        match self.all()? {
            Some(all) => Ok(sys::tree::remove(&all, os(&id.hex()))?),
            None => Ok(()),
        }
    }

    /// Takes the lock that the runner of a container holds; `None` if somebody runs it. For a container that is not
    /// there [`Error::NoContainer`].
    ///
    /// # Errors
    /// System calls.
    pub fn claim(&self, id: &ContainerId) -> Result<Option<Lock>> {
        let dir = self.root.containers().dir(id)?.ok_or(Error::NoContainer(*id))?;
        Ok(sys::lock::try_lock(dir, Mutual::Exclusive)?)
    }

    fn all(&self) -> Result<Option<OwnedFd>> {
        match &self.root.dirs.private {
            Some(private) => find_dir(private, DIR),
            None => Ok(None),
        }
    }

    fn dir(&self, id: &ContainerId) -> Result<Option<OwnedFd>> {
        match self.all()? {
            Some(all) => find_dir(&all, &id.hex()),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_half_a_one_does_not() {
        let own = Identity::own().unwrap();
        for container in [None, Some(own.clone())] {
            let life = Life { monitor: own.clone(), container, mounted: true };
            assert_eq!(Life::parse(&life.to_text()), Some(life));
        }
        assert_eq!(Life::parse("container 1 2 x\n"), None);
        assert_eq!(Life::parse(""), None);
    }
}
