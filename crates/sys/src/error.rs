//! Errors that read like a line of strace: the operation, the path, the cause.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A system call that failed: what was attempted, on which path, and why.
#[derive(Debug, thiserror::Error)]
#[error("{op} {}: {}", path.display(), describe(*errno))]
#[non_exhaustive]
pub struct Error {
    /// The operation in words, such as `create` or `mount overlay at`.
    pub op: &'static str,
    /// The path as far as it is known.
    pub path: PathBuf,
    /// The kernel's answer.
    pub errno: Errno,
}

impl Error {
    /// An error of `op` on `path`.
    pub fn new(op: &'static str, path: impl Into<PathBuf>, errno: Errno) -> Self {
        Self { op, path: path.into(), errno }
    }

    /// Whether the thing was not there.
    pub fn is_not_found(&self) -> bool {
        self.errno == Errno::NOENT
    }

    /// Whether the name was taken.
    pub fn is_exists(&self) -> bool {
        matches!(self.errno, Errno::EXIST | Errno::NOTEMPTY)
    }

    /// Whether the device is full, by bytes, inodes or quota.
    pub fn is_full(&self) -> bool {
        matches!(self.errno, Errno::NOSPC | Errno::DQUOT)
    }
}

impl From<Error> for std::io::Error {
    fn from(e: Error) -> Self {
        std::io::Error::new(std::io::Error::from(e.errno).kind(), e)
    }
}

/// The kernel's message without Rust's `(os error 2)`.
fn describe(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// Adds the operation and the path to a bare errno; the path is worked out only when something failed.
pub trait At<T> {
    /// Context of a call on a path.
    fn at(self, op: &'static str, path: &Path) -> Result<T>;
    /// Context of a call on a name in a directory, whose own path is asked of `/proc`.
    fn at_name(self, op: &'static str, dir: impl AsFd, name: &OsStr) -> Result<T>;
    /// Context of a call on a descriptor.
    fn at_fd(self, op: &'static str, fd: impl AsFd) -> Result<T>;
}

impl<T> At<T> for std::result::Result<T, Errno> {
    fn at(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|errno| Error::new(op, path, errno))
    }

    fn at_name(self, op: &'static str, dir: impl AsFd, name: &OsStr) -> Result<T> {
        self.map_err(|errno| Error::new(op, path_of(dir).join(name), errno))
    }

    fn at_fd(self, op: &'static str, fd: impl AsFd) -> Result<T> {
        self.map_err(|errno| Error::new(op, path_of(fd), errno))
    }
}

/// The error of a call of the standard library.
pub(crate) fn error_from(op: &'static str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(op, path, Errno::from_io_error(error).unwrap_or(Errno::IO))
}

/// The path behind a descriptor, for messages and for the record only: it can be outdated at once.
pub(crate) fn path_of(fd: impl AsFd) -> PathBuf {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    std::fs::read_link(&link).unwrap_or_else(|_| PathBuf::from(link))
}
