//! What the kernel's OverlayFS and the file system do here, tried out as Docker tries it (moby.md §8.2).

use std::ffi::{OsStr, OsString};
use std::path::Path;

use sys::mount::{Branch, Overlay};
use sys::{Errno, OwnedFd, dir, meta, tree, xattr};

use super::{KernelOverlay, Options, Overlay2, options};
use crate::select::Config;
use crate::{Error, Result, aside};

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
    /// Whether this process can mount an overlay on the data root's file system; the reason if not.
    pub(crate) fn supported(config: &Config) -> Result<(), String> {
        let probe = || {
            let root = dir::open_path(&config.root)?;
            Ok(probe_in(&root, &config.root, &options(config.user_namespace), config.user_namespace)?.d_type)
        };
        match probe() {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err("the file system does not tell the kinds of directory entries (d_type)".to_owned())
            }
            Err::<_, Error>(e) => Err(e.to_string()),
        }
    }
}

/// Tries out the home's file system with the options of this driver's mounts.
pub(super) fn probe(home: &OwnedFd, path: &Path, union: &KernelOverlay) -> Result<Found> {
    let beside = dir::ensure(home, OsStr::new(aside::NAME), 0o700)?;
    probe_in(&beside, &path.join(aside::NAME), union.options(), union.user_namespace)
}

/// Tries it out in a directory of its own, from a thread with a mount namespace of its own: a process that dies half
/// way leaves some empty directories and no mount.
fn probe_in(parent: &OwnedFd, path: &Path, options: &Options, user: bool) -> Result<Found> {
    let name = OsString::from(format!("probe-{:016x}", u64::from_le_bytes(sys::process::random())));
    dir::mkdir(parent, &name, 0o700)?;
    let d_type = dir::list(parent)?.iter().any(|e| e.name == name && e.kind.is_some());
    let path = path.join(&name);
    let tried = std::thread::scope(|scope| scope.spawn(|| try_out(&path, options, user)).join());
    tree::remove(parent, &name)?;
    let (metacopy, native_diff) =
        tried.map_err(|_| sys::Error::new("try out overlay at", path, Errno::IO))??;
    Ok(Found { d_type, metacopy, native_diff })
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
