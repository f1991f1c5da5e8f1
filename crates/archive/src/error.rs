//! What can be wrong with a stream.

use std::io;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An archive, a tar-split record or a compressed stream that was refused, or a failed read or write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tar archive is malformed or passes a limit.
    #[error("tar archive, byte {at}: {fault}")]
    Tar {
        /// Offset in the archive where the offending block or record ends or is cut off.
        at: u64,
        /// What is wrong there.
        fault: TarFault,
    },
    /// An entry cannot be written as tar.
    #[error("tar entry {path:?}: {reason}")]
    Unwritable {
        /// Name of the entry, lossily decoded.
        path: String,
        /// What forbids it.
        reason: &'static str,
    },
    /// Two entries of a layer have the same cleaned name; tar-split cannot record them (moby.md §5).
    #[error("duplicates of file paths not supported: {path:?} occurs more than once in the layer")]
    DuplicatePath {
        /// The name as in the archive, lossily decoded.
        path: String,
    },
    /// A record of tar-split metadata cannot be understood.
    #[error("tar-split record {record}: {reason}")]
    TarSplit {
        /// Number of the record, from 0.
        record: u64,
        /// What is wrong.
        reason: String,
    },
    /// A compressed stream passes a limit, most likely a compression bomb.
    #[error("{kind} stream expands to more than the limit {limit_name} = {limit} allows")]
    Bomb {
        /// Name of the compression.
        kind: &'static str,
        /// Name of the field of [`crate::compress::Limits`] to raise.
        limit_name: &'static str,
        /// Its value.
        limit: u64,
    },
    /// Reading or writing failed.
    #[error("{operation}: {source}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { operation, source }
    }
}

/// What is wrong with a tar archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarFault {
    /// The header's checksum does not match, neither as unsigned nor as signed sum.
    #[error("not a tar header (checksum mismatch)")]
    Checksum,
    /// A numeric header field holds no number, or one beyond 63 bits.
    #[error("bad number in header field {0}")]
    Number(&'static str),
    /// The size of an entry that has a payload is negative.
    #[error("negative size")]
    NegativeSize,
    /// A user or group id does not fit 32 bits.
    #[error("{field} {value} is not a user or group id")]
    Id {
        /// `uid` or `gid`.
        field: &'static str,
        /// The number in the archive.
        value: i64,
    },
    /// A single zero block is followed by something else than a second one.
    #[error("a zero block stands between entries")]
    LoneZeroBlock,
    /// The archive ends too early.
    #[error("the archive ends inside {0}")]
    Truncated(&'static str),
    /// A PAX extended header is not a list of `length key=value` records.
    #[error("malformed PAX record")]
    PaxRecord,
    /// The value of a PAX record is not what its key demands.
    #[error("bad value of PAX record {0:?}")]
    PaxValue(String),
    /// The map of a sparse file is unusable.
    #[error("bad sparse map: {0}")]
    Sparse(&'static str),
    /// Something is larger than a field of [`crate::tar::Limits`] allows.
    #[error("{what} of {size} is over the limit {limit_name} = {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// Name of the field.
        limit_name: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The parser was fed after it had refused the archive.
    #[error("the archive was refused before")]
    Refused,
}
