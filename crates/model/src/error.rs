//! The one error type of this crate.

/// Why a text or document is not valid. Where Docker has a message for the case, this is its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that should be an id or a digest is not one. `kind` says which, e.g. `container id`.
    #[error("invalid {kind} {value:?}: expected {expected}")]
    Id {
        /// What the text should have been.
        kind: &'static str,
        /// The text, shortened if it is long.
        value: String,
        /// The form that is valid.
        expected: &'static str,
    },

    /// An image reference that breaks the grammar.
    #[error("invalid reference format")]
    ReferenceFormat,
    /// An image reference with upper-case letters in its repository name.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    ReferenceUppercase(String),
    /// An image reference of 64 hexadecimal digits, which would be taken for an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    ReferenceIsId(String),
    /// A repository name that is longer than 255 bytes.
    #[error("repository name must not be more than 255 characters")]
    ReferenceTooLong,
    /// A tag that breaks the grammar.
    #[error("invalid tag format")]
    TagFormat,
    /// A digest in a reference that has the wrong length for its algorithm.
    #[error("invalid checksum digest length")]
    DigestLength,
    /// A digest in a reference that is not lower-case hexadecimal.
    #[error("invalid checksum digest format")]
    DigestFormat,
    /// A digest of another algorithm than sha256.
    #[error("unsupported digest algorithm")]
    DigestAlgorithm,

    /// A shell pattern that breaks the grammar.
    #[error("syntax error in pattern")]
    Pattern,

    /// A container name that breaks the grammar.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    ContainerName(String),

    /// The name of a volume that breaks the grammar.
    #[error(
        "{0:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )]
    VolumeName(String),
    /// The name of a volume that is only one letter.
    #[error("volume name is too short, names should be at least two alphanumeric characters")]
    VolumeNameShort,
    /// A volume, bind mount or tmpfs that makes no sense; the text is Docker's.
    #[error("{0}")]
    Mount(String),

    /// A document that is not the JSON that it should be.
    #[error("invalid {what}: {why}")]
    Json {
        /// The kind of document, e.g. `image configuration`.
        what: &'static str,
        /// What the parser found, with line and column.
        why: String,
    },
    /// An image configuration without `rootfs` (moby.md §6.1).
    #[error("invalid image JSON, no RootFS key")]
    NoRootfs,
    /// An image configuration whose history names more layers than its rootfs has (moby.md §6.1).
    #[error("too many non-empty layers in History section")]
    HistoryTooLong,

    /// A document whose media type and fields contradict each other (CVE-2021-41190), or of a type that
    /// was not asked for.
    #[error("invalid manifest: {0}")]
    Manifest(String),
    /// A platform that is not `os[/arch[/variant]]`.
    #[error("{0:?} is an invalid platform: expected os/architecture or os/architecture/variant")]
    Platform(String),

    /// A `--change` instruction that Docker refuses too; the text is Docker's.
    #[error("{0}")]
    Change(String),

    /// A time that is not RFC 3339, or out of range.
    #[error("invalid time {0:?}: expected RFC 3339, for example 2006-01-02T15:04:05Z")]
    Time(String),
    /// A size that is not a number with a unit.
    #[error("invalid size: '{0}'")]
    Size(String),
    /// A size with an unknown unit.
    #[error("invalid suffix: '{0}'")]
    SizeSuffix(String),
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Id`] for `value`, quoting at most 80 characters of it.
    pub(crate) fn id(kind: &'static str, value: &str, expected: &'static str) -> Self {
        let mut quoted: String = value.chars().take(80).collect();
        if quoted.len() < value.len() {
            quoted.push('…');
        }
        Error::Id { kind, value: quoted, expected }
    }

    /// An [`Error::Json`] from a parser's error.
    pub(crate) fn json(what: &'static str, why: &serde_json::Error) -> Self {
        Error::Json { what, why: why.to_string() }
    }
}
