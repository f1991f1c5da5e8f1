//! What can go wrong with a server.

use std::io;
use std::time::Duration;

use model::Digest;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error was caused by.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A request that failed, or an answer that was refused.
///
/// `what` tells operation and subject, such as `manifest of localhost:5000/x:latest`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No answer, or one that broke off.
    #[error("{what}: {source}")]
    Transport {
        /// What was attempted.
        what: String,
        /// Whether it may work the next time.
        transient: bool,
        /// Why it failed.
        source: Cause,
    },
    /// The server's answer is no success.
    #[error("{what}: {}", refusal(*status, message))]
    Status {
        /// What was attempted.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The codes of the errors in the answer's body (`MANIFEST_UNKNOWN`).
        codes: Vec<String>,
        /// What the server says, as Docker prints it: `manifest unknown: manifest unknown`. Empty if it says nothing.
        message: String,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
        /// Whether a token was refused that cannot be replaced while a body is being sent: the whole may work with the
        /// next one.
        stale_token: bool,
    },
    /// The server's answer breaks the rules, or one of ours.
    #[error("{what}: {reason}")]
    Protocol {
        /// What was attempted.
        what: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Bytes that are not those that were asked for.
    #[error("{what}: the digest is {actual}, not {expected}")]
    Digest {
        /// What was attempted.
        what: String,
        /// The digest that was wanted.
        expected: Digest,
        /// That of what came.
        actual: Digest,
    },
    /// A document passes its limit.
    #[error("{what}: more than {limit} bytes")]
    TooLarge {
        /// What was attempted.
        what: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// What was to be sent cannot be read.
    #[error("{what}: {source}")]
    Input {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Credentials cannot be had.
    #[error("credentials for {server}: {source}")]
    Credentials {
        /// The server they are for.
        server: String,
        /// Why it failed.
        source: Cause,
    },
    /// A setting, a certificate or a name cannot be used.
    #[error("{what}: {reason}")]
    Setting {
        /// Which.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Reading a [`Body`](crate::Body) of `what` failed with `source`. Transient.
    pub fn interrupted(what: impl Into<String>, source: io::Error) -> Self {
        Error::Transport { what: what.into(), transient: true, source: source.into() }
    }

    /// Credentials for `server` cannot be had, because of `source`.
    pub fn credentials(server: impl Into<String>, source: impl Into<Cause>) -> Self {
        Error::Credentials { server: server.into(), source: source.into() }
    }

    pub(crate) fn protocol(what: &str, reason: impl Into<String>) -> Self {
        Error::Protocol { what: what.to_owned(), reason: reason.into() }
    }

    pub(crate) fn setting(what: impl Into<String>, reason: impl ToString) -> Self {
        Error::Setting { what: what.into(), reason: reason.to_string() }
    }

    /// Whether the same may work the next time: broken connections, servers that are busy, wrong bytes.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Transport { transient, .. } => *transient,
            Error::Status { status, stale_token, .. } => {
                *stale_token || matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
            }
            Error::Digest { .. } => true,
            _ => false,
        }
    }

    /// When the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The HTTP status of the answer, if there was one and it is no success.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the server said, as Docker prints it (`manifest unknown: manifest unknown`); empty if nothing.
    pub fn server_message(&self) -> &str {
        match self {
            Error::Status { message, .. } => message,
            _ => "",
        }
    }

    /// Whether the server has no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the server wants to know who asks, or did not believe it.
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(401)
    }

    /// Whether the server knows who asks and says no.
    pub fn is_denied(&self) -> bool {
        match self {
            Error::Status { status, codes, .. } => {
                *status == 403 || codes.iter().any(|code| code == "DENIED")
            }
            _ => false,
        }
    }
}

fn refusal(status: u16, message: &str) -> String {
    if message.is_empty() { format!("the server answered with status {status}") } else { message.to_owned() }
}
