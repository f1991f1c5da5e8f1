//! Tar archives.
//!
//! - [`Parser`] is fed slices and calls a [`Sink`]; it never reads. [`parse`] feeds it from a reader.
//! - [`Reader`] steps through an archive member by member, with seeking where it can.
//! - [`Writer`] writes archives as Docker 25 and later do.
//!
//! All formats are read: V7, ustar, star, GNU (long names, base-256 numbers, sparse files) and PAX (with GNU's
//! sparse formats 0.0, 0.1 and 1.0). Go's `archive/tar` decides what is accepted and how it is understood, among
//! it: links, devices, directories and FIFOs never have a payload, whatever their size says; a PAX record beats a
//! header field, a GNU long name beats a PAX path, and only the entry itself takes PAX records, never an
//! extension header before it; missing end blocks and missing final padding are tolerated.
//!
//! Intended differences from Go:
//!
//! - user and group ids that do not fit 32 bits are refused (Go's callers truncate them);
//! - a sparse map whose extents do not add up to the payload is refused at once, not when the payload is read;
//! - sparse maps are limited by their number of extents, [`Limits::sparse_extents`].

mod encode;
mod header;
mod parser;
mod pax;
mod reader;
mod sink;
mod sparse;
mod writer;

pub use parser::Parser;
pub use reader::{Member, Reader};
pub use sink::{Sink, parse};
pub use writer::Writer;

/// Size of a tar block in bytes.
pub const BLOCK: usize = 512;

/// Zero bytes that fill a payload of `size` bytes up to a whole block.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Regular file (type flags `0`, NUL and GNU's sparse `S`).
    #[default]
    Regular,
    /// Another name of the file that [`Entry::link`] names by its path in the archive.
    HardLink,
    /// Symbolic link to [`Entry::link`].
    Symlink,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Directory.
    Directory,
    /// Named pipe.
    Fifo,
    /// Contiguous file (type flag `7`); Docker refuses it in a layer.
    Contiguous,
    /// PAX records for all entries that follow (type flag `g`); Docker ignores them, and so shall callers.
    GlobalHeader,
    /// Any other type flag; its payload is delivered.
    Other(u8),
}

impl Kind {
    /// Whether an entry of this kind has a payload in the archive.
    pub fn has_payload(self) -> bool {
        matches!(self, Kind::Regular | Kind::Contiguous | Kind::Other(_))
    }

    fn from_flag(flag: u8) -> Kind {
        match flag {
            0 | b'0' | b'S' => Kind::Regular,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'7' => Kind::Contiguous,
            b'g' => Kind::GlobalHeader,
            other => Kind::Other(other),
        }
    }

    fn flag(self) -> u8 {
        match self {
            Kind::Regular => b'0',
            Kind::HardLink => b'1',
            Kind::Symlink => b'2',
            Kind::CharDevice => b'3',
            Kind::BlockDevice => b'4',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
            Kind::Contiguous => b'7',
            Kind::GlobalHeader => b'g',
            Kind::Other(flag) => flag,
        }
    }
}

/// A point in time, since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds; negative before 1970.
    pub secs: i64,
    /// Nanoseconds added to the seconds, below 10⁹.
    pub nanos: u32,
}

/// Where the payload of a sparse file belongs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SparseMap {
    /// Offset and length in bytes of each stretch of data, in the order of the packed payload: ascending, not
    /// overlapping, not empty, within `real_size`. Everything else is a hole.
    pub extents: Vec<(u64, u64)>,
    /// Size of the file in bytes.
    pub real_size: u64,
}

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Name as in the archive: not cleaned, not confined, no particular encoding.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Mode field. Old writers put file type bits above the twelve permission bits.
    pub mode: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Length of the payload in bytes, packed for sparse files; 0 for kinds without a payload.
    pub size: u64,
    /// Modification time.
    pub mtime: Timestamp,
    /// Access time, if recorded.
    pub atime: Option<Timestamp>,
    /// Inode change time, if recorded.
    pub ctime: Option<Timestamp>,
    /// Target of a hard or symbolic link.
    pub link: Vec<u8>,
    /// Major number of a device.
    pub devmajor: u32,
    /// Minor number of a device.
    pub devminor: u32,
    /// Name of the user.
    pub uname: Vec<u8>,
    /// Name of the group.
    pub gname: Vec<u8>,
    /// Extended attributes (PAX records `SCHILY.xattr.*`), sorted by name. libarchive's own records repeat them
    /// and are left in `pax`, as Docker reads only these.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Map of a sparse file.
    pub sparse: Option<SparseMap>,
    /// Other PAX records, sorted by key.
    pub pax: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// An entry of `kind` at `path`, everything else zero or empty.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Entry { path: path.into(), kind, ..Entry::default() }
    }

    /// Size of the file that the entry describes: that of the sparse file, else of the payload.
    pub fn file_size(&self) -> u64 {
        self.sparse.as_ref().map_or(self.size, |map| map.real_size)
    }

    /// Empties the entry and keeps its buffers.
    fn clear(&mut self) {
        let mut fresh = Entry::default();
        for (new, old) in [
            (&mut fresh.path, &mut self.path),
            (&mut fresh.link, &mut self.link),
            (&mut fresh.uname, &mut self.uname),
            (&mut fresh.gname, &mut self.gname),
        ] {
            old.clear();
            std::mem::swap(new, old);
        }
        *self = fresh;
    }
}

/// What an archive may ask of the parser; memory is bounded by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one PAX extended header. Go: 1 MiB.
    pub pax_bytes: u64,
    /// Bytes of one GNU long name or long link. Go: 1 MiB.
    pub long_name_bytes: u64,
    /// Stretches of data of one sparse file.
    pub sparse_extents: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { pax_bytes: 1 << 20, long_name_bytes: 1 << 20, sparse_extents: 1 << 18 }
    }
}
