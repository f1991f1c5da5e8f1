//! What a check found: where, and what is wrong.

use std::fmt;
use std::path::PathBuf;

use model::{ChainId, ContainerId, ImageId, VolumeName};

/// Something wrong in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, below the data root.
    pub path: PathBuf,
    /// What it belongs to.
    pub subject: Subject,
    /// What is wrong.
    pub damage: Damage,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A layer of the layerdb.
    Layer(ChainId),
    /// A container's entry in `layerdb/mounts`.
    Mount(ContainerId),
    /// An image.
    Image(ImageId),
    /// A container.
    Container(ContainerId),
    /// A volume.
    Volume(VolumeName),
    /// A name in `repositories.json`, or the file itself if empty.
    Reference(String),
    /// Something without a name of its own: what a crash left, or what nobody knows.
    Leftover,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// A file is not there.
    Missing(&'static str),
    /// A file is there and has no content.
    Empty(&'static str),
    /// A file has a content that cannot be.
    Invalid {
        /// The file.
        file: &'static str,
        /// The reason.
        why: String,
    },
    /// The layer below is not in the store.
    ParentLayerMissing(ChainId),
    /// The directory's name is not the chain id of its content.
    WrongChain {
        /// What it should be called.
        expected: ChainId,
    },
    /// The content does not have the digest that it is called by.
    WrongDigest {
        /// What it should be called.
        expected: ImageId,
    },
    /// An image's or container's topmost layer is not in the store.
    LayerMissing(ChainId),
    /// The image that was named is not in the store.
    ImageMissing(ImageId),
    /// A container without an entry in `layerdb/mounts`.
    MountMissing,
    /// An entry in `layerdb/mounts` without a container, or an image's metadata without the image.
    Orphan,
    /// The document says that it is another container's.
    WrongId(String),
    /// Two containers have one name; this is the other one.
    SameName(ContainerId),
    /// A layer that was being written when the process ended.
    WriteSet,
    /// A layer that was being removed when the process ended.
    Removing,
    /// A temporary file.
    Temporary,
    /// A name that no version of Docker writes here.
    Unknown,
}

impl Damage {
    pub(crate) fn invalid(file: &'static str, why: impl fmt::Display) -> Self {
        Self::Invalid { file, why: why.to_string() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(file) => write!(f, "{file} is missing"),
            Self::Empty(file) => write!(f, "{file} is empty"),
            Self::Invalid { file, why } => write!(f, "{file} is not valid: {why}"),
            Self::ParentLayerMissing(chain) => write!(f, "its parent layer {chain} is missing"),
            Self::WrongChain { expected } => write!(f, "its content belongs to layer {expected}"),
            Self::WrongDigest { expected } => write!(f, "its content has the digest {expected}"),
            Self::LayerMissing(chain) => write!(f, "its layer {chain} is missing"),
            Self::ImageMissing(id) => write!(f, "the image {id} is missing"),
            Self::MountMissing => f.write_str("its writable layer is not in layerdb/mounts"),
            Self::Orphan => f.write_str("what it belongs to is missing"),
            Self::WrongId(id) => write!(f, "its content belongs to container {id}"),
            Self::SameName(other) => write!(f, "container {other} has the same name"),
            Self::WriteSet => f.write_str("left of a layer that was never finished"),
            Self::Removing => f.write_str("left of a layer that was being removed"),
            Self::Temporary => f.write_str("left of a file that was never finished"),
            Self::Unknown => f.write_str("nothing that Docker writes here"),
        }
    }
}
