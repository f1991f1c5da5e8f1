//! Commands in namespaces of their own: whatever they mount or leave running ends with them.
//!
//! A benchmark or a suite runs *as root*, or *as an ordinary user* who is root in a user namespace with a range of ids,
//! as podman runs without root. What that user needs of the machine (a `/dev/fuse` that he may open, a range in
//! `/etc/subuid`) is bound over the machine's own in the private mount namespace: nothing of the machine is changed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, mount, mount_bind};

use crate::Result;

/// The task that [`command`] starts inside, not for people.
pub const TASK: &str = "within";

/// Who runs a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Root of the machine.
    Root,
    /// An ordinary user, root in a user namespace.
    User,
}

impl Who {
    /// The value of `--as`.
    pub fn parse(value: &str) -> Result<Self> {
        match value {
            "root" => Ok(Self::Root),
            "user" => Ok(Self::User),
            _ => Err(format!("--as: {value} is not root or user").into()),
        }
    }

    /// The word for it on command lines and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
        }
    }
}

/// The ordinary user; no user of a machine has this number by chance.
const USER: u32 = 61_234;

/// The ids that he may use inside: from here, and how many.
const RANGE: (u32, u32) = (2_000_000_000, 65_536);

/// `FUSE` of the kernel's `devices.txt`: the character device 10:229.
const FUSE: (u32, u32) = (10, 229);

/// `program` in a new mount and process namespace, run by `who`, with the environment of this process. `own` is a
/// directory that is given to the user. Needs root.
pub fn command(who: Who, own: &Path, program: &Path) -> Result<Command> {
    fs::create_dir_all(own).map_err(|e| format!("{}: {e}", own.display()))?;
    if who == Who::User {
        chown(own, Some(USER), Some(USER))
            .map_err(|e| format!("{}: {e} (this needs root)", own.display()))?;
    }
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ])
        .arg(std::env::current_exe()?)
        .args([TASK, who.name()])
        .arg(program);
    Ok(command)
}

/// `xtask within WHO PROGRAM ARG…`: becomes the program.
pub fn main(mut args: impl Iterator<Item = String>) -> Result<()> {
    let mut command = match Who::parse(&args.next().unwrap_or_default())? {
        Who::Root => Command::new(args.next().ok_or("no program")?),
        Who::User => {
            lend()?;
            let mut command = Command::new("setpriv");
            command
                .args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups", "--"])
                .args(["unshare", "--user", "--mount", "--map-root-user", "--map-auto", "--"])
                .env("HOME", "/");
            command
        }
    };
    Err(format!("{command:?}: {}", command.args(args).exec()).into())
}

/// Binds what the user needs over what the machine has.
fn lend() -> Result<()> {
    // Any directory will do: it is hidden in this namespace only, and only until the files are bound.
    let own = Path::new("/mnt");
    mount("layercake", own, "tmpfs", MountFlags::empty(), c"mode=0755")?;
    let (major, minor) = FUSE;
    let fuse = own.join("fuse");
    mknodat(CWD, &fuse, FileType::CharacterDevice, Mode::from(0o666), makedev(major, minor))?;
    // The umask has cut the mode.
    fs::set_permissions(&fuse, fs::Permissions::from_mode(0o666))?;
    mount_bind(&fuse, "/dev/fuse")?;
    let (first, count) = RANGE;
    let ids = format!("{USER}:{first}:{count}\n");
    append("/etc/passwd", own, &format!("layercake-test:x:{USER}:{USER}::/:/bin/sh\n"))?;
    append("/etc/group", own, &format!("layercake-test:x:{USER}:\n"))?;
    append("/etc/subuid", own, &ids)?;
    append("/etc/subgid", own, &ids)
}

/// Binds a copy of `file` with a further line over it.
fn append(file: &str, own: &Path, line: &str) -> Result<()> {
    let path = Path::new(file);
    let text = fs::read_to_string(path).map_err(|e| format!("{file}: {e}"))?;
    let copy = own.join(path.file_name().ok_or("no file name")?);
    fs::write(&copy, text + line)?;
    mount_bind(&copy, path).map_err(|e| format!("{file}: {e}").into())
}
