//! Where the data of a run lies: a tmpfs, or a directory on disk.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::exec::run;
use crate::Result;

/// The two kinds of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tmpfs,
    Disk,
}

impl Kind {
    /// The value of `--on`.
    pub fn parse(value: &str) -> Result<Vec<Self>> {
        match value {
            "tmpfs" => Ok(vec![Self::Tmpfs]),
            "disk" => Ok(vec![Self::Disk]),
            "both" => Ok(vec![Self::Tmpfs, Self::Disk]),
            _ => Err(format!("--on: {value} is not tmpfs, disk or both").into()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tmpfs => "tmpfs",
            Self::Disk => "disk",
        })
    }
}

/// An empty directory for one run, removed with it.
#[derive(Debug)]
pub struct Ground {
    pub kind: Kind,
    dir: PathBuf,
    settle: Duration,
}

impl Ground {
    /// Below `work`; on a disk with a rest of so many seconds before every measurement.
    pub fn new(kind: Kind, work: &Path, settle: u64) -> Result<Self> {
        let dir = work.join(kind.to_string());
        remove(&dir)?;
        fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        if kind == Kind::Tmpfs {
            run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=75%", "bench"]).arg(&dir))?;
        }
        Ok(Self { kind, dir, settle: Duration::from_secs(settle) })
    }

    /// A path on this ground.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where a measured command prints to.
    pub fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// Waits until what went before no longer weighs on what is measured next: everything written, and on a disk a
    /// rest, since a virtual disk lends speed that it takes back afterwards.
    pub fn settle(&self) -> Result<()> {
        run(&mut Command::new("sync"))?;
        if self.kind == Kind::Disk {
            thread::sleep(self.settle);
        }
        Ok(())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // On a tmpfs the namespace's end gives the memory back too; a failure here is not worth the results.
        if self.kind == Kind::Tmpfs {
            let _ = run(Command::new("umount").arg("--lazy").arg(&self.dir));
        }
        let _ = remove(&self.dir);
    }
}

/// Removes a tree, which may be absent.
pub fn remove(path: &Path) -> Result<()> {
    run(Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(path))?;
    Ok(())
}
