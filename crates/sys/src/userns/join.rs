//! How a command gets into the namespaces of its store.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::holder::Answer;
use super::idmap::{self, SubIds};
use super::record::{IN_USE, Place, Record, STARTING};
use crate::error::{At, Error, Result, error_from};
use crate::lock::{Lock, Mutual};
use crate::{AsFd, OwnedFd, dir};

/// The namespaces of one store: where their holder is recorded, and how it is started.
#[derive(Debug, Clone)]
pub struct Holding {
    /// The store: what is mounted below this directory keeps the holder.
    pub store: PathBuf,
    /// The record of the holder, in a directory that exists; two lock files (0600) are made beside it.
    pub record: PathBuf,
    /// The program to run as holder. It must call [`super::hold`] before it does anything else.
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
        self.holder.process.pid
    }

    /// Why the namespace has one id only, and what would give it more, in a sentence for the user.
    pub fn note(&self) -> Option<&str> {
        self.holder.note.as_deref()
    }

    /// The path by which a process outside the namespace, one of the same user, reaches what this process knows as
    /// `path`: below the holder's `/proc/<pid>/root`. The kernel lets him because he owns the namespace.
    ///
    /// Links are resolved here: an absolute one would lead the outsider out of the holder's tree. Two limits: the
    /// path dies with the holder, and getcwd(2) of a process that works in there does not begin with it.
    pub fn outside_path(&self, path: &Path) -> PathBuf {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut outside = PathBuf::from(format!("/proc/{}/root", self.holder_pid()));
        outside.push(real.strip_prefix("/").unwrap_or(&real));
        outside
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

/// Keeps the namespaces of the holder that `record` names, in which this process is, for as long as the lock is held.
/// For processes that go on when the command that joined has ended.
pub fn keep(record: &Path) -> Result<Lock> {
    Place::open(record)?.take(IN_USE, Mutual::Shared)
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
        Err(e) => {
            return Err(Error::new("join the namespaces of", format!("/proc/{}", record.process.pid), e));
        }
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
