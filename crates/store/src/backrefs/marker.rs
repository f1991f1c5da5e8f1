//! One file of the index: that something is used by something.

use model::{ChainId, ContainerId, Digest, ImageId};
use sys::OwnedFd;

use crate::error::Result;
use crate::small::os;

/// Something that uses a layer, an image or a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum User {
    /// A layer on top of it.
    Layer(ChainId),
    /// An image whose topmost layer it is; or whose parent image it is.
    Image(ImageId),
    /// A container whose writable layer stands on it; that was created from it; or that has the name.
    Container(ContainerId),
    /// A record of the build cache whose step made it, by its key.
    Build(Digest),
}

impl User {
    pub(super) fn file_name(&self) -> String {
        match self {
            Self::Layer(id) => format!("layer-{}", id.hex()),
            Self::Image(id) => format!("image-{}", id.hex()),
            Self::Container(id) => format!("container-{}", id.hex()),
            Self::Build(key) => format!("build-{}", key.hex()),
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        match name.split_once('-')? {
            ("layer", hex) => ChainId::from_hex(hex).ok().map(Self::Layer),
            ("image", hex) => ImageId::from_hex(hex).ok().map(Self::Image),
            ("container", hex) => ContainerId::parse(hex).ok().map(Self::Container),
            ("build", hex) => Digest::from_hex(hex).ok().map(Self::Build),
            _ => None,
        }
    }
}

/// What is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Layers,
    Images,
    Names,
}

impl Table {
    pub(super) fn dir(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Images => "images",
            Self::Names => "names",
        }
    }
}

/// One use of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(super) table: Table,
    pub(super) key: String,
    pub(super) user: User,
}

impl Marker {
    pub(crate) fn of_layer(used: &ChainId, user: User) -> Self {
        Self { table: Table::Layers, key: used.hex(), user }
    }

    pub(crate) fn of_image(used: &ImageId, user: User) -> Self {
        Self { table: Table::Images, key: used.hex(), user }
    }

    pub(crate) fn of_name(used: &str, user: ContainerId) -> Self {
        Self { table: Table::Names, key: bare(used).to_owned(), user: User::Container(user) }
    }

    /// A name that no `create` accepts, in a file of whatever origin, might not do as a file name. It gets no marker,
    /// and is looked up in the real files.
    fn is_indexed(&self) -> bool {
        self.table != Table::Names || is_plain(&self.key)
    }
}

pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

pub(super) fn is_plain(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    name.len() <= 255 && name.bytes().all(word) && !matches!(name, "" | "." | "..")
}

/// Makes the file of a marker.
pub(super) fn add(index: &OwnedFd, marker: &Marker) -> Result<()> {
    add_all(index, vec![marker.clone()])
}

/// Makes the files of many markers; those of one directory are made together.
pub(super) fn add_all(index: &OwnedFd, mut markers: Vec<Marker>) -> Result<()> {
    markers.retain(Marker::is_indexed);
    markers.sort_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
    for same in markers.chunk_by(|a, b| (a.table, &a.key) == (b.table, &b.key)) {
        let table = sys::dir::ensure(index, os(same[0].table.dir()), 0o700)?;
        let key = sys::dir::ensure(table, os(&same[0].key), 0o700)?;
        for marker in same {
            create(&key, &marker.user.file_name())?;
        }
    }
    Ok(())
}

/// Makes an empty file; one that is there already is as good.
pub(super) fn create(dir: &OwnedFd, name: &str) -> Result<()> {
    match sys::dir::create_file(dir, os(name), 0o600) {
        Err(e) if !e.is_exists() => Err(e.into()),
        _ => Ok(()),
    }
}
