//! The process that keeps the namespaces of a store, and how commands join it.
//!
//! Two lock files stand beside the record `holder`:
//! - `holder.in-use` is shared by every command inside. The holder takes it exclusively before it leaves, so a command
//!   that has joined but not mounted yet cannot lose its namespaces.
//! - `holder.lock` is taken exclusively to start a holder, so that two first commands make one.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::error_from;
use super::idmap::{self, SubIds};
use super::record::Record;
use crate::error::{At, Error, Result, path_of};
use crate::lock::{self, Lock, Mutual};
use crate::{AsFd, OwnedFd, dir, mount, raw};

/// The namespaces of one store: where their holder is recorded, and how it is started.
#[derive(Debug, Clone)]
pub struct Holding {
    /// The store: what is mounted below this directory keeps the holder.
    pub store: PathBuf,
    /// The record of the holder, in a directory that exists; two lock files (0600) are made beside it.
    pub record: PathBuf,
    /// The program to run as holder. It must call [`hold`] before it does anything else.
    pub program: PathBuf,
    /// Its arguments; `store` and `record` follow them.
    pub args: Vec<OsString>,
}

/// A place inside the namespaces of a store. They stay for as long as this is kept.
#[derive(Debug)]
#[must_use = "the holder may leave when this is dropped"]
pub struct Membership {
    _in_use: Lock,
    holder: Record,
}

impl Membership {
    /// The process id of the holder.
    pub fn holder_pid(&self) -> u32 {
        self.holder.pid
    }

    /// Why the namespace has one id only, and what would give it more, in a sentence for the user.
    pub fn note(&self) -> Option<&str> {
        self.holder.note.as_deref()
    }
}

/// Takes this process into the namespaces of a store, in which it is user 0; starts the holder if none runs. The
/// working directory, umask, groups and environment stay. Call it before the first thread: the kernel refuses a
/// process with threads (`EINVAL`). [`super::Obstacle::find`] may explain other errors.
pub fn enter(holding: &Holding) -> Result<Membership> {
    let place = Place::open(&holding.record)?;
    let in_use = place.take(IN_USE, Mutual::Shared)?;
    let holder = match join(&place)? {
        Some(holder) => holder,
        None => {
            let _starting = place.take(STARTING, Mutual::Exclusive)?;
            match join(&place)? {
                // Another first command was faster.
                Some(holder) => holder,
                None => start(holding, &place)?,
            }
        }
    };
    Ok(Membership { _in_use: in_use, holder })
}

const IN_USE: &str = ".in-use";
const STARTING: &str = ".lock";

/// The directory and the name of the record.
struct Place {
    dir: OwnedFd,
    name: OsString,
}

impl Place {
    fn open(record: &Path) -> Result<Self> {
        let name = record.file_name().ok_or_else(|| Error::new("open", record, Errno::INVAL))?;
        Ok(Self { dir: dir::open_path(record.parent().unwrap_or(Path::new("/")))?, name: name.to_owned() })
    }

    fn beside(&self, suffix: &str) -> OsString {
        let mut name = self.name.clone();
        name.push(suffix);
        name
    }

    fn take(&self, suffix: &str, mutual: Mutual) -> Result<Lock> {
        lock::take(&self.dir, &self.beside(suffix), mutual)
    }
}

/// Joins the recorded holder; `None` if it is gone.
fn join(place: &Place) -> Result<Option<Record>> {
    let Some(record) = Record::read(&place.dir, &place.name)? else { return Ok(None) };
    let Some(process) = record.open() else { return Ok(None) };
    let working_directory = WorkingDirectory::save()?;
    match move_into_thread_name_spaces(
        process.as_fd(),
        ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT,
    ) {
        Ok(()) => {}
        // It has died, and only its entry in the table of processes is left.
        Err(Errno::SRCH) => return Ok(None),
        Err(e) => return Err(Error::new("join the namespaces of", format!("/proc/{}", record.pid), e)),
    }
    working_directory.restore()?;
    Ok(Some(record))
}

/// setns(2) moves a process to the root of the new mount namespace. The same path there is the same directory, but
/// on that namespace's mounts, so that what is mounted below shows.
struct WorkingDirectory {
    fd: OwnedFd,
    path: Option<PathBuf>,
}

impl WorkingDirectory {
    fn save() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(".", flags, Mode::empty()).at("open", Path::new("."))?;
        Ok(Self { fd, path: std::env::current_dir().ok() })
    }

    /// By the path where it leads to the same directory; else by the descriptor: a directory that was removed, or
    /// one that was reached through the holder and lies in the joined namespace already.
    fn restore(self) -> Result<()> {
        if let Some(path) = self.path
            && let Ok(same) = dir::open_path(&path)
            && identity(&same)? == identity(&self.fd)?
        {
            return rustix::process::fchdir(&same).at("chdir to", &path);
        }
        rustix::process::fchdir(&self.fd).at_fd("chdir to", &self.fd)
    }
}

fn identity(fd: &OwnedFd) -> Result<(u64, u64)> {
    let st = rustix::fs::fstat(fd).at_fd("stat", fd)?;
    Ok((st.st_dev, st.st_ino))
}

/// Starts a holder with as many ids as there are, records it and joins it.
fn start(holding: &Holding, place: &Place) -> Result<Record> {
    let mapped = match SubIds::of_caller() {
        Ok(ids) => {
            let newborn = Newborn::start(holding)?;
            ids.map(newborn.pid()).map(|()| newborn)
        }
        Err(why) => Err(why),
    };
    let (newborn, note) = match mapped {
        Ok(newborn) => (newborn, None),
        Err(why) => {
            // A map can be written only once: after half a pair of maps it takes a new process.
            let newborn = Newborn::start(holding)?;
            idmap::map_own(newborn.pid())?;
            (newborn, Some(why))
        }
    };
    Record::of(newborn.pid(), note)?.write(&place.dir, &place.name)?;
    newborn.release()?;
    join(place)?.ok_or_else(|| Error::new("join the namespaces of", &holding.record, Errno::SRCH))
}

/// A holder that has its namespaces and waits for its ids. Dropped before [`Newborn::release`], it dies.
struct Newborn {
    child: Option<Child>,
    pid: u32,
}

impl Newborn {
    fn start(holding: &Holding) -> Result<Self> {
        let mut command = Command::new(&holding.program);
        command.args(&holding.args).arg(&holding.store).arg(&holding.record);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| error_from("start", &holding.program, &e))?;
        let stdout = child.stdout.take();
        let newborn = Self { pid: child.id(), child: Some(child) };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            // An answer that cannot be read is no answer.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        match Answer::parse(&line) {
            Some(Answer::Ready) => Ok(newborn),
            Some(Answer::Failed(step, errno)) => Err(Error::new(step.op(), &holding.store, errno)),
            None => Err(Error::new("start the namespace holder of", &holding.store, Errno::CHILD)),
        }
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it that its ids are there. From now on it lives by itself.
    fn release(mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let told = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(b"\n"));
        told.map_err(|e| error_from("start", Path::new("namespace holder"), &e))
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a new holder says on its standard output, one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ready,
    Failed(Step, Errno),
}

/// Where a new holder can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Unshare,
    Propagation,
    Open,
}

impl Step {
    const ALL: [Self; 3] = [Self::Unshare, Self::Propagation, Self::Open];

    fn op(self) -> &'static str {
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

    fn parse(line: &str) -> Option<Self> {
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
/// nothing is mounted below `store` and no command is inside. Call it first in a process that [`enter`] started, and
/// end the process when it returns.
pub fn hold(store: &Path, record: &Path) -> Result<()> {
    // A descriptor or a terminal of the first command would stay open for as long as its mounts.
    raw::close_inherited();
    raw::ignore_hangup();
    let _ = rustix::process::setsid();
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
        let path = path_of(&self.dir);
        let entries = mount::table(&path)?;
        Ok(entries.into_iter().map(|m| m.target).filter(|target| *target != path).collect())
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
