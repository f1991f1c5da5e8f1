//! What can go wrong between an archive and a directory.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A layer that cannot be applied, written or brought back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] sys::Error),
    /// The archive or its tar-split record is malformed, or writing an archive failed.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// An entry of the archive has no meaning that could be given to it.
    #[error("layer entry {}: {fault}", path.display())]
    Entry {
        /// The entry's name, as in the archive.
        path: PathBuf,
        /// What is wrong with it.
        fault: EntryFault,
    },
    /// The layer is larger than [`ApplyLimits`](crate::ApplyLimits) allows.
    #[error("layer entry {}: the layer has more {what} than the limit of {limit}", path.display())]
    Limit {
        /// The entry that passed the limit.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A file whose name would be a deletion in a layer.
    #[error("{}: a layer cannot hold a file whose name begins with \".wh.\"; rename or remove it", path.display())]
    ReservedName {
        /// The file, from the root of the container.
        path: PathBuf,
    },
    /// A file grew or shrank while it was being read.
    #[error("{}: changed while it was being read", path.display())]
    Changed {
        /// The file, from the root of the container.
        path: PathBuf,
    },
    /// The directory is no layer of its own: it was written by a mount with `redirect_dir=on` or `metacopy=on`, and
    /// only the merged view has its content.
    #[error("{}: has {attribute}; its content is known to the mounted overlay only", path.display())]
    NeedsMergedView {
        /// The directory or file, from the root of the container.
        path: PathBuf,
        /// The attribute that says so.
        attribute: String,
    },
    /// A file of the layer is not what the archive had.
    #[error("file integrity checksum failed for {:?}: {fault}", path.display().to_string())]
    Integrity {
        /// The name in the archive.
        path: PathBuf,
        /// How it differs.
        fault: crate::verify::Fault,
    },
}

/// What is wrong with an entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// Another entry is the same file, or a directory that this layer needs.
    #[error("the layer has this path already")]
    Duplicate,
    /// A parent is no directory.
    #[error("{:?} is not a directory", .0.display().to_string())]
    NotADirectory(PathBuf),
    /// A parent is a link of this layer that leads to no directory of it.
    #[error("the link {:?} leads to no directory of this layer", .0.display().to_string())]
    DanglingParent(PathBuf),
    /// A `.wh.` name that is no marker.
    #[error("names that begin with \".wh.\" are reserved for deletions, and this is none")]
    ReservedName,
    /// A deletion that has content.
    #[error("a whiteout with content")]
    WhiteoutWithContent,
    /// A device 0:0, OverlayFS's whiteout.
    #[error("character device 0:0 means a deletion to the overlay file system; a layer cannot hold it")]
    WhiteoutDevice,
    /// A type that layers do not have.
    #[error("unsupported type of entry {0:?}")]
    Unsupported(archive::tar::Kind),
    /// The root of the layer is given as something else than a directory.
    #[error("the root of a layer can only be a directory")]
    Root,
    /// A hard link that leads out of the layer.
    #[error("hard link to {:?}, which is outside of the layer", .0.display().to_string())]
    LinkOutside(PathBuf),
    /// A hard link to a directory.
    #[error("hard link to {:?}, which is a directory", .0.display().to_string())]
    LinkToDirectory(PathBuf),
    /// A hard link whose target stands later in the archive.
    #[error("hard link to {:?}, which comes later in the archive", .0.display().to_string())]
    LinkToLater(PathBuf),
    /// A hard link whose target neither this layer nor a lower one has.
    #[error("hard link to {:?}, which is neither in this layer nor in a lower one", .0.display().to_string())]
    LinkToNothing(PathBuf),
    /// The path is longer than the kernel takes.
    #[error("the path is longer than {0} bytes")]
    PathTooLong(usize),
    /// An attribute that the file system cannot hold, and the caller asked not to lose any.
    #[error("extended attribute {0:?} cannot be kept here")]
    Xattr(String),
}

/// The bytes of a name as a path.
pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}
