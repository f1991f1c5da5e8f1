//! Which process it is. A pid alone is not enough, for pids are given out again; pid, start time and boot together
//! name one process, also in a file that somebody reads after a restart of the machine.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{Error, Result, error_from};
use crate::{AsFd, OwnedFd};

/// One process. Displays as one line, which [`Identity::parse`] reads back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its process id.
    pub pid: u32,
    /// Its start, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub(crate) started: u64,
    /// The boot that the ticks count from.
    pub(crate) boot: String,
}

impl Identity {
    /// The process that has this id now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self { pid, started: start_time(pid)?, boot: boot_id()? })
    }

    /// This process.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn own() -> Result<Self> {
        Self::of(std::process::id())
    }

    /// Reads what `Display` wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (pid, started) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let boot = words.next()?.to_owned();
        words.next().is_none().then_some(Self { pid, started, boot })
    }

    /// A descriptor of the process, if it is still there: from then on no other process can take its place. It may have
    /// ended, if nobody has asked for its exit code yet.
    pub fn open(&self) -> Option<Process> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let is_it = start_time(self.pid).ok()? == self.started && boot_id().ok()? == self.boot;
        is_it.then_some(Process { fd, pid: self.pid })
    }

    /// Whether the process runs.
    pub fn is_alive(&self) -> bool {
        self.open().is_some_and(|process| !process.has_ended())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.pid, self.started, self.boot)
    }
}

/// A process that this one has a descriptor of.
#[derive(Debug)]
pub struct Process {
    fd: OwnedFd,
    pid: u32,
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal, by number. A process that has ended is no error.
    ///
    /// # Errors
    /// No such signal, no permission.
    pub fn signal(&self, number: i32) -> Result<()> {
        let failed = |errno| Error::new("signal", format!("process {}", self.pid), errno);
        let signal = crate::raw::signal(number).ok_or_else(|| failed(Errno::INVAL))?;
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// No permission.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL.as_raw())
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.wait(Some(Duration::ZERO))
    }

    /// Waits until it has ended, or for this long; says whether it has.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], left.as_ref()) {
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return false,
                Ok(_) => return true,
            }
        }
    }
}

impl AsFd for Process {
    /// Readable when the process has ended.
    fn as_fd(&self) -> crate::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn boot_id() -> Result<String> {
    Ok(read(Path::new("/proc/sys/kernel/random/boot_id"))?.trim().to_owned())
}

fn start_time(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let stat = read(Path::new(&path))?;
    parse_start_time(&stat).ok_or_else(|| Error::new("read", path, Errno::INVAL))
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|e| error_from("read", path, &e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Field 22. The second field, the name, stands in brackets and can hold anything, brackets and spaces too.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back() {
        let own = Identity::own().unwrap();
        assert_eq!(Identity::parse(&own.to_string()), Some(own.clone()));
        assert!(own.is_alive());
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let own = Identity::own().unwrap();
        assert!(Identity { started: own.started + 1, ..own.clone() }.open().is_none());
        assert!(Identity { boot: "another".into(), ..own.clone() }.open().is_none());
        assert!(Identity { pid: u32::MAX, ..own }.open().is_none());
    }

    #[test]
    fn a_torn_line_names_no_process() {
        let text = Identity::own().unwrap().to_string();
        for end in 0..text.len() - 1 {
            // A cut inside the boot id parses, and then belongs to no boot.
            assert!(Identity::parse(&text[..end]).and_then(|who| who.open()).is_none(), "{end}");
        }
    }

    #[test]
    fn a_signalled_child_is_waited_for() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let process = Identity::of(child.id()).unwrap().open().unwrap();
        assert!(!process.has_ended());
        process.signal(15).unwrap();
        assert!(process.wait(None));
        child.wait().unwrap();
        process.signal(15).unwrap();
        assert!(process.signal(1000).is_err());
    }

    #[test]
    fn the_start_time_is_found_behind_a_hostile_name() {
        let stat = "7 (a) R 1 (b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        assert_eq!(parse_start_time(stat), Some(4242));
    }
}
