//! Building archives entry by entry, hostile ones too.

use archive::tar::{Entry, Kind, SparseMap, Timestamp, Writer};

/// The time of everything that a test does not say otherwise of: 2001-09-09 01:46:40 and a fraction.
pub const TIME: Timestamp = Timestamp { secs: 1_000_000_000, nanos: 123_456_789 };

/// Builds an archive in memory. Files are 0644, directories 0755, all 0:0, with [`TIME`].
#[derive(Debug)]
pub struct Builder {
    tar: Writer<Vec<u8>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An archive without entries.
    pub fn new() -> Self {
        Self { tar: Writer::new(Vec::new()) }
    }

    /// Any entry with its payload; its size is set to the payload's.
    pub fn entry(mut self, mut entry: Entry, payload: &[u8]) -> Self {
        entry.size = payload.len() as u64;
        self.tar.append(&entry, payload).expect("writing a test archive");
        self
    }

    /// A directory. The name may or may not end in a slash.
    pub fn dir(self, path: impl AsRef<[u8]>) -> Self {
        self.entry(entry(path, Kind::Directory, 0o755), b"")
    }

    /// A regular file.
    pub fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry(entry(path, Kind::Regular, 0o644), content.as_ref())
    }

    /// A regular file with attributes.
    pub fn file_with(
        self,
        path: impl AsRef<[u8]>,
        content: impl AsRef<[u8]>,
        set: impl FnOnce(&mut Entry),
    ) -> Self {
        let mut file = entry(path, Kind::Regular, 0o644);
        set(&mut file);
        self.entry(file, content.as_ref())
    }

    /// A directory with attributes.
    pub fn dir_with(self, path: impl AsRef<[u8]>, set: impl FnOnce(&mut Entry)) -> Self {
        let mut dir = entry(path, Kind::Directory, 0o755);
        set(&mut dir);
        self.entry(dir, b"")
    }

    /// A symbolic link.
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let mut link = entry(path, Kind::Symlink, 0o777);
        link.link = target.as_ref().to_vec();
        self.entry(link, b"")
    }

    /// A hard link.
    pub fn hardlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let mut link = entry(path, Kind::HardLink, 0o644);
        link.link = target.as_ref().to_vec();
        self.entry(link, b"")
    }

    /// A character device.
    pub fn char_device(self, path: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        let mut device = entry(path, Kind::CharDevice, 0o640);
        (device.devmajor, device.devminor) = (major, minor);
        self.entry(device, b"")
    }

    /// A sparse file of `real_size` bytes with data at these places.
    pub fn sparse(self, path: impl AsRef<[u8]>, data: &[(u64, &[u8])], real_size: u64) -> Self {
        let mut file = entry(path, Kind::Regular, 0o644);
        let extents = data.iter().map(|(offset, bytes)| (*offset, bytes.len() as u64)).collect();
        file.sparse = Some(SparseMap { extents, real_size });
        let payload: Vec<u8> = data.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        self.entry(file, &payload)
    }

    /// Ends the archive.
    pub fn build(self) -> Vec<u8> {
        self.tar.finish().expect("ending a test archive")
    }
}

/// An entry of root's, with [`TIME`].
pub fn entry(path: impl AsRef<[u8]>, kind: Kind, mode: u32) -> Entry {
    let mut entry = Entry::new(path.as_ref(), kind);
    entry.mode = mode;
    entry.mtime = TIME;
    entry
}
