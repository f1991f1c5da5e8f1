//! The one error type of this crate.

use std::path::PathBuf;

use model::{ChainId, ContainerId, Digest, ImageId, VolumeName};

use crate::finding::Damage;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] sys::Error),
    /// A value that we were given or made is not valid.
    #[error(transparent)]
    Model(#[from] model::Error),

    /// The directory is not there.
    #[error("no data root at {}", .0.display())]
    NoDataRoot(PathBuf),
    /// A storage driver's name that cannot be the name of a directory.
    #[error("invalid storage driver name {0:?}")]
    DriverName(String),
    /// A store of root that somebody else opens, or the other way round.
    #[error("the data root {} belongs to {owner} and cannot be opened as {user}: stores of root and of other users never mix", path.display())]
    Ownership {
        /// The data root.
        path: PathBuf,
        /// Whose it is, in words.
        owner: String,
        /// Who we are, in words.
        user: String,
    },
    /// A change was asked of a data root that was opened for reading.
    #[error("the data root {} is open for reading only", .0.display())]
    ReadOnly(PathBuf),
    /// A Docker daemon works on the data root.
    #[error("a Docker daemon{} is running on this data root ({} is locked): stop it first", pid.map(|p| format!(" (pid {p})")).unwrap_or_default(), file.display())]
    DaemonRunning {
        /// The database that it has locked.
        file: PathBuf,
        /// Its process, if the kernel tells.
        pid: Option<u32>,
    },

    /// A migration to another storage driver stands in the way; the text says what to do.
    #[error("{0}")]
    Migrating(String),
    /// The store has been moved to another storage driver since it was opened.
    #[error("the data root {} has been migrated to another storage driver meanwhile: try again", .0.display())]
    Migrated(PathBuf),

    /// The layer is not in the store.
    #[error("layer does not exist: {0}")]
    NoLayer(ChainId),
    /// The layer's files are damaged.
    #[error("layer {chain} is damaged: {damage}")]
    BrokenLayer {
        /// The layer.
        chain: ChainId,
        /// What is wrong.
        damage: Damage,
    },
    /// The image is not in the store.
    #[error("No such image: {0}")]
    NoImage(ImageId),
    /// The image's file is damaged.
    #[error("image {id} is damaged: {damage}")]
    BrokenImage {
        /// The image.
        id: ImageId,
        /// What is wrong.
        damage: Damage,
    },
    /// No container of this id.
    #[error("No such container: {0}")]
    NoContainer(ContainerId),
    /// The container's files are damaged.
    #[error("container {id} is damaged: {damage}")]
    BrokenContainer {
        /// The container.
        id: ContainerId,
        /// What is wrong.
        damage: Damage,
    },
    /// `repositories.json` is not what it should be.
    #[error("{} is damaged: {damage}", path.display())]
    BrokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
    },

    /// A digest reference that names another image already.
    #[error("Cannot overwrite digest {0}")]
    OverwriteDigest(Digest),
    /// A tag was asked for a reference with a digest.
    #[error("refusing to create a tag with a digest reference")]
    TagOfDigest,
    /// A repository called like a digest's algorithm.
    #[error("refusing to create an ambiguous tag using digest algorithm as name")]
    AmbiguousTag,

    /// The container name is taken.
    #[error(
        "Conflict. The container name {name:?} is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name, with its slash.
        name: String,
        /// Who has it.
        id: ContainerId,
    },
    /// No volume of this name.
    #[error("get {0}: no such volume")]
    NoVolume(VolumeName),
    /// An id's prefix that several ids have.
    #[error("multiple IDs found with provided prefix: {0}")]
    ManyIds(String),
}
