//! From a directory to an archive, the same bytes for the same tree (moby.md §11.3).
//!
//! As Docker 25 and later: depth first, by the names' bytes; directories end in a slash; the root has no entry;
//! sockets have none; further names of a file are hard links to its first one; no user names; a whiteout is an empty
//! regular file, mode 0600, with the owner and time of the device; the opaque marker follows its directory.
//!
//! Differences, all for the sake of content: nanoseconds and all attributes that a layer may hold are kept (Docker
//! keeps `security.capability` only); files with large holes are sparse; a file named like a marker is an error
//! instead of a deletion.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use archive::tar::{Entry, Kind, Writer};
use sys::{FileKind, Meta, OwnedFd, Root, Time, dir, file, meta, xattr};

use crate::Marks;
use crate::changes::{Change, ChangeKind, tree_changes};
use crate::entry::{self, BUFFER};
use crate::error::{Error, Result};
use crate::marks::Role;
use crate::name;
use crate::walk::{Step, Walk};

/// What an archive was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiffStats {
    /// Lengths of all non-directories, each inode once, in bytes: Docker's size of such a layer (moby.md §11.5).
    pub size: u64,
    /// Entries written.
    pub entries: u64,
    /// Sockets, which no archive can hold.
    pub sockets: u64,
}

/// Writes the layer in the upper directory of an overlay. The upper must not change meanwhile.
///
/// # Errors
/// [`Error::ReservedName`] for a file named like a marker; [`Error::NeedsMergedView`] if the overlay was mounted with
/// `redirect_dir=on` or `metacopy=on`; [`Error::Changed`]. After an error `out` has a part of an archive.
pub fn write_upper(
    upper: &Root,
    marks: impl Into<Marks>,
    out: &mut (impl Write + ?Sized),
) -> Result<DiffStats> {
    let marks = marks.into();
    let mut diff = Diff::new(out, Some(marks));
    if marks.is_opaque(upper)? {
        diff.opaque_marker(Path::new(""), &meta::of_fd(upper)?)?;
    }
    let mut walk = Walk::new(upper)?;
    while let Some(step) = walk.next()? {
        match marks.role(&step.path) {
            Role::File => {}
            Role::Mark => continue,
            Role::Deletion(gone) => {
                if !step.meta.is_whiteout() && meta::find(&step.parent, gone)?.is_none() {
                    diff.whiteout(&step.path.with_file_name(gone), &step.meta)?;
                }
                continue;
            }
        }
        diff.refuse_reserved(&step)?;
        if step.meta.is_whiteout() {
            diff.whiteout(&step.path, &step.meta)?;
        } else {
            diff.file(&step)?;
        }
    }
    diff.finish()
}

/// Writes what the tree `new` changes in the tree `old`, or all of it if there is no `old`. Deletions have no owner and
/// no time: nobody knows them.
///
/// # Errors
/// [`Error::ReservedName`] and [`Error::Changed`], as [`write_upper`].
pub fn write_tree_diff(
    new: &Root,
    old: impl Into<Option<Root>>,
    out: &mut (impl Write + ?Sized),
) -> Result<DiffStats> {
    write_changes(new, tree_changes(new, old)?, out)
}

/// Writes these changes, sorted by path, with the files of `new`.
///
/// # Errors
/// [`Error::ReservedName`] and [`Error::Changed`], as [`write_upper`].
pub fn write_changes(new: &Root, changes: Vec<Change>, out: &mut (impl Write + ?Sized)) -> Result<DiffStats> {
    let mut diff = Diff::new(out, None);
    for change in changes {
        let path = change.path.strip_prefix("/").unwrap_or(&change.path);
        if change.kind == ChangeKind::Deleted {
            diff.whiteout(path, &NOBODY)?;
            continue;
        }
        let (parent, name) = new.parent_nofollow(path)?;
        let Some(meta) = meta::find(&parent, &name)? else {
            return Err(Error::Changed { path: change.path });
        };
        let step = Step { path: path.to_owned(), parent: parent.into(), name, meta };
        diff.refuse_reserved(&step)?;
        diff.file(&step)?;
    }
    diff.finish()
}

/// Writes a whole tree, for an export. Names like markers and devices 0:0 are files as any other here.
///
/// # Errors
/// [`Error::Changed`].
pub fn write_tree(root: &Root, out: &mut (impl Write + ?Sized)) -> Result<DiffStats> {
    let mut diff = Diff::new(out, None);
    let mut walk = Walk::new(root)?;
    while let Some(step) = walk.next()? {
        diff.file(&step)?;
    }
    diff.finish()
}

/// Attributes of something that is no longer there.
const NOBODY: Meta = Meta {
    kind: FileKind::File,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    allocated: 0,
    nlink: 1,
    ino: 0,
    dev: 0,
    rdev: (0, 0),
    atime: Time { secs: 0, nanos: 0 },
    mtime: Time { secs: 0, nanos: 0 },
    ctime: Time { secs: 0, nanos: 0 },
};

struct Diff<'a, W: ?Sized> {
    tar: Writer<&'a mut W>,
    /// Which marks the directory has; `None` for a whole tree.
    marks: Option<Marks>,
    /// First names of files that have several.
    links: HashMap<(u64, u64), PathBuf>,
    stats: DiffStats,
    buffer: Vec<u8>,
}

impl<'a, W: Write + ?Sized> Diff<'a, W> {
    fn new(out: &'a mut W, marks: Option<Marks>) -> Self {
        let buffer = vec![0; BUFFER];
        Self { tar: Writer::new(out), marks, links: HashMap::new(), stats: DiffStats::default(), buffer }
    }

    fn finish(self) -> Result<DiffStats> {
        self.tar.finish()?;
        Ok(self.stats)
    }

    fn refuse_reserved(&self, step: &Step) -> Result<()> {
        if step.name.as_bytes().starts_with(name::PREFIX) {
            return Err(Error::ReservedName { path: absolute(&step.path) });
        }
        Ok(())
    }

    fn header(&mut self, entry: &Entry) -> Result<()> {
        self.stats.entries += 1;
        Ok(self.tar.append_header(entry)?)
    }

    fn whiteout(&mut self, path: &Path, meta: &Meta) -> Result<()> {
        let mut name = OsString::from(".wh.");
        name.push(path.file_name().unwrap_or_default());
        let mut entry = entry::header(bytes(&path.with_file_name(name)), Kind::Regular, meta);
        entry.mode = 0o600;
        self.header(&entry)
    }

    fn opaque_marker(&mut self, dir: &Path, meta: &Meta) -> Result<()> {
        let mut entry = entry::header(bytes(&dir.join(".wh..wh..opq")), Kind::Regular, meta);
        entry.mtime = archive::tar::Timestamp::default();
        self.header(&entry)
    }

    fn file(&mut self, step: &Step) -> Result<()> {
        let meta = &step.meta;
        if meta.kind == FileKind::Socket {
            self.stats.sockets += 1;
            return Ok(());
        }
        if meta.kind != FileKind::Dir && meta.nlink > 1 {
            if let Some(first) = self.links.get(&(meta.dev, meta.ino)) {
                let mut entry = entry::header(bytes(&step.path), Kind::HardLink, meta);
                entry.link = bytes(first).to_vec();
                return self.header(&entry);
            }
            self.links.insert((meta.dev, meta.ino), step.path.clone());
        }
        match meta.kind {
            FileKind::Dir => self.directory(step),
            FileKind::File => self.regular(step),
            _ => self.special(step),
        }
    }

    fn directory(&mut self, step: &Step) -> Result<()> {
        let fd = dir::open(&step.parent, &step.name)?;
        self.refuse_unmerged(&step.path, &xattr::list_fd(&fd)?)?;
        self.header(&entry::directory(bytes(&step.path), &fd, &step.meta)?)?;
        match self.marks {
            Some(marks) if marks.hides(&step.parent, &step.name, &fd)? => {
                self.opaque_marker(&step.path, &step.meta)
            }
            _ => Ok(()),
        }
    }

    fn special(&mut self, step: &Step) -> Result<()> {
        let entry = entry::special(bytes(&step.path), &step.parent, &step.name, &step.meta)?;
        if step.meta.kind == FileKind::Symlink {
            self.stats.size += step.meta.size;
        }
        self.header(&entry)
    }

    fn regular(&mut self, step: &Step) -> Result<()> {
        let fd = dir::open_file(&step.parent, &step.name)?;
        // Of the file that is open, in case the name was given to another one.
        let meta = meta::of_fd(&fd)?;
        self.refuse_unmerged(&step.path, &xattr::list_fd(&fd)?)?;
        let (entry, extents) = entry::regular(bytes(&step.path), &fd, &meta)?;
        self.stats.size += meta.size;
        self.header(&entry)?;
        if meta.size > BUFFER as u64 {
            file::advise_sequential(&fd);
        }
        for (offset, length) in extents {
            self.copy(&fd, offset, length, &step.path)?;
        }
        Ok(())
    }

    fn copy(&mut self, fd: &OwnedFd, offset: u64, length: u64, path: &Path) -> Result<()> {
        let mut done = 0;
        while done < length {
            let want = usize::try_from(length - done).unwrap_or(usize::MAX).min(self.buffer.len());
            let n = file::read_at(fd, &mut self.buffer[..want], offset + done)?;
            if n < want {
                return Err(Error::Changed { path: absolute(path) });
            }
            self.tar.data(&self.buffer[..n])?;
            done += n as u64;
        }
        Ok(())
    }

    /// Refuses a file whose content or place is in the layers below.
    fn refuse_unmerged(&self, path: &Path, keys: &[OsString]) -> Result<()> {
        let Some(Marks { space, .. }) = self.marks else { return Ok(()) };
        match keys.iter().find(|key| **key == space.redirect() || **key == space.metacopy()) {
            Some(key) => {
                let attribute = key.to_string_lossy().into_owned();
                Err(Error::NeedsMergedView { path: absolute(path), attribute })
            }
            None => Ok(()),
        }
    }
}

/// A path as an archive has it.
fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// A path as a container sees it, for messages.
fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
