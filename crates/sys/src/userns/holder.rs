//! The process that keeps the namespaces of a store.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};

use super::record::{IN_USE, Place, Record};
use crate::error::{At, Error, Result, error_from, path_of};
use crate::{OwnedFd, daemon, dir, mount, raw};

/// What a new holder says on its standard output, one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Ready,
    Failed(Step, Errno),
}

/// Where a new holder can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Unshare,
    Propagation,
    Open,
}

impl Step {
    const ALL: [Self; 3] = [Self::Unshare, Self::Propagation, Self::Open];

    /// The step as an error names it.
    pub(super) fn op(self) -> &'static str {
        match self {
            Self::Unshare => "make a user namespace for",
            Self::Propagation => "set mount propagation in the user namespace for",
            Self::Open => "open in the user namespace",
        }
    }
}

impl Answer {
    fn to_line(self) -> String {
        match self {
            Self::Ready => "ready\n".into(),
            Self::Failed(step, errno) => format!("{} {step:?}\n", errno.raw_os_error()),
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.strip_suffix('\n')?;
        if line == "ready" {
            return Some(Self::Ready);
        }
        let (errno, name) = line.split_once(' ')?;
        let step = Step::ALL.into_iter().find(|step| format!("{step:?}") == name)?;
        Some(Self::Failed(step, Errno::from_raw_os_error(errno.parse().ok()?)))
    }
}

/// The life of a holder: makes the namespaces, waits for the ids on standard input, then keeps the namespaces until
/// nothing is mounted below `store` and no command is inside. Call it first in a process that [`super::enter`] started, and
/// end the process when it returns.
pub fn hold(store: &Path, record: &Path) -> Result<()> {
    daemon::detach();
    let made = make_namespaces().and_then(|()| {
        let failed = |e: Error| (Step::Open, e.errno);
        rustix::process::chdir("/").map_err(|e| (Step::Open, e))?;
        let store = Store::open(store).map_err(failed)?;
        let place = Place::open(record).map_err(failed)?;
        // Opened once: a holder that opened it again could put it back into a store that is being removed.
        let in_use = dir::open_file(&place.dir, &place.beside(IN_USE)).map_err(failed)?;
        Ok((store, place, in_use))
    });
    let answer = match &made {
        Ok(_) => Answer::Ready,
        Err((step, errno)) => Answer::Failed(*step, *errno),
    };
    let told = std::io::stdout().write_all(answer.to_line().as_bytes());
    let (store, place, in_use) = made.map_err(|(step, errno)| Error::new(step.op(), store, errno))?;
    told.map_err(|e| error_from("write to", Path::new("standard output"), &e))?;
    // The end of the input without a byte means that the command gave up.
    std::io::stdin()
        .read_exact(&mut [0])
        .map_err(|e| error_from("read from", Path::new("standard input"), &e))?;
    keep(&store, &place, &in_use)
}

fn make_namespaces() -> std::result::Result<(), (Step, Errno)> {
    raw::unshare_user_and_mounts().map_err(|e| (Step::Unshare, e))?;
    // Nothing that is mounted in here is seen outside. The other way round it is: a disk that the user plugs in later
    // is there for the next command, and one that he takes out is not kept busy.
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", flags).map_err(|e| (Step::Propagation, e))
}

fn keep(store: &Store, place: &Place, in_use: &OwnedFd) -> Result<()> {
    loop {
        flock(in_use, FlockOperation::LockExclusive)?;
        if store.mounts()?.is_subset(&store.inherited) {
            // The lock goes with the process, after the record.
            return Record::remove_own(&place.dir, &place.name);
        }
        flock(in_use, FlockOperation::Unlock)?;
        store.wait_for_change()?;
    }
}

fn flock(fd: &OwnedFd, operation: FlockOperation) -> Result<()> {
    loop {
        match rustix::fs::flock(fd, operation) {
            Err(Errno::INTR) => {}
            other => return other.at_fd("lock", fd),
        }
    }
}

/// The store as the holder watches it.
struct Store {
    dir: OwnedFd,
    /// Mounts that were below the store before: the machine's, which do not keep the holder.
    inherited: HashSet<PathBuf>,
    table: OwnedFd,
}

impl Store {
    fn open(path: &Path) -> Result<Self> {
        let table = Path::new("/proc/self/mountinfo");
        let table =
            rustix::fs::open(table, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at("open", table)?;
        let mut store = Self { dir: dir::open_path(path)?, inherited: HashSet::new(), table };
        store.inherited = store.mounts()?;
        Ok(store)
    }

    /// What is mounted below the store. It is found by its descriptor, because the user can rename it; of a store
    /// that was removed, the mounts are gone too.
    fn mounts(&self) -> Result<HashSet<PathBuf>> {
        loop {
            let path = path_of(&self.dir);
            let entries = mount::table(&path)?;
            // A rename in between would make it look as if nothing were mounted.
            if path_of(&self.dir) == path {
                return Ok(entries.into_iter().map(|m| m.target).filter(|target| *target != path).collect());
            }
        }
    }

    /// Sleeps until the mount table has changed since the last call, or since [`Store::open`] (proc_pid_mounts(5)).
    fn wait_for_change(&self) -> Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.table, PollFlags::PRI)], None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e).at_fd("poll", &self.table),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_back() {
        let failed = Step::ALL.map(|step| Answer::Failed(step, Errno::PERM));
        for answer in failed.into_iter().chain([Answer::Ready]) {
            assert_eq!(Answer::parse(&answer.to_line()), Some(answer));
        }
    }

    #[test]
    fn what_no_holder_says_is_no_answer() {
        for line in ["", "ready", "1 Unshare", "x Unshare\n", "1 unshare\n", "usage: x\n"] {
            assert_eq!(Answer::parse(line), None, "{line:?}");
        }
    }
}
