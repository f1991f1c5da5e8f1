//! `layercake` without root: where the user's own store is, and how a command gets into the user namespace that
//! belongs to it ([`sys::userns`]).
//!
//! `main` calls, before it starts any thread:
//! 1. [`hold_if_asked`], before it looks at its arguments: the process may be a holder and no command;
//! 2. [`enter`], when it knows the store; the [`Session`] lives as long as the command.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sys::userns::{self, Holding, Ids, Membership, Obstacle, Privilege};
use sys::{Errno, OwnedFd};

/// The hidden first argument of a holder. Its store and record follow.
const HOLD: &str = "hold-namespaces-of";

/// The store of root.
const ROOT_STORE: &str = "/var/lib/layercake";

/// The private directory of layercake in a store, and the holder's record in it.
const PRIVATE: &str = "layercake";
const RECORD: &str = "holder";

/// What keeps a user from a store or a user namespace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no directory for the user's data.
    #[error("where is your store? set HOME or XDG_DATA_HOME, or name it with --root")]
    NoHome,
    /// The store is somebody else's.
    #[error(
        "the store {} belongs to user {owner}, and stores of different users never mix; \
         become that user, or choose another store with --root", path.display()
    )]
    NotYours {
        /// The store.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The directory of the store cannot be used.
    #[error("cannot use the store: {0}")]
    Store(#[source] sys::Error),
    /// There is no user namespace to be had.
    #[error(
        "without root, layercake works in a user namespace, and there is none to be had: {cause}\n{advice}"
    )]
    NoNamespace {
        /// What the kernel refused.
        cause: sys::Error,
        /// What to do.
        advice: String,
    },
}

/// Where the command works.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store, an absolute or relative path.
    pub root: PathBuf,
    /// Whether the command may make the store. If not, and there is none, the process stays as it is.
    pub create: bool,
}

/// What the command may do, and how the user sees its mounts. Keep it until the command ends.
#[derive(Debug)]
#[must_use = "the mounts of the command may go when this is dropped"]
pub struct Session {
    privilege: Privilege,
    membership: Option<Membership>,
}

impl Session {
    /// What the process may do from now on.
    pub fn privilege(&self) -> Privilege {
        self.privilege
    }

    /// Whether this is an ordinary user's command, in the namespaces of his store.
    pub fn is_rootless(&self) -> bool {
        self.membership.is_some()
    }

    /// A sentence for `info` where files can have one owner only: why, and what would change it. The change counts
    /// when nothing of the store is mounted.
    pub fn note(&self) -> Option<&str> {
        match (&self.membership, self.privilege) {
            (Some(membership), Privilege::UserNamespace { ids: Ids::One }) => membership.note(),
            _ => None,
        }
    }

    /// The path by which the user's other programs reach what this command knows as `path`, say a mounted container.
    /// Without a namespace it is the same path. See [`Membership::outside_path`] for its limits.
    pub fn outside_path(&self, path: &Path) -> PathBuf {
        match &self.membership {
            Some(membership) => membership.outside_path(path),
            None => path.to_owned(),
        }
    }
}

/// Where the store is if nothing names one: `/var/lib/layercake` for root, `$XDG_DATA_HOME/layercake` for others, and
/// `~/.local/share/layercake` without that variable (XDG Base Directory Specification, which ignores relative paths).
///
/// User 0 of a user namespace is root where the machine's files are his, as in a container; where they are not, as
/// under `podman unshare`, he is the user who made the namespace.
///
/// # Errors
/// [`Error::NoHome`].
pub fn default_store(xdg_data_home: Option<&OsStr>, home: Option<&OsStr>) -> Result<PathBuf, Error> {
    if is_root() { Ok(ROOT_STORE.into()) } else { user_store(xdg_data_home, home) }
}

/// Whether this is root, and the machine's files are his.
pub fn is_root() -> bool {
    let owns_machine = std::fs::metadata("/").is_ok_and(|meta| meta.uid() == 0);
    sys::process::euid() == 0 && owns_machine
}

fn user_store(xdg_data_home: Option<&OsStr>, home: Option<&OsStr>) -> Result<PathBuf, Error> {
    let absolute =
        |value: Option<&OsStr>| value.map(Path::new).filter(|p| p.is_absolute()).map(Path::to_owned);
    let data = absolute(xdg_data_home).or_else(|| Some(absolute(home)?.join(".local/share")));
    Ok(data.ok_or(Error::NoHome)?.join("layercake"))
}

/// Lives the life of a holder if this process was started as one, and says how it ended; `None` for a command.
/// Call it first in `main`.
pub fn hold_if_asked() -> Option<ExitCode> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.as_slice() {
        [mode, store, record] if mode == HOLD => {
            Some(match userns::hold(Path::new(store), Path::new(record)) {
                Ok(()) => ExitCode::SUCCESS,
                // Nobody reads its words: what went wrong at the start it has told the command that started it.
                Err(_) => ExitCode::FAILURE,
            })
        }
        _ => None,
    }
}

/// Takes an ordinary user's command into the namespaces of his store; the process stays the same one, with its
/// working directory, umask and environment. Does nothing for root, of the machine or of a user namespace.
/// Call it before the first thread.
///
/// A store that is not there is made if [`Options::create`] says so, in a directory of the user's (0710, new ones
/// above it 0700); one that is there gets its private directory `layercake` (0700) in any case.
///
/// # Errors
/// [`Error::NotYours`], [`Error::Store`] and [`Error::NoNamespace`], whose text says what to do.
pub fn enter(options: &Options) -> Result<Session, Error> {
    let privilege = userns::privilege().map_err(Error::Store)?;
    if privilege != Privilege::None {
        return Ok(Session { privilege, membership: None });
    }
    let Some(store) = open_store(options)? else { return Ok(Session { privilege, membership: None }) };
    let holding = Holding {
        record: store.join(PRIVATE).join(RECORD),
        store,
        program: crate::union::this_program(),
        args: vec![HOLD.into()],
    };
    let membership = userns::enter(&holding).map_err(|cause| match holding.record.parent() {
        // A read-only or full file system, say, which no advice about namespaces helps.
        Some(private) if cause.path.starts_with(private) => Error::Store(cause),
        _ => Error::NoNamespace { advice: advice(&cause), cause },
    })?;
    let privilege = userns::privilege().map_err(Error::Store)?;
    Ok(Session { privilege, membership: Some(membership) })
}

/// Keeps the namespaces that this process is in for as long as the lock is there, if a holder keeps them for the store
/// at `root`.
///
/// # Errors
/// The holder's files cannot be used.
pub fn keep(root: &Path) -> Result<Option<sys::lock::Lock>, Error> {
    let record = root.join(PRIVATE).join(RECORD);
    let ours = matches!(userns::privilege().map_err(Error::Store)?, Privilege::UserNamespace { .. });
    if !ours || !record.exists() {
        return Ok(None);
    }
    userns::keep(&record).map(Some).map_err(Error::Store)
}

/// The real path of the store, with its private directory; `None` if it is not there and shall not be made.
fn open_store(options: &Options) -> Result<Option<PathBuf>, Error> {
    let path = std::path::absolute(&options.root).map_err(|e| {
        let errno = Errno::from_io_error(&e).unwrap_or(Errno::INVAL);
        Error::Store(sys::Error::new("open directory", &options.root, errno))
    })?;
    let root = match sys::dir::open_path(&path) {
        Err(e) if e.is_not_found() && !options.create => return Ok(None),
        Err(e) if e.is_not_found() => make(&path, 0o710).map_err(Error::Store)?,
        other => other.map_err(Error::Store)?,
    };
    let owner = sys::meta::of_fd(&root).map_err(Error::Store)?.uid;
    if owner != sys::process::euid() {
        return Err(Error::NotYours { path, owner });
    }
    sys::dir::ensure(&root, OsStr::new(PRIVATE), 0o700).map_err(Error::Store)?;
    // The mount table knows real paths.
    Ok(Some(std::fs::canonicalize(&path).unwrap_or(path)))
}

/// Makes a directory, and those above it that are missing, which are the user's alone.
fn make(path: &Path, mode: u32) -> sys::Result<OwnedFd> {
    match (sys::dir::open_path(path), path.parent(), path.file_name()) {
        (Err(e), Some(parent), Some(name)) if e.is_not_found() => {
            sys::dir::ensure(make(parent, 0o700)?, name, mode)
        }
        (other, _, _) => other,
    }
}

fn advice(cause: &sys::Error) -> String {
    match (Obstacle::find(), cause.errno) {
        (Some(obstacle), _) => obstacle.to_string(),
        (None, Errno::PERM | Errno::ACCESS) => {
            "a container, a sandbox or a chroot around this process may forbid it; for Docker and Podman see \
             --security-opt seccomp and --privileged"
                .into()
        }
        (None, Errno::NOSPC | Errno::USERS) => {
            "too many user namespaces exist; as root, raise user.max_user_namespaces".into()
        }
        (None, Errno::NOSYS | Errno::INVAL) => "this kernel has no user namespaces (CONFIG_USER_NS)".into(),
        (None, _) => "run it as root, or see user_namespaces(7)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_store_is_where_his_data_is() {
        let store = |xdg: &'static str, home: &'static str| {
            let set = |value: &'static str| Some(OsStr::new(value)).filter(|v| !v.is_empty());
            user_store(set(xdg), set(home))
        };
        assert_eq!(store("/data", "/home/u").unwrap(), Path::new("/data/layercake"));
        assert_eq!(store("", "/home/u").unwrap(), Path::new("/home/u/.local/share/layercake"));
        assert_eq!(store("relative", "/home/u").unwrap(), Path::new("/home/u/.local/share/layercake"));
        assert!(matches!(store("", ""), Err(Error::NoHome)));
    }
}
