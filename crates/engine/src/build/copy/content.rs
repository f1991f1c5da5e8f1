//! What files hold: their digest for the key, and their bytes for the layer's archive.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use archive::digest::Sha256;
use archive::tar::{Entry, Kind, Timestamp, Writer};
use changeset::Found;
use changeset::entry::{self, BUFFER};
use sys::{FileKind, Meta, OwnedFd, dir, file, meta};

use super::target::{Content, Item};
use crate::copy::Tree;
use crate::{Engine, Error, Result};

/// The digest of everything about a file that counts: kind, attributes, content. Times do not.
pub(super) type FileDigest = [u8; 32];

/// What a file was when it was read for the key: whoever reads it again finds out whether it is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub digest: FileDigest,
    stamp: Option<Stamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    ctime: sys::Time,
}

impl Stamp {
    fn of(meta: &Meta) -> Self {
        Self { inode: (meta.dev, meta.ino), size: meta.size, ctime: meta.ctime }
    }
}

/// Reads files of a tree; keeps the directory open that the last one was in.
pub(super) struct Reader<'a> {
    tree: Option<&'a Tree>,
    open: Option<(usize, PathBuf, OwnedFd)>,
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub fn new(tree: Option<&'a Tree>) -> Self {
        Self { tree, open: None, buffer: vec![0; BUFFER] }
    }

    /// The directory that `path` is in.
    fn parent(&mut self, path: &Path, found: &Found) -> Result<&OwnedFd> {
        let tree = self.tree.ok_or_else(|| changed(path))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let is_open = matches!(&self.open, Some((layer, open, _)) if *layer == found.layer && open == parent);
        if !is_open {
            let fd = tree.layers().root(found.layer).dir_nofollow(parent)?;
            self.open = Some((found.layer, parent.to_owned(), fd));
        }
        self.open.as_ref().map(|(_, _, fd)| fd).ok_or_else(|| changed(path))
    }

    /// The entry of an item, without its name, and for a regular file what to read of it.
    fn entry(&mut self, item: &Item) -> Result<(Entry, Option<Open>)> {
        let (path, found) = match &item.content {
            Content::Tree { path, found } => (path, found),
            Content::New => return Ok((Entry::new("", Kind::Directory), None)),
            Content::Bytes(bytes) => {
                let mut entry = Entry::new("", Kind::Regular);
                entry.size = bytes.len() as u64;
                return Ok((entry, None));
            }
            Content::Spooled(file, size) => {
                let mut entry = Entry::new("", Kind::Regular);
                entry.size = *size;
                let fd = file.try_clone().map_err(Error::io("open", "a fetched file"))?.into();
                return Ok((entry, Some(Open { fd, extents: vec![(0, *size)], stamp: None })));
            }
        };
        let leaf = path.file_name().unwrap_or_default();
        match item.kind {
            FileKind::Dir => {
                let tree = self.tree.ok_or_else(|| changed(path))?;
                let fd = tree.layers().root(found.layer).dir_nofollow(path)?;
                Ok((entry::directory(b"", &fd, &found.meta)?, None))
            }
            FileKind::File => {
                let fd = dir::open_file(self.parent(path, found)?, leaf)?;
                let meta = meta::of_fd(&fd)?;
                let (entry, extents) = entry::regular(b"", &fd, &meta)?;
                if meta.size > BUFFER as u64 {
                    file::advise_sequential(&fd);
                }
                Ok((entry, Some(Open { fd, extents, stamp: Some(Stamp::of(&meta)) })))
            }
            _ => Ok((entry::special(b"", self.parent(path, found)?, leaf, &found.meta)?, None)),
        }
    }

    /// Reads what there is of a file.
    fn read(&mut self, open: &Open, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for (offset, length) in &open.extents {
            let mut done = 0;
            while done < *length {
                let want = usize::try_from(length - done).unwrap_or(usize::MAX).min(self.buffer.len());
                let n = file::read_at(&open.fd, &mut self.buffer[..want], offset + done)?;
                if n < want {
                    return Err(changed(&dir::path(&open.fd)));
                }
                take(&self.buffer[..n])?;
                done += n as u64;
            }
        }
        Ok(())
    }

    /// The digest of an item.
    pub fn see(&mut self, item: &Item) -> Result<Seen> {
        let (entry, open) = self.entry(item)?;
        let mut hash = attributes(item, &entry);
        if let Content::Bytes(bytes) = &item.content {
            hash.update(bytes);
        }
        if let Some(open) = &open {
            self.read(open, |piece| {
                hash.update(piece);
                Ok(())
            })?;
        }
        Ok(Seen { digest: hash.finish(), stamp: open.and_then(|open| open.stamp) })
    }
}

/// Begins a file's digest with all but its bytes.
fn attributes(item: &Item, entry: &Entry) -> Sha256 {
    let mut hash = Sha256::new();
    let numbers = [item.mode, item.owner.uid, item.owner.gid, entry.devmajor, entry.devminor];
    numbers.iter().for_each(|number| hash.update(&number.to_le_bytes()));
    hash.update(&[item.kind as u8]);
    let mut sized = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    sized(&entry.link);
    for (key, value) in &entry.xattrs {
        sized(key);
        sized(value);
    }
    sized(&entry.file_size().to_le_bytes());
    if let Some(map) = &entry.sparse {
        for (offset, length) in &map.extents {
            sized(&offset.to_le_bytes());
            sized(&length.to_le_bytes());
        }
    }
    hash
}

/// A file that is open, and which parts of it hold data.
struct Open {
    fd: OwnedFd,
    extents: Vec<(u64, u64)>,
    stamp: Option<Stamp>,
}

impl Engine {
    /// Reads all items, on all processors.
    pub(super) fn see_all(&self, tree: Option<&Tree>, items: &[(&PathBuf, &Item)]) -> Result<Vec<Seen>> {
        self.in_parallel(items, |items| {
            let mut reader = Reader::new(tree);
            items.iter().map(|(_, item)| reader.see(item)).collect()
        })
    }
}

/// Writes items as a layer's archive. Those that were not `seen` before are now; answers with the digests of all.
///
/// # Errors
/// A file is no longer what it was when it was seen.
pub(super) fn write(
    tree: Option<&Tree>,
    items: &[(&PathBuf, &Item)],
    seen: Option<&[Seen]>,
    tar: &mut Writer<&mut dyn Write>,
) -> Result<Vec<FileDigest>> {
    let mut reader = Reader::new(tree);
    let mut links: HashMap<(u64, u64), (Vec<u8>, FileDigest)> = HashMap::new();
    let mut digests = Vec::with_capacity(items.len());
    for (number, (path, item)) in items.iter().enumerate() {
        let seen = seen.and_then(|seen| seen.get(number));
        let mut name = path.as_os_str().as_bytes().to_vec();
        let mut common = |entry: &mut Entry| {
            if entry.kind == Kind::Directory {
                name.extend_from_slice(if name.is_empty() { b"./" } else { b"/" });
            }
            entry.path.clone_from(&name);
            entry.mode = item.mode;
            (entry.uid, entry.gid) = (item.owner.uid, item.owner.gid);
            entry.mtime = Timestamp { secs: item.mtime.secs, nanos: item.mtime.nanos };
        };
        let inode = match &item.content {
            Content::Tree { found, .. } if found.meta.nlink > 1 && item.kind != FileKind::Dir => {
                Some((found.meta.dev, found.meta.ino))
            }
            _ => None,
        };
        if let Some((first, digest)) = inode.and_then(|inode| links.get(&inode)) {
            let mut entry = Entry::new("", Kind::HardLink);
            common(&mut entry);
            entry.link.clone_from(first);
            tar.append_header(&entry)?;
            digests.push(*digest);
            continue;
        }
        let (mut entry, open) = reader.entry(item)?;
        let mut hash = seen.is_none().then(|| attributes(item, &entry));
        common(&mut entry);
        if let (Some(open), Some(seen)) = (&open, seen)
            && open.stamp != seen.stamp
        {
            return Err(changed(path));
        }
        tar.append_header(&entry)?;
        let mut pass = |piece: &[u8]| {
            if let Some(hash) = &mut hash {
                hash.update(piece);
            }
            Ok(tar.data(piece)?)
        };
        if let Content::Bytes(bytes) = &item.content {
            pass(bytes)?;
        }
        if let Some(open) = &open {
            reader.read(open, pass)?;
        }
        let digest = seen.map(|seen| seen.digest).or_else(|| hash.map(Sha256::finish)).unwrap_or_default();
        digests.push(digest);
        if let Some(inode) = inode {
            links.insert(inode, (path.as_os_str().as_bytes().to_vec(), digest));
        }
    }
    Ok(digests)
}

fn changed(path: &Path) -> Error {
    Error::invalid(format!("{} was changed while it was being copied: build again", path.display()))
}
