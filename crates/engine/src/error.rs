//! What can go wrong with a verb. Where Docker has a message for the case, this is its text.

use std::path::Path;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a verb failed. Unless a variant says otherwise, the store is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No image of that name or ID.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// No container of that name or ID.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// Neither an image nor a container of that name or ID.
    #[error("No such object: {0}")]
    NoSuchObject(String),
    /// No volume of that name.
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    /// Something else needs or holds what was asked for.
    #[error("{0}")]
    Conflict(String),
    /// The user's words make no sense.
    #[error("{0}")]
    Invalid(String),
    /// A container could not be started; its monitor says why.
    #[error("{message}")]
    NotStarted {
        /// Docker's exit code: 127 if the program is not there, 126 if it cannot be run, else 125.
        code: u8,
        /// Why.
        message: String,
    },
    /// An image's layer is not what its configuration says.
    #[error(
        "layer {name}: its content has the digest {found}, the image says {expected}: the archive is damaged or was tampered with"
    )]
    WrongDiffId {
        /// The layer's name in the archive.
        name: String,
        /// The DiffID that the configuration names.
        expected: model::DiffId,
        /// The digest of what the archive holds.
        found: model::DiffId,
    },
    /// A registry's blob is not what was asked for.
    #[error("blob {expected}: what the registry sent has the digest {found}")]
    WrongBlob {
        /// The digest that the manifest names.
        expected: model::Digest,
        /// The digest of what came.
        found: model::Digest,
    },
    /// A layer could not be unpacked.
    #[error("layer {name}: {source}")]
    Layer {
        /// The layer's name in the archive.
        name: String,
        /// Why.
        source: Box<Error>,
    },
    /// A layer that was to be shared was removed meanwhile; trying again helps.
    #[error("layer {0} was removed while it was about to be used: try again")]
    LayerVanished(model::ChainId),
    /// What a Dockerfile has wrong, with its place.
    #[error(transparent)]
    Dockerfile(#[from] dockerfile::Error),
    /// A step of a build failed.
    #[error("{source}")]
    Step {
        /// The lines of the Dockerfile, as BuildKit shows them; ends in a newline.
        excerpt: String,
        /// Why.
        source: Box<Error>,
    },
    /// A base image cannot be had.
    #[error("{name}: failed to resolve source metadata for {canonical}: {source}")]
    Base {
        /// Its name.
        name: String,
        /// Its name in full.
        canonical: String,
        /// Why.
        source: Box<Error>,
    },
    /// A part of a build was not carried out because another failed.
    #[error("Canceled: context canceled")]
    BuildCanceled,
    /// What a word, a mount or a pattern of a Dockerfile has wrong.
    #[error(transparent)]
    Problem(#[from] dockerfile::Problem),
    /// From an OCI runtime.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// Damage in the store; `check --repair` may help.
    #[error("{0}")]
    Damaged(String),
    /// From the store's metadata.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// From the storage driver.
    #[error(transparent)]
    Driver(#[from] drivers::Error),
    /// From applying or computing a layer.
    #[error(transparent)]
    Changeset(#[from] changeset::Error),
    /// From an archive or a compressed stream.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// From a document, an ID or a reference.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// From a registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// From the kernel.
    #[error(transparent)]
    Sys(#[from] sys::Error),
    /// From reading or writing a stream.
    #[error("{op} {subject}: {source}")]
    Io {
        /// What was attempted.
        op: &'static str,
        /// On what.
        subject: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// The lines of the Dockerfile that a build's error is about, as BuildKit shows them; ends in a newline.
    pub fn excerpt(&self) -> Option<&str> {
        match self {
            Self::Dockerfile(error) => Some(&error.excerpt),
            Self::Step { excerpt, .. } => Some(excerpt),
            _ => None,
        }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    pub(crate) fn conflict(text: impl Into<String>) -> Self {
        Self::Conflict(text.into())
    }

    /// For `map_err` on calls of the standard library.
    pub(crate) fn io(op: &'static str, subject: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let subject = subject.as_ref().display().to_string();
        move |source| Self::Io { op, subject, source }
    }

    /// A thread of ours panicked: a fault of layercake, reported as an error of the verb.
    pub(crate) fn thread(doing: &str, name: &str) -> Self {
        Self::Io {
            op: "run",
            subject: format!("thread {doing} {name}"),
            source: std::io::Error::other("it panicked"),
        }
    }

    /// Says where in a Dockerfile it happened.
    pub(crate) fn at(self, file: &dockerfile::Dockerfile, span: dockerfile::Span) -> Self {
        match self {
            said @ (Self::Dockerfile(_) | Self::Step { .. } | Self::BuildCanceled) => said,
            source => Self::Step { excerpt: file.text.excerpt(span), source: Box::new(source) },
        }
    }

    /// Says which layer it was about.
    pub(crate) fn in_layer(self, name: &str) -> Self {
        match self {
            said @ (Self::WrongDiffId { .. } | Self::Layer { .. } | Self::LayerVanished(_)) => said,
            source => Self::Layer { name: name.to_owned(), source: Box::new(source) },
        }
    }

    /// Docker's exit code of a command that was to run a process: 127 if the program is not there, 126 if it cannot be
    /// run, else 125.
    pub fn run_code(&self) -> u8 {
        match self {
            Self::NotStarted { code, .. } => *code,
            Self::Runtime(error) => error.exit_code(),
            _ => 125,
        }
    }

    /// Whether the device is full, by bytes, inodes or quota.
    pub fn is_full(&self) -> bool {
        match self {
            // A transparent error hides the one in it from `source`.
            Self::Sys(e) | Self::Store(store::Error::Sys(e)) | Self::Changeset(changeset::Error::Sys(e)) => {
                e.is_full()
            }
            Self::Driver(e) => e.is_full(),
            Self::Layer { source, .. } | Self::Step { source, .. } | Self::Base { source, .. } => {
                source.is_full()
            }
            other => {
                let causes = std::iter::successors(std::error::Error::source(other), |cause| cause.source());
                causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(|e| {
                    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
                    matches!(e.kind(), StorageFull | QuotaExceeded)
                })
            }
        }
    }
}
