//! What can go wrong with a runtime and the containers that it runs.

use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a container or a process in it does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No runtime is installed.
    #[error("no OCI runtime is installed: install crun or runc, or name one with --runtime")]
    NoRuntime,
    /// The runtime that was named is not installed.
    #[error("unknown or invalid runtime name: {0}: install it, or give the path of its program")]
    UnknownRuntime(String),
    /// The program to run is not in the container.
    #[error("OCI runtime {op} failed: exec: \"{program}\": {why}")]
    NotFound {
        /// `create` or `exec`.
        op: &'static str,
        /// The program, as it was named.
        program: String,
        /// What the runtime says of it, in Docker's words.
        why: &'static str,
    },
    /// The program is there and cannot be run.
    #[error("OCI runtime {op} failed: exec: \"{program}\": {why}")]
    NotRunnable {
        /// `create` or `exec`.
        op: &'static str,
        /// The program, as it was named.
        program: String,
        /// Why.
        why: &'static str,
    },
    /// The runtime failed otherwise.
    #[error("OCI runtime {op} failed: {runtime}: {message}")]
    Failed {
        /// `create`, `exec`, `delete`, …
        op: &'static str,
        /// The runtime's name.
        runtime: String,
        /// What it says.
        message: String,
    },
    /// Something that was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A container's files are not what they should be.
    #[error("{0}")]
    User(String),
    /// The other side of the monitor's socket said what nobody says.
    #[error("the monitor of the container cannot be understood: {0}")]
    Wire(String),
    /// A document could not be written.
    #[error("write {what}: {source}")]
    Json {
        /// Which.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// From the kernel.
    #[error(transparent)]
    Sys(#[from] sys::Error),
    /// From a call of the standard library.
    #[error("{op} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err` on calls of the standard library.
    pub(crate) fn io(op: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { op, path, source }
    }

    /// For `map_err` on system calls.
    pub(crate) fn errno<E: Into<std::io::Error>>(
        op: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { op, path, source: source.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// Docker's exit code for it: 127 if the program is not there, 126 if it cannot be run, else 125.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotRunnable { .. } => 126,
            _ => 125,
        }
    }
}
