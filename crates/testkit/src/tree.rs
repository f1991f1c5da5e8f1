//! Making trees, and listing them so that two can be compared.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sys::{FileKind, Meta, OwnedFd, Time, dir, meta, xattr};

/// The time that [`settle_times`] gives to everything: that of the archives of [`crate::archive`].
pub const TIME: Time = Time { secs: crate::archive::TIME.secs, nanos: crate::archive::TIME.nanos };

/// What a listing leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Without {
    /// Times of directories, which change with their content.
    pub dir_times: bool,
    /// All times.
    pub times: bool,
}

/// Lists a tree, one line for each file in the order of names: path, kind, mode, owner, time, and content: the hash of
/// a file, the target of a link, the numbers of a device, attributes, and the first name of a file with several.
/// Notes that the kernel's overlay makes for itself (origin, impure, uuid, nlink) are left out. The root is `.`.
pub fn dump(path: &Path) -> Vec<String> {
    dump_without(path, Without::default())
}

/// As [`dump`], without something.
pub fn dump_without(path: &Path, without: Without) -> Vec<String> {
    let mut listing = Listing { lines: Vec::new(), links: HashMap::new(), without };
    let fd = dir::open_path(path).expect("opening a tree to list it");
    let keys = xattr::list_fd(&fd).unwrap();
    let mut line = listing.attributes(".", &meta::of_fd(&fd).unwrap());
    push_xattrs(&mut line, keys, |key| xattr::get_fd(&fd, key).unwrap());
    listing.lines.push(line);
    listing.directory(&fd, Path::new(""));
    listing.lines
}

struct Listing {
    lines: Vec<String>,
    /// By inode: the line of its first name, that name, and whether the line says so.
    links: HashMap<u64, (usize, PathBuf, bool)>,
    without: Without,
}

impl Listing {
    fn directory(&mut self, fd: &OwnedFd, path: &Path) {
        for entry in dir::list_sorted(fd).unwrap() {
            let child = path.join(&entry.name);
            let meta = meta::of(fd, &entry.name).unwrap();
            let mut line = self.attributes(&child.display().to_string(), &meta);
            content(&mut line, fd, &entry.name, &meta);
            let keys = xattr::list(fd, &entry.name).unwrap();
            push_xattrs(&mut line, keys, |key| xattr::get(fd, &entry.name, key).unwrap());
            self.links(&mut line, &child, &meta);
            self.lines.push(line);
            if meta.kind == FileKind::Dir {
                self.directory(&dir::open(fd, &entry.name).unwrap(), &child);
            }
        }
    }

    fn attributes(&self, path: &str, meta: &Meta) -> String {
        let mut line = format!("{path:?} {:?} {:04o} {}:{}", meta.kind, meta.mode, meta.uid, meta.gid);
        let timeless = self.without.times || self.without.dir_times && meta.kind == FileKind::Dir;
        if !timeless {
            write!(line, " {}.{:09}", meta.mtime.secs, meta.mtime.nanos).unwrap();
        }
        line
    }

    /// Marks the names of one file, if the tree shows more than one: a link count also counts what is hidden.
    fn links(&mut self, line: &mut String, path: &Path, meta: &Meta) {
        if meta.kind == FileKind::Dir || meta.nlink == 1 || meta.is_whiteout() {
            return;
        }
        match self.links.entry(meta.ino) {
            Entry::Vacant(vacant) => drop(vacant.insert((self.lines.len(), path.to_owned(), false))),
            Entry::Occupied(mut first) => {
                let (index, path, marked) = first.get_mut();
                if !std::mem::replace(marked, true) {
                    write!(self.lines[*index], " = {path:?}").unwrap();
                }
                write!(line, " = {path:?}").unwrap();
            }
        }
    }
}

fn content(line: &mut String, parent: &OwnedFd, name: &OsStr, meta: &Meta) {
    match meta.kind {
        FileKind::File => {
            let mut file = std::fs::File::from(dir::open_file(parent, name).unwrap());
            write!(line, " {} bytes {}", meta.size, hash(&mut file)).unwrap();
        }
        FileKind::Symlink => write!(line, " -> {:?}", dir::read_link(parent, name).unwrap()).unwrap(),
        FileKind::CharDevice | FileKind::BlockDevice => {
            write!(line, " {}:{}", meta.rdev.0, meta.rdev.1).unwrap();
        }
        _ => {}
    }
}

fn push_xattrs(
    line: &mut String,
    mut keys: Vec<std::ffi::OsString>,
    get: impl Fn(&OsStr) -> Option<Vec<u8>>,
) {
    keys.sort();
    for key in keys {
        let text = key.to_string_lossy();
        let own = ["origin", "impure", "uuid", "nlink"]
            .iter()
            .any(|note| text.ends_with(&format!("overlay.{note}")));
        if !own && text != "security.selinux" {
            write!(line, " {text}={}", hex(&get(&key).unwrap_or_default())).unwrap();
        }
    }
}

/// The SHA-256 of all that a reader gives, shortened to what a test needs.
fn hash(reader: &mut impl Read) -> String {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => return hex(&sum.finalize()[..8]),
            n => sum.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Writes a file, and the directories that lead to it.
pub fn file(root: &Path, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

/// Makes a directory, and those that lead to it.
pub fn dir(root: &Path, path: &str) -> PathBuf {
    let path = root.join(path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Makes a symbolic link.
pub fn symlink(root: &Path, path: &str, target: &str) {
    std::os::unix::fs::symlink(target, root.join(path)).unwrap();
}

/// Makes OverlayFS's whiteout of a path.
pub fn whiteout(root: &Path, path: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let parent = dir::open_path(path.parent().unwrap()).unwrap();
    dir::mknod(parent, path.file_name().unwrap(), FileKind::CharDevice, 0, 0, 0).unwrap();
}

/// Sets an attribute of a directory or file.
pub fn set_xattr(path: &Path, key: &str, value: &[u8]) {
    let parent = dir::open_path(path.parent().unwrap()).unwrap();
    xattr::set(parent, path.file_name().unwrap(), key.as_ref(), value).unwrap();
}

/// Makes a directory opaque, as root's overlay does.
pub fn opaque(root: &Path, path: &str) {
    set_xattr(&dir(root, path), "trusted.overlay.opaque", b"y");
}

/// Gives everything in a tree the same [`TIME`].
pub fn settle_times(root: &Path) {
    let fd = dir::open_path(root).unwrap();
    for entry in dir::list(&fd).unwrap() {
        if meta::of(&fd, &entry.name).unwrap().kind == FileKind::Dir {
            settle_times(&root.join(&entry.name));
        }
        meta::set_times(&fd, &entry.name, TIME, TIME).unwrap();
    }
    meta::set_times_fd(&fd, TIME, TIME).unwrap();
}

/// All directories of a tree, the root first, each before what is in it.
pub fn dirs(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_owned()];
    let fd = dir::open_path(root).unwrap();
    for entry in dir::list_sorted(&fd).unwrap() {
        if meta::of(&fd, &entry.name).unwrap().kind == FileKind::Dir {
            all.extend(dirs(&root.join(&entry.name)));
        }
    }
    all
}
