//! What a tree shows, in a form that can be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{DirEntryExt, FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{FileType, lgetxattr, llistxattr};

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type, permissions, owner, content, extended attributes.
    pub shows: String,
    /// How many links, unless it is a directory; `None` in the model where it may be forgotten.
    pub links: Option<u64>,
    /// The time of the last change of content; `None` in the model if it is the time of an operation.
    pub mtime: Option<(i64, i64)>,
    /// The inode number, which the model does not know.
    pub ino: Option<u64>,
}

/// A tree by its paths; the root itself is left out.
pub type Tree = BTreeMap<String, Entry>;

/// Reads a tree.
pub fn tree(root: &Path) -> Tree {
    let mut all = Tree::new();
    walk(root, "", &mut all);
    all
}

fn walk(dir: &Path, path: &str, all: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{path}: {e}")) {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let (path, full) = (format!("{path}/{name}"), dir.join(&name));
        let meta = fs::symlink_metadata(&full).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(entry.file_type().unwrap(), meta.file_type(), "{path}: d_type");
        assert_eq!(entry.ino(), meta.ino(), "{path}: d_ino");
        let kind = meta.file_type();
        let (kind, content) = match () {
            () if kind.is_dir() => ("directory", String::new()),
            () if kind.is_symlink() => ("link", fs::read_link(&full).unwrap().display().to_string()),
            () if kind.is_fifo() => ("fifo", String::new()),
            () if kind.is_file() => {
                let content = fs::read(&full).unwrap_or_else(|e| panic!("{path}: {e}"));
                assert_eq!(content.len() as u64, meta.len(), "{path}: size");
                ("file", digest(&content))
            }
            () => ("device", format!("{:x}", meta.rdev())),
        };
        let shows = shows(kind, meta.mode(), meta.uid(), meta.gid(), &content, &xattrs(&full));
        let before = all.insert(
            path.clone(),
            Entry {
                shows,
                links: (!meta.is_dir()).then(|| meta.nlink()),
                mtime: Some((meta.mtime(), meta.mtime_nsec())),
                ino: Some(meta.ino()),
            },
        );
        assert_eq!(before, None, "{path} is listed twice");
        if meta.is_dir() {
            walk(&full, &path, all);
        }
    }
}

/// An entry's line.
pub fn shows(
    kind: &str,
    mode: u32,
    uid: u32,
    gid: u32,
    content: &str,
    xattrs: &BTreeMap<String, Vec<u8>>,
) -> String {
    let mut line = format!("{kind} {:o} {uid}:{gid} {content}", mode & 0o7777);
    for (key, value) in xattrs {
        write!(line, " {key}={}", String::from_utf8_lossy(value)).unwrap();
    }
    line
}

/// A file's content, shortened.
pub fn digest(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let start = String::from_utf8_lossy(&content[..content.len().min(24)]).into_owned();
    format!("{} bytes {start:?} {:04x}", content.len(), hasher.finish() & 0xffff)
}

/// The word for a type.
pub fn kind_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::RegularFile => "file",
        _ => "other",
    }
}

/// The attributes of a file, of a link itself.
pub fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = vec![0; 4096];
    let n = llistxattr(path, &mut list[..]).unwrap();
    let keys = list[..n].split(|b| *b == 0).filter(|key| !key.is_empty());
    let value = |key: &str| {
        let mut value = vec![0; 4096];
        let n = lgetxattr(path, key, &mut value[..]).unwrap_or_else(|e| panic!("{key}: {e}"));
        value.truncate(n);
        value
    };
    let keys = keys.map(|key| String::from_utf8(key.to_vec()).unwrap());
    keys.filter(|key| !key.starts_with("security.")).map(|key| (key.clone(), value(&key))).collect()
}

/// What is compared beside what shows.
#[derive(Debug, Clone, Copy)]
pub struct Also {
    pub links: bool,
    pub inodes: bool,
    /// Times to the nanosecond. Else a tick of the clock may lie between them: where writes are collected, the time that
    /// shows before they reach the disk is the kernel's own.
    pub exact: bool,
}

/// Fails if two trees differ, with the differences. What one of the two does not know is not compared.
#[track_caller]
pub fn assert_same(what: &str, wanted: &Tree, seen: &Tree, also: Also) {
    let mut text = String::new();
    let paths: std::collections::BTreeSet<_> = wanted.keys().chain(seen.keys()).collect();
    for path in paths {
        let (one, other) = (wanted.get(path), seen.get(path));
        let same = match (one, other) {
            (Some(one), Some(other)) => {
                one.shows == other.shows
                    && (!also.links || agree(one.links, other.links))
                    && (agree(one.mtime, other.mtime) || !also.exact && near(one.mtime, other.mtime))
                    && (!also.inodes || agree(one.ino, other.ino))
            }
            _ => false,
        };
        if !same {
            write!(text, "\n{path}\n  wanted {one:?}\n  seen   {other:?}").unwrap();
        }
    }
    assert!(text.is_empty(), "{what}: {text}");
}

fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn near(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> bool {
    let nanos = |time: (i64, i64)| i128::from(time.0) * 1_000_000_000 + i128::from(time.1);
    one.zip(other).is_some_and(|(one, other)| (nanos(one) - nanos(other)).abs() < 20_000_000)
}
