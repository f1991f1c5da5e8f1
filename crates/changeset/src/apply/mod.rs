//! From an archive to a directory.
//!
//! [`Applier`] is a [`tar::Sink`]: a parser that is fed the layer calls it for each entry, and it makes the file at
//! once from the parser's own buffer. What needs the lower layers waits in [`Pending`], so that the layers of an
//! image can be unpacked at the same time; [`Pending::settle`] does it when they are there.
//!
//! Nothing is durable when [`Applier::finish`] returns: the caller syncs the file system once for all layers.

mod attributes;
mod deletions;
mod dirs;
mod donor;
mod files;
mod pending;

pub use donor::{Donor, Taken};
pub use pending::{LowerLink, Pending};

use std::collections::{BTreeMap, HashMap, HashSet};

use archive::tar::{self, Entry, Kind};
use sys::{OwnedFd, Root};

use crate::error::{EntryFault, Error, Result, as_path};
use crate::name::{self, Marker};
use crate::{Owners, Whiteouts};
use attributes::Attributes;
use dirs::{Dir, Made};

/// How a layer is applied.
#[derive(Debug, Clone, Copy)]
pub struct ApplyOptions {
    /// How its deletions are kept.
    pub whiteouts: Whiteouts,
    /// Whose its files become.
    pub owners: Owners,
    /// Whether device nodes are made. Without, they are left out and counted, as Docker does in a user namespace.
    pub devices: bool,
    /// Whether an extended attribute that the file system refuses is an error; else it is left out and counted.
    pub strict_xattrs: bool,
    /// What the layer may ask for.
    pub limits: ApplyLimits,
}

impl ApplyOptions {
    /// Exact owners, devices, attributes as far as they go, default limits.
    pub fn new(whiteouts: Whiteouts) -> Self {
        Self {
            whiteouts,
            owners: Owners::Exact,
            devices: true,
            strict_xattrs: false,
            limits: ApplyLimits::default(),
        }
    }
}

/// What a layer may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyLimits {
    /// Entries in the archive. Each takes some hundred bytes of memory while the layer is applied.
    pub entries: u64,
    /// Bytes of content, holes not counted.
    pub bytes: u64,
}

impl Default for ApplyLimits {
    /// Four million entries, one TiB.
    fn default() -> Self {
        Self { entries: 4_000_000, bytes: 1 << 40 }
    }
}

/// What came of a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The layer's size as Docker counts it for this kind of driver, in bytes (moby.md §11.5): where the directory
    /// holds this layer only, the lengths of all non-directories, symbolic links included; with
    /// [`Whiteouts::Delete`] the sizes of the regular files in the archive.
    pub size: u64,
    /// Entries in the archive.
    pub entries: u64,
    /// What is left to do with the lower layers at hand; empty with [`Whiteouts::Delete`].
    pub pending: Pending,
    /// Extended attributes that could not be set, with the number of files.
    pub unsupported_xattrs: BTreeMap<String, u64>,
    /// Device nodes that were left out.
    pub skipped_devices: u64,
    /// What a donor's files have made it unnecessary to write.
    pub taken: Taken,
}

/// Applies one layer to a directory.
///
/// The directory is the layer's own and empty but for what a driver puts into its root; with [`Whiteouts::Delete`] it
/// holds the tree of the lower layers. After an error it holds a part of the layer: the
/// caller throws it away. The process' umask should be 0; with another one, files cost one call more.
#[derive(Debug)]
pub struct Applier {
    root: Root,
    options: ApplyOptions,
    attributes: Attributes,
    /// What this layer has put where, by cleaned path without links.
    made: HashMap<Vec<u8>, Made>,
    /// Directories of this layer that hide the lower ones' content.
    opaque: HashSet<Vec<u8>>,
    /// Open directories, each below the one before; the first is the root.
    open: Vec<std::sync::Arc<Dir>>,
    /// Directories whose times (and modes, default ACLs) are set at the end.
    late: BTreeMap<Vec<u8>, attributes::Late>,
    links: Vec<LowerLink>,
    file: Option<files::OpenFile>,
    size: u64,
    bytes: u64,
    entries: u64,
    skipped_devices: u64,
    donor: Option<Donor>,
    taken: Taken,
}

impl Applier {
    /// Starts a layer on the directory `target`.
    pub fn new(target: OwnedFd, options: ApplyOptions) -> Result<Self> {
        let path = sys::dir::path(&target);
        let root = Root::from_fd(target, path);
        let top = Dir::open(&root, &[], &[])?;
        let mut applier = Self {
            attributes: Attributes::new(options.owners, options.strict_xattrs),
            root,
            options,
            made: HashMap::from([(Vec::new(), Made::Implied)]),
            opaque: HashSet::new(),
            open: vec![std::sync::Arc::new(top)],
            late: BTreeMap::new(),
            links: Vec::new(),
            file: None,
            size: 0,
            bytes: 0,
            entries: 0,
            skipped_devices: 0,
            donor: None,
            taken: Taken::default(),
        };
        applier.touch_root()?;
        Ok(applier)
    }

    /// Takes the content of files from `donor` where that saves writing it.
    pub fn take_from(&mut self, donor: Donor) {
        self.donor = Some(donor);
    }

    /// Ends the layer: sets what directories get last, and checks what only the whole layer tells.
    pub fn finish(mut self) -> Result<Applied> {
        self.check_links()?;
        self.open.clear();
        self.attributes.finish_dirs(&self.root, &self.late)?;
        let pending = match self.options.whiteouts {
            Whiteouts::Delete => Pending::default(),
            _ => self.pending(),
        };
        Ok(Applied {
            size: self.size,
            entries: self.entries,
            pending,
            unsupported_xattrs: self.attributes.unsupported,
            skipped_devices: self.skipped_devices,
            taken: self.taken,
        })
    }

    fn begin(&mut self, entry: &Entry) -> Result<(), EntryError> {
        self.entries += 1;
        let limits = self.options.limits;
        if self.entries > limits.entries {
            return Err(EntryError::Limit("entries", limits.entries));
        }
        if entry.kind == Kind::GlobalHeader {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.bytes > limits.bytes {
            return Err(EntryError::Limit("bytes of content", limits.bytes));
        }
        let path = name::clean(&entry.path);
        if path.len() >= MAX_PATH {
            return Err(EntryFault::PathTooLong(MAX_PATH - 1).into());
        }
        match name::marker(&path) {
            Marker::Reserved => Err(EntryFault::ReservedName.into()),
            Marker::None => self.make(entry, &path),
            _ if entry.size != 0 => Err(EntryFault::WhiteoutWithContent.into()),
            Marker::Aufs => Ok(()),
            Marker::Opaque => {
                let dir = self.parent(&path, entry)?;
                self.make_opaque(&dir.real).map_err(EntryError::from)
            }
            Marker::Whiteout(gone) => {
                let dir = self.parent(&path, entry)?;
                self.whiteout(&dir, gone, entry)
            }
        }
    }

    fn make(&mut self, entry: &Entry, path: &[u8]) -> Result<(), EntryError> {
        if path.is_empty() {
            return self.make_root(entry);
        }
        let dir = self.parent(path, entry)?;
        let (_, name) = name::split(path);
        match entry.kind {
            Kind::Regular => self.make_file(&dir, name, entry),
            Kind::Directory => self.make_dir(&dir, name, entry),
            Kind::Symlink => self.make_symlink(&dir, name, entry),
            Kind::HardLink => self.make_link(&dir, name, entry),
            Kind::CharDevice if (entry.devmajor, entry.devminor) == (0, 0) => {
                Err(EntryFault::WhiteoutDevice.into())
            }
            Kind::CharDevice => self.make_device(&dir, name, entry, sys::FileKind::CharDevice),
            Kind::BlockDevice => self.make_device(&dir, name, entry, sys::FileKind::BlockDevice),
            Kind::Fifo => self.make_node(&dir, name, entry, sys::FileKind::Fifo),
            kind => Err(EntryFault::Unsupported(kind).into()),
        }
    }
}

/// PATH_MAX: no longer path can be named to the kernel.
const MAX_PATH: usize = 4096;

impl tar::Sink for Applier {
    type Error = Error;

    fn raw(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.begin(entry).map_err(|e| e.at(&entry.path))
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            // A global header's content, which nobody wants, or that of a file which a donor had.
            None => Ok(()),
        }
    }

    fn end_entry(&mut self) -> Result<()> {
        match self.file.take() {
            Some(file) => file.close(&mut self.attributes),
            None => Ok(()),
        }
    }
}

/// An error before it is told which entry it belongs to.
#[derive(Debug)]
enum EntryError {
    Fault(EntryFault),
    Limit(&'static str, u64),
    Other(Error),
}

impl EntryError {
    /// The error of the entry with this name.
    fn at(self, path: &[u8]) -> Error {
        let path = as_path(path).to_owned();
        match self {
            Self::Fault(fault) => Error::Entry { path, fault },
            Self::Limit(what, limit) => Error::Limit { path, what, limit },
            Self::Other(error) => error,
        }
    }
}

impl From<EntryFault> for EntryError {
    fn from(fault: EntryFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<sys::Error> for EntryError {
    fn from(error: sys::Error) -> Self {
        Self::Other(error.into())
    }
}

impl From<Error> for EntryError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}
