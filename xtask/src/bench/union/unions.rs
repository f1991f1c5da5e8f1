//! The file systems that are compared, each mounted as its users mount it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_remount, move_mount, unmount,
};
use rustix::process::{Pid, Signal, kill_process};

use super::options::Options;
use crate::Result;
use crate::namespace::Who;
use crate::which::Which;

/// How long a server may take to mount, and to end after `umount`.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file system that can be mounted here.
#[derive(Debug, Clone)]
pub struct Union {
    pub which: Which,
    /// What is run up to the options; empty for the kernel's.
    program: Vec<OsString>,
    who: Who,
}

impl Union {
    /// Those that were asked for, or all that are there.
    pub fn chosen(options: &Options, ours: &Path) -> Vec<Self> {
        let wanted = |which: &Which| options.of.is_empty() || options.of.contains(which);
        let mut unions = Vec::new();
        for which in Which::ALL.into_iter().filter(wanted) {
            let program = match which {
                Which::Kernel => Vec::new(),
                Which::C => vec![options.c.clone().into()],
                Which::Rust => match &options.rust {
                    Some(program) => vec![program.clone().into()],
                    None => {
                        eprintln!("left out: {}: FUSE_OVERLAYFS_RUST names no program", which.name());
                        continue;
                    }
                },
                Which::Ours => vec![ours.into(), "union".into()],
            };
            unions.push(Self { which, program, who: options.who });
        }
        unions
    }

    /// Mounts the union of `lowers`, topmost first, below `upper`, a directory with `upper` and `work` in it. Returns
    /// when it is mounted.
    pub fn mount(&self, lowers: &[PathBuf], upper: Option<&Path>, at: &Path) -> Result<Mounted> {
        if self.program.is_empty() {
            self.mount_kernel(lowers, upper, at)?;
        } else {
            self.start(lowers, upper, at)?;
        }
        Ok(Mounted { at: at.to_path_buf() })
    }

    /// The kernel's overlay, by `fsconfig`: the one way that has no limit on the length of all options.
    fn mount_kernel(&self, lowers: &[PathBuf], upper: Option<&Path>, at: &Path) -> Result<()> {
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for lower in lowers {
            fsconfig_set_string(&fs, "lowerdir+", lower).map_err(|e| format!("{}: {e}", lower.display()))?;
        }
        if let Some(upper) = upper {
            fsconfig_set_string(&fs, "upperdir", upper.join("upper"))?;
            fsconfig_set_string(&fs, "workdir", upper.join("work"))?;
        }
        if self.who == Who::User {
            fsconfig_set_flag(&fs, "userxattr")?;
        }
        fsconfig_create(&fs).map_err(|e| format!("overlay: {e}"))?;
        let mount = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        Ok(move_mount(&mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
    }

    /// A server: starts it and waits for the mount. All three take the same options.
    fn start(&self, lowers: &[PathBuf], upper: Option<&Path>, at: &Path) -> Result<()> {
        let mut options = OsString::from("lowerdir=");
        for (n, lower) in lowers.iter().enumerate() {
            if n > 0 {
                options.push(":");
            }
            options.push(lower);
        }
        if let Some(upper) = upper {
            options.push(",upperdir=");
            options.push(upper.join("upper"));
            options.push(",workdir=");
            options.push(upper.join("work"));
        }
        // The server would hold a pipe open.
        let log = log(at);
        let output = File::create(&log)?;
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).arg("-o").arg(options).arg(at);
        let status = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()
            .map_err(|e| format!("{}: {e}", self.program[0].display()))?;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        if !status.success() {
            return Err(format!("{}: {status}: {}", self.which.name(), said().trim()).into());
        }
        let since = Instant::now();
        while !is_mounted(at)? {
            if since.elapsed() > PATIENCE {
                return Err(format!("{}: not mounted: {}", self.which.name(), said().trim()).into());
            }
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

/// A mounted union; unmounted with this.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Lets the kernel forget every name and file of the union that is not open: a remount of anything drops them, and
    /// unlike `drop_caches` it may be done in a user namespace.
    pub fn forget(&self) -> Result<()> {
        Ok(mount_remount(&self.at, MountFlags::empty(), c"")?)
    }

    /// Memory that the server holds now, in bytes.
    pub fn server_memory(&self) -> Result<f64> {
        let mut bytes = 0.0;
        for process in servers(&self.at)? {
            let status = fs::read_to_string(process.join("status"))?;
            let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
            bytes += rss.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0;
        }
        if bytes == 0.0 { Err("no server is running".into()) } else { Ok(bytes) }
    }

    /// Unmounts, and waits until the server has ended: it must not run beside what is measured next.
    pub fn unmount(self) -> Result<()> {
        unmount(&self.at, UnmountFlags::empty()).map_err(|e| format!("umount {}: {e}", self.at.display()))?;
        let since = Instant::now();
        while !servers(&self.at)?.is_empty() {
            if since.elapsed() > PATIENCE {
                return Err("the server does not end".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // After an error; else it is no longer mounted. A server that does not end by itself must not disturb the others.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
        for process in servers(&self.at).unwrap_or_default() {
            let id = process.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
            let _ = id.map(|id| kill_process(id, Signal::KILL));
        }
    }
}

/// Where the server of a mount point prints to.
pub fn log(at: &Path) -> PathBuf {
    at.with_extension("log")
}

/// Whether something is mounted at `path`.
fn is_mounted(path: &Path) -> Result<bool> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().any(|line| line.split(' ').nth(4).map(Path::new) == Some(path)))
}

/// The processes that have `at` as an argument, by their directories in `/proc`. In this process namespace these are
/// the servers.
fn servers(at: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        if line.split(|byte| *byte == 0).any(|argument| argument == at.as_os_str().as_bytes()) {
            found.push(process);
        }
    }
    Ok(found)
}
