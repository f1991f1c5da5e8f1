//! Who one is to a server: Docker's `config.json`, and the programs that keep secrets for it.
//!
//! | file | subject |
//! | --- | --- |
//! | `config_file.rs` | the file with its helpers: find, store, erase |
//! | `config.rs` | what stands in it |
//! | `entry.rs` | the credential of one server |
//! | `members.rs` | JSON objects that keep what they do not know |
//! | `key.rs` | the names under which servers stand there |
//! | `file.rs` | reading and replacing the file |
//! | `helper.rs` | `docker-credential-…` |

mod config;
mod config_file;
mod entry;
mod file;
mod helper;
mod key;
mod members;

use std::io;
use std::path::{Path, PathBuf};

pub use config::Config;
pub use config_file::{ConfigFile, Kept};
pub use helper::Helpers;
pub use key::{DOCKER_HUB, host, key};

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with credentials. No error tells a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read or replaced.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong there.
        reason: String,
    },
    /// A credential helper failed.
    #[error("{program} {operation} for {server}: {reason}")]
    Helper {
        /// The helper.
        program: String,
        /// What it was asked for: `get`, `store` or `erase`.
        operation: &'static str,
        /// For which server.
        server: String,
        /// What it said, or why it was not asked.
        reason: String,
    },
}

impl Error {
    fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests;
