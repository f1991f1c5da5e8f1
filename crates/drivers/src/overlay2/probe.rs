//! What the kernel's OverlayFS and the file system do here, tried out as Docker tries it (moby.md §8.2).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sys::mount::{Branch, Overlay};
use sys::{Errno, OwnedFd, dir, meta, tree, xattr};

use super::{KernelOverlay, Options, Overlay2, Settings, options};
use crate::config::Config;
use crate::prerequisite::{require_kernel, unmountable};
use crate::{Error, Prerequisite, Result, Unmet, aside, backing};

/// What was found out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Directories tell the kinds of their entries; OverlayFS needs it.
    pub(super) d_type: bool,
    /// A change of a file's attributes copies up the attributes only.
    pub(super) metacopy: bool,
    /// The upper directory alone tells what changed: directories are not renamed by redirect, and a directory that is
    /// copied up is not made opaque.
    pub(super) native_diff: bool,
}

impl Overlay2 {
    /// Whether this process can mount overlays of several layers on the data root's file system.
    pub(crate) fn probe(config: &Config) -> Result<(), Unmet> {
        // What is wrong with options is told when the driver is opened.
        let settings = Settings::read(config).unwrap_or_default();
        if !settings.override_kernel_check {
            require_release(&sys::process::kernel_release())?;
        }
        overlays_work(config)
    }
}

/// The kernels that Docker's pages name: 4.0, or the one of RHEL and CentOS 7 with the change that 4.0 brought.
fn require_release(release: &str) -> Result<(), Unmet> {
    let patched = release.strip_prefix("3.10.0-").filter(|rest| rest.contains(".el7"));
    let patch = patched.and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    if patch.is_some_and(|patch| patch >= 514) { Ok(()) } else { require_kernel(release, 4, 0) }
}

/// Whether overlays can be mounted on the data root's file system, tried out.
pub(crate) fn overlays_work(config: &Config) -> Result<(), Unmet> {
    let (root, user) = (&config.root, config.user_namespace);
    let tried =
        dir::open_path(root).map_err(Error::from).and_then(|fd| probe_in(&fd, root, &options(user), user));
    match tried {
        Ok(found) if found.d_type => Ok(()),
        Ok(_) => Err(backing::no_kinds(backing::name(root).unwrap_or("<unknown>"))),
        Err(Error::Sys(e)) => Err(unmountable("overlay", &e, user)),
        Err(e) => {
            Err(Unmet::new(Prerequisite::Mounts("overlay"), e.to_string(), "choose another --storage-driver"))
        }
    }
}

/// Tries out the home's file system with the options of this driver's mounts.
pub(super) fn probe(home: &OwnedFd, path: &Path, union: &KernelOverlay) -> Result<Found> {
    let beside = dir::ensure(home, OsStr::new(aside::NAME), 0o700)?;
    probe_in(&beside, &path.join(aside::NAME), union.options(), union.user_namespace)
}

/// What the names of directories begin with in which it is tried out.
const PREFIX: &str = ".probe-";
/// It takes milliseconds: an older one is a dead process's.
const DEAD: Duration = Duration::from_secs(3600);

/// Removes what processes have left that died while they tried it out.
fn sweep(parent: &OwnedFd) -> Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    for entry in
        dir::list(parent)?.iter().filter(|entry| entry.name.as_bytes().starts_with(PREFIX.as_bytes()))
    {
        let made = meta::find(parent, &entry.name)?.map(|found| found.mtime.secs);
        if made.and_then(|secs| u64::try_from(secs).ok()).is_some_and(|secs| secs + DEAD.as_secs() < now) {
            tree::remove(parent, &entry.name)?;
        }
    }
    Ok(())
}

/// Tries it out in a directory of its own, from a thread with a mount namespace of its own: a process that dies half
/// way leaves some empty directories and no mount.
fn probe_in(parent: &OwnedFd, path: &Path, options: &Options, user: bool) -> Result<Found> {
    if !backing::tells_kinds(parent, path)? {
        return Ok(Found { d_type: false, metacopy: false, native_diff: false });
    }
    sweep(parent)?;
    let name = OsString::from(format!("{PREFIX}{:016x}", u64::from_le_bytes(sys::process::random())));
    dir::mkdir(parent, &name, 0o700)?;
    let path = path.join(&name);
    let tried = std::thread::scope(|scope| scope.spawn(|| try_out(&path, options, user)).join());
    tree::remove(parent, &name)?;
    let (metacopy, native_diff) =
        tried.map_err(|_| sys::Error::new("try out overlay at", path, Errno::IO))??;
    Ok(Found { d_type: true, metacopy, native_diff })
}

/// Mounts two layers, changes things in the merged tree, and looks at the upper directory.
fn try_out(path: &Path, options: &Options, user: bool) -> Result<(bool, bool)> {
    let space = if user { "user" } else { "trusted" };
    let attribute = |name: &str| OsString::from(format!("{space}.overlay.{name}"));
    sys::mount::private_namespace()?;
    // Opened in here: from a descriptor of the other namespace no mount of this one is seen.
    let here = &dir::open_path(path)?;
    let make = |name: &str| dir::ensure(here, OsStr::new(name), 0o755);
    let (low, high, up) = (make("low")?, make("high")?, make("up")?);
    make("work")?;
    make("merged")?;
    for fd in [&low, &high] {
        dir::mkdir(fd, OsStr::new("opaque"), 0o755)?;
    }
    xattr::set(&high, OsStr::new("opaque"), &attribute("opaque"), b"y")?;
    dir::mkdir(&low, OsStr::new("moved"), 0o755)?;
    dir::create_file(&low, OsStr::new("file"), 0o600)?;

    let branch = |name: &str| -> sys::Result<Branch> {
        Ok(Branch { fd: sys::mount::open_layer(here, Path::new(name))?, path: name.into() })
    };
    let overlay = Overlay {
        lowers: vec![branch("high")?, branch("low")?],
        upper: Some((branch("up")?, branch("work")?)),
        options: options.clone(),
        home: path,
    };
    overlay.mount(&path.join("merged"))?;
    let merged = dir::open(here, OsStr::new("merged"))?;
    dir::create_file(dir::open(&merged, OsStr::new("opaque"))?, OsStr::new("new"), 0o600)?;
    meta::chmod(&merged, OsStr::new("file"), 0o640)?;
    let renamed = dir::rename(&merged, OsStr::new("moved"), &merged, OsStr::new("redirected"));

    let stays_plain = xattr::get(&up, OsStr::new("opaque"), &attribute("opaque"))?.as_deref() != Some(b"y");
    let refused = renamed.is_err_and(|e| e.errno == Errno::XDEV);
    let metacopy = xattr::get(&up, OsStr::new("file"), &attribute("metacopy"))?.is_some();
    Ok((metacopy, stays_plain && refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Docker's page on OverlayFS, "Prerequisites".
    #[test]
    fn kernels_of_the_pages_are_taken() {
        for (release, fits) in [
            ("4.0.0", true),
            ("3.19.8-generic", false),
            ("3.10.0-514.el7.x86_64", true),
            ("3.10.0-1160.el7.x86_64", true),
            ("3.10.0-327.el7.x86_64", false),
            ("3.10.0-514-generic", false),
        ] {
            assert_eq!(require_release(release).is_ok(), fits, "{release}");
        }
    }

    #[test]
    fn what_a_dead_process_left_goes_and_what_one_works_in_stays() {
        let tmp = tempfile::tempdir().unwrap();
        let (old, new) =
            (tmp.path().join(".probe-0000000000000001"), tmp.path().join(".probe-0000000000000002"));
        std::fs::create_dir_all(old.join("low")).unwrap();
        std::fs::create_dir_all(new.join("low")).unwrap();
        let hours = SystemTime::now() - 2 * DEAD;
        std::fs::File::open(&old).unwrap().set_modified(hours).unwrap();
        sweep(&dir::open_path(tmp.path()).unwrap()).unwrap();
        assert!(!old.exists() && new.exists());
    }
}
