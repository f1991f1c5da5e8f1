//! The log of changes to the file system, for crash tests.
//!
//! While a recorder is set ([`start`]), every changing call of this crate reports what it did after it succeeded (a
//! write: before). A test replays any prefix of the log into an empty directory, leaving out the data that no sync
//! had made durable, and has the disk as a power cut at that moment could have left it. Without a recorder the cost
//! is one relaxed load per call.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use crate::{AsFd, FileKind, Time};

/// One change. Paths are absolute, as they were at the time; `ino` tells files apart that were renamed since.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are the arguments of the calls
pub enum Op {
    Create { path: PathBuf, mode: u32, ino: u64 },
    Mkdir { path: PathBuf, mode: u32 },
    Subvolume { path: PathBuf, of: Option<PathBuf> },
    DestroySubvolume { path: PathBuf },
    Symlink { path: PathBuf, target: OsString },
    Link { from: PathBuf, to: PathBuf },
    Mknod { path: PathBuf, kind: FileKind, mode: u32, major: u32, minor: u32 },
    Rename { from: PathBuf, to: PathBuf },
    Exchange { from: PathBuf, to: PathBuf },
    Unlink { path: PathBuf },
    Rmdir { path: PathBuf },
    Write { path: PathBuf, ino: u64, offset: u64, data: Box<[u8]> },
    Truncate { path: PathBuf, ino: u64, len: u64 },
    Chown { path: PathBuf, uid: u32, gid: u32 },
    Chmod { path: PathBuf, mode: u32 },
    SetTimes { path: PathBuf, atime: Time, mtime: Time },
    SetXattr { path: PathBuf, key: OsString, value: Box<[u8]> },
    RemoveXattr { path: PathBuf, key: OsString },
    SyncFile { path: PathBuf, ino: u64 },
    SyncDir { path: PathBuf },
    SyncFs { path: PathBuf },
}

impl Op {
    /// Where it took place; of a rename or link, where it led.
    pub fn path(&self) -> &Path {
        match self {
            Self::Rename { to, .. } | Self::Exchange { to, .. } | Self::Link { to, .. } => to,
            Self::Create { path, .. }
            | Self::Mkdir { path, .. }
            | Self::Subvolume { path, .. }
            | Self::DestroySubvolume { path }
            | Self::Symlink { path, .. }
            | Self::Mknod { path, .. }
            | Self::Unlink { path }
            | Self::Rmdir { path }
            | Self::Write { path, .. }
            | Self::Truncate { path, .. }
            | Self::Chown { path, .. }
            | Self::Chmod { path, .. }
            | Self::SetTimes { path, .. }
            | Self::SetXattr { path, .. }
            | Self::RemoveXattr { path, .. }
            | Self::SyncFile { path, .. }
            | Self::SyncDir { path }
            | Self::SyncFs { path } => path,
        }
    }
}

/// Receives the changes, in order, from any thread.
pub type Recorder = Arc<dyn Fn(Op) + Send + Sync>;

static ON: AtomicBool = AtomicBool::new(false);
static RECORDER: RwLock<Option<Recorder>> = RwLock::new(None);

/// Sends every change of this process to `recorder` until [`stop`].
pub fn start(recorder: Recorder) {
    if let Ok(mut slot) = RECORDER.write() {
        *slot = Some(recorder);
        ON.store(true, Ordering::SeqCst);
    }
}

/// Ends the recording.
pub fn stop() {
    ON.store(false, Ordering::SeqCst);
    if let Ok(mut slot) = RECORDER.write() {
        *slot = None;
    }
}

/// Reports a change; `op` is built only while somebody listens.
pub(crate) fn log(op: impl FnOnce() -> Op) {
    if ON.load(Ordering::Relaxed)
        && let Ok(slot) = RECORDER.read()
        && let Some(recorder) = slot.as_ref()
    {
        recorder(op());
    }
}

pub(crate) fn path(dir: impl AsFd, name: &OsStr) -> PathBuf {
    crate::error::path_of(dir).join(name)
}

pub(crate) fn ino(fd: impl AsFd) -> u64 {
    crate::meta::of_fd(fd).map_or(0, |m| m.ino)
}
