//! Docker daemons that work on the same data root.
//!
//! A daemon keeps databases open below its data root and holds an exclusive flock(2) on each for as long as it lives:
//! `volumes/metadata.db`, `buildkit/*.db`, and with networks `network/files/local-kv.db`. A shared lock on one of them
//! therefore fails exactly while a daemon runs, and a daemon that starts while we hold one waits for us.
//!
//! Limitation: a starting daemon reads layers and images some milliseconds before it takes the first of these locks.
//! What we publish in that moment it sees only after its next start.

use std::path::{Path, PathBuf};

use sys::lock::{Lock, Mutual};

use crate::error::{Error, Result};

/// The database of the volumes' labels.
pub(crate) const VOLUMES: &str = "volumes/metadata.db";

/// A daemon at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The database that it has locked.
    pub file: PathBuf,
    /// Its process, if the kernel tells.
    pub pid: Option<u32>,
}

/// Shared locks on the databases: no daemon starts while this is held.
#[derive(Debug)]
pub(crate) struct Guard {
    _locks: Vec<Lock>,
}

/// The databases that are there, below the data root.
pub(crate) fn databases(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [VOLUMES, "network/files/local-kv.db"].map(PathBuf::from).into();
    if let Ok(dir) = sys::dir::open_path(&root.join("buildkit"))
        && let Ok(names) = crate::small::names(dir)
    {
        found.extend(
            names.iter().filter(|name| name.ends_with(".db")).map(|name| Path::new("buildkit").join(name)),
        );
    }
    found.retain(|file| sys::meta::of_path(&root.join(file)).is_ok_and(|m| m.kind == sys::FileKind::File));
    found
}

/// Which daemon works on the data root, if any. Databases that we may not open tell nothing.
pub(crate) fn holder(root: &Path) -> Result<Option<Holder>> {
    for file in databases(root) {
        let path = root.join(file);
        match sys::lock::try_existing(&path, Mutual::Shared) {
            Ok(None) => return Ok(Some(Holder { pid: pid_of_holder(&path), file: path })),
            Ok(Some(_)) => {}
            Err(e) if e.is_not_found() || e.errno == sys::Errno::ACCESS => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(None)
}

/// Fails if a daemon works on the data root.
pub(crate) fn refuse_if_live(root: &Path) -> Result<()> {
    match holder(root)? {
        None => Ok(()),
        Some(Holder { file, pid }) => Err(Error::DaemonRunning { file, pid }),
    }
}

/// Keeps daemons from starting, or fails if one works on the data root.
pub(crate) fn guard(root: &Path) -> Result<Guard> {
    let mut locks = Vec::new();
    for file in databases(root) {
        let path = root.join(file);
        match sys::lock::try_existing(&path, Mutual::Shared) {
            Ok(Some(lock)) => locks.push(lock),
            Ok(None) => return Err(Error::DaemonRunning { pid: pid_of_holder(&path), file: path }),
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Guard { _locks: locks })
}

fn pid_of_holder(path: &Path) -> Option<u32> {
    let meta = sys::meta::of_path(path).ok()?;
    pid_in(&std::fs::read_to_string("/proc/locks").ok()?, meta.dev, meta.ino)
}

/// Finds the holder of an exclusive flock in the text of `/proc/locks`: `1: FLOCK ADVISORY WRITE pid maj:min:inode …`.
fn pid_in(locks: &str, dev: u64, ino: u64) -> Option<u32> {
    // The kernel's split of a device number into major and minor, as in gnu_dev_major(3).
    let major = (dev >> 8 & 0xfff) | (dev >> 32 & 0xffff_f000);
    let minor = (dev & 0xff) | (dev >> 12 & 0xffff_ff00);
    let file = format!("{major:02x}:{minor:02x}:{ino}");
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let flock = words.next() == Some("FLOCK") && words.next().is_some() && words.next() == Some("WRITE");
        let pid = words.next()?;
        (flock && words.next() == Some(&file)).then(|| pid.parse().ok().filter(|pid| *pid != 0)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::small::os;

    fn root_with_database() -> (tempfile::TempDir, sys::OwnedFd) {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("buildkit")).unwrap();
        std::fs::write(tmp.path().join("buildkit/cache.db"), "").unwrap();
        std::fs::write(tmp.path().join("buildkit/executor"), "").unwrap();
        let dir = sys::dir::open_path(&tmp.path().join("buildkit")).unwrap();
        (tmp, dir)
    }

    #[test]
    fn a_locked_database_is_a_live_daemon() {
        let (tmp, buildkit) = root_with_database();
        assert_eq!(holder(tmp.path()).unwrap(), None);
        let lock = sys::lock::take(&buildkit, os("cache.db"), Mutual::Exclusive).unwrap();
        let found = holder(tmp.path()).unwrap().unwrap();
        assert_eq!(found.file, tmp.path().join("buildkit/cache.db"));
        assert!(found.pid.is_none_or(|pid| pid == std::process::id()));
        let refusal = guard(tmp.path()).unwrap_err().to_string();
        assert!(refusal.contains("cache.db is locked"), "{refusal}");
        drop(lock);
        refuse_if_live(tmp.path()).unwrap();
    }

    #[test]
    fn the_guard_keeps_a_daemon_from_starting_and_lets_others_guard_too() {
        let (tmp, buildkit) = root_with_database();
        let guards = [guard(tmp.path()).unwrap(), guard(tmp.path()).unwrap()];
        let daemon = || sys::lock::try_take(&buildkit, os("cache.db"), Mutual::Exclusive).unwrap();
        assert!(daemon().is_none());
        drop(guards);
        assert!(daemon().is_some());
    }

    #[test]
    fn nothing_is_created_by_looking() {
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(holder(tmp.path()).unwrap(), None);
        let _guard = guard(tmp.path()).unwrap();
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_holder_is_read_from_the_kernels_list() {
        let locks = "1: FLOCK  ADVISORY  WRITE 25902 fe:00:756481 0 EOF\n\
                     8: OFDLCK ADVISORY  READ -1 00:06:3 0 EOF\n\
                     9: FLOCK  ADVISORY  READ 7 fe:00:5 0 EOF\n";
        assert_eq!(pid_in(locks, 0xfe00, 756_481), Some(25902));
        assert_eq!(pid_in(locks, 0xfe00, 5), None);
        assert_eq!(pid_in(locks, 0x0006, 3), None);
        assert_eq!(pid_in("nonsense", 0, 0), None);
    }
}
