//! What a directory changes in what is below it, as `docker diff` shows it (moby.md §11.4).
//!
//! Docker walks two mounted trees. Here only the upper directory is read, and each of its names looked up below.
//! The answer is the same, but sorted by path.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use sys::{FileKind, Meta, OwnedFd, Root, dir, meta, xattr};

use crate::Marks;
use crate::error::{Error, Result};
use crate::lowers::{Found, Lowers, MergedDir};
use crate::marks::Role;

/// A changed path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// From the root of the container, with a leading slash.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It, or something in it, is no longer the same (Docker: `C`).
    Modified,
    /// It is new (`A`).
    Added,
    /// It is gone (`D`); what was in it is not told.
    Deleted,
}

impl fmt::Display for ChangeKind {
    /// Docker's letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modified => "C",
            Self::Added => "A",
            Self::Deleted => "D",
        })
    }
}

/// What the upper directory of a union changes in its lower layers. Reads the upper only, but for one look-up per
/// name and the directories that are opaque. Works while the overlay is mounted.
///
/// # Errors
/// [`Error::NeedsMergedView`] if the overlay was mounted with `redirect_dir=on`.
pub fn upper_changes(upper: &Root, lowers: &Lowers, marks: impl Into<Marks>) -> Result<Vec<Change>> {
    let (marks, touched) = (Some(marks.into()), None);
    Comparison { new: upper, marks, old: lowers, touched, found: BTreeMap::new() }.run(false)
}

/// What the tree `new` changes in the tree `old`; everything in it is new if there is no `old`. Reads both.
pub fn tree_changes(new: &Root, old: impl Into<Option<Root>>) -> Result<Vec<Change>> {
    let old = old.into().map_or_else(Lowers::default, Lowers::tree);
    Comparison { new, marks: None, old: &old, touched: None, found: BTreeMap::new() }.run(true)
}

/// As [`tree_changes`], where `new` began as a snapshot of `old` and somebody knows what has changed in it: the numbers of
/// the inodes that did, and of all directories on the way to them. Reads those directories only.
pub fn snapshot_changes(new: &Root, old: Root, touched: &HashSet<u64>) -> Result<Vec<Change>> {
    let old = Lowers::tree(old);
    Comparison { new, marks: None, old: &old, touched: Some(touched), found: BTreeMap::new() }.run(true)
}

struct Comparison<'a> {
    new: &'a Root,
    marks: Option<Marks>,
    old: &'a Lowers,
    /// The inodes of the new tree that may have changed; `None` if any may.
    touched: Option<&'a HashSet<u64>>,
    found: BTreeMap<PathBuf, ChangeKind>,
}

/// A directory that is to be compared.
struct Pair {
    path: PathBuf,
    /// The old directory's layers; none if it is new.
    parts: Vec<usize>,
    /// Whether nothing of the old directory shows through.
    whole: bool,
    /// The device whose inodes may be known to be untouched: another file system may be mounted, or lie, in the tree.
    dev: u64,
}

impl Comparison<'_> {
    fn run(mut self, whole: bool) -> Result<Vec<Change>> {
        let parts = self.old.top()?.map_or_else(Vec::new, |top| top.parts);
        let dev = meta::of_fd(self.new)?.dev;
        let mut rest = vec![Pair { path: PathBuf::new(), parts, whole, dev }];
        while let Some(pair) = rest.pop() {
            self.compare(&pair, &mut rest)?;
        }
        let change = |(path, kind)| Change { path: Path::new("/").join(path), kind };
        Ok(self.found.into_iter().map(change).collect())
    }

    fn compare(&mut self, pair: &Pair, rest: &mut Vec<Pair>) -> Result<()> {
        let new = self.new.dir_nofollow(&pair.path)?;
        self.refuse_redirect(&new, &pair.path)?;
        let old = self.old.open(&pair.path, &pair.parts)?;
        let mut names = BTreeSet::new();
        for entry in dir::list(&new)? {
            let Some(meta) = meta::find(&new, &entry.name)? else { continue };
            let path = pair.path.join(&entry.name);
            match self.marks.map(|marks| marks.role(&path)) {
                Some(Role::Mark) => continue,
                Some(Role::Deletion(_)) if meta.is_whiteout() => continue,
                Some(Role::File) if meta.is_whiteout() => {
                    self.deletion(pair, &new, &old, &entry.name)?;
                    continue;
                }
                Some(Role::Deletion(gone)) => {
                    self.deletion(pair, &new, &old, gone)?;
                    continue;
                }
                _ => {}
            }
            let before = old.find(&entry.name)?;
            names.insert(entry.name.clone());
            match &before {
                None => self.record(&path, ChangeKind::Added),
                Some(before) => {
                    let old_fd = old.part(before.layer);
                    if differ(&meta, &before.meta)
                        || !self.is_untouched(&meta, &before.meta)
                            && capabilities_differ(&new, old_fd, &entry.name, &meta)?
                    {
                        self.record(&path, ChangeKind::Modified);
                    }
                }
            }
            if meta.kind == FileKind::Dir && !self.is_the_same_below(pair, &meta, before.as_ref()) {
                rest.push(self.pair(pair, path, &new, &entry.name, before)?);
            }
        }
        if pair.whole {
            for name in old.list()?.into_keys().filter(|name| !names.contains(name)) {
                self.record(&pair.path.join(name), ChangeKind::Deleted);
            }
        }
        Ok(())
    }

    /// The upper deletes `gone`, unless it has one of that name itself.
    fn deletion(&mut self, pair: &Pair, new: &OwnedFd, old: &MergedDir, gone: &OsStr) -> Result<()> {
        let own = meta::find(new, gone)?.filter(|own| !own.is_whiteout());
        if own.is_none() && old.find(gone)?.is_some() {
            self.record(&pair.path.join(gone), ChangeKind::Deleted);
        }
        Ok(())
    }

    /// The comparison of a directory in `above`.
    fn pair(
        &self,
        above: &Pair,
        path: PathBuf,
        new: &OwnedFd,
        name: &OsStr,
        before: Option<Found>,
    ) -> Result<Pair> {
        let parts = before.map_or_else(Vec::new, |before| before.parts);
        let whole = above.whole
            || match self.marks {
                Some(marks) if !parts.is_empty() => marks.hides(new, name, dir::open(new, name)?)?,
                _ => false,
            };
        Ok(Pair { path, parts, whole, dev: above.dev })
    }

    /// Whether nothing below a directory of a snapshot can have changed.
    fn is_the_same_below(&self, above: &Pair, new: &Meta, before: Option<&Found>) -> bool {
        self.touched.is_some_and(|touched| {
            new.dev == above.dev
                && before.is_some_and(|before| before.meta.ino == new.ino)
                && !touched.contains(&new.ino)
        })
    }

    /// Whether a file of a whole tree is the very one of the tree that this one is a snapshot of, or a link to it: any
    /// change since, of capabilities too, would have changed its ctime.
    fn is_untouched(&self, new: &Meta, old: &Meta) -> bool {
        self.marks.is_none() && new.ino == old.ino && new.ctime == old.ctime
    }

    fn refuse_redirect(&self, fd: &OwnedFd, path: &Path) -> Result<()> {
        let Some(marks) = self.marks else { return Ok(()) };
        let key = marks.space.redirect();
        match xattr::get_fd(fd, key)? {
            Some(_) => Err(Error::NeedsMergedView {
                path: Path::new("/").join(path),
                attribute: key.to_string_lossy().into_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Notes a change. The directories that it is in are changed by it, except for the root.
    fn record(&mut self, path: &Path, kind: ChangeKind) {
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            if self.found.contains_key(above) {
                break;
            }
            self.found.insert(above.to_owned(), ChangeKind::Modified);
        }
        self.found.insert(path.to_owned(), kind);
    }
}

/// Whether Docker takes these for two states of a file. Neither the inode's number nor its time of change counts: a
/// copy-up changes both. Docker's test for directories takes block devices and sockets for such, and so does this.
pub(crate) fn differ(new: &Meta, old: &Meta) -> bool {
    let device = |meta: &Meta| match meta.kind {
        FileKind::CharDevice | FileKind::BlockDevice => meta.rdev,
        _ => (0, 0),
    };
    let status = |meta: &Meta| (meta.kind, meta.mode, meta.uid, meta.gid, device(meta));
    let timeless = matches!(new.kind, FileKind::Dir | FileKind::BlockDevice | FileKind::Socket);
    status(new) != status(old) || !timeless && (new.size != old.size || !same_time(new, old))
}

/// Times of whole seconds match any fraction: an archive may have dropped it.
fn same_time(new: &Meta, old: &Meta) -> bool {
    let (new, old) = (new.mtime, old.mtime);
    new.secs == old.secs && (new.nanos == old.nanos || new.nanos == 0 || old.nanos == 0)
}

fn capabilities_differ(new: &OwnedFd, old: Option<&OwnedFd>, name: &OsStr, meta: &Meta) -> Result<bool> {
    let key = OsStr::new("security.capability");
    match old {
        Some(old) if meta.kind == FileKind::File => {
            Ok(xattr::get(new, name, key)? != xattr::get(old, name, key)?)
        }
        _ => Ok(false),
    }
}
