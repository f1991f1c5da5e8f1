//! Which files a `COPY` means: paths, patterns, what is left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use changeset::Found;
use dockerfile::Ignore;
use sys::FileKind;

use super::target::plain;
use crate::copy::{Nowhere, Tree};
use crate::{Error, Result};

/// A tree that is copied from.
pub(in crate::build) struct Source<'a> {
    pub tree: &'a Tree,
    /// What is not there, though it is (`.dockerignore`).
    pub ignore: Option<&'a Ignore>,
    /// Whether files have owners there; those of the context belong to nobody.
    pub has_owners: bool,
}

/// Something that a source names.
#[derive(Debug, Clone)]
pub(super) struct Picked {
    /// As it was named, without a slash in front.
    pub named: PathBuf,
    /// Where it really is.
    pub path: PathBuf,
    pub found: Found,
}

impl Picked {
    pub fn is_dir(&self) -> bool {
        self.found.meta.kind == FileKind::Dir
    }
}

/// Something in a directory that is copied.
pub(super) struct Member {
    /// Its path below that directory.
    pub below: PathBuf,
    /// Its path in the tree.
    pub path: PathBuf,
    pub found: Found,
}

impl Source<'_> {
    /// What `named` means: a path, or a pattern, which may mean nothing.
    ///
    /// # Errors
    /// Nothing is at the path.
    pub(super) fn pick(&self, named: &str) -> Result<Vec<Picked>> {
        let path = plain(Path::new(named));
        if has_pattern(named) {
            return self.matching(&path);
        }
        match self.at(&path)? {
            Some(picked) => Ok(vec![picked]),
            None => Err(missing(&path)),
        }
    }

    /// What is at a path, if it is there and not ignored.
    fn at(&self, named: &Path) -> Result<Option<Picked>> {
        let place = match self.tree.find(named, true)? {
            Ok(place) => place,
            Err(Nowhere::Loop) => {
                return Err(Error::invalid(format!(
                    "/{}: too many levels of symbolic links",
                    named.display()
                )));
            }
            Err(_) => return Ok(None),
        };
        let is_dir = place.is_dir();
        if self.is_ignored(named) && !(is_dir && self.has_members(&place.path)?) {
            return Ok(None);
        }
        Ok(Some(Picked { named: named.to_owned(), path: place.path, found: place.found }))
    }

    fn is_ignored(&self, path: &Path) -> bool {
        self.ignore.is_some_and(|ignore| ignore.excludes(&path.to_string_lossy()))
    }

    /// Whether an ignored directory holds something that is not.
    fn has_members(&self, path: &Path) -> Result<bool> {
        let mut some = false;
        self.members(path, None, &mut |_| {
            some = true;
            Ok(())
        })?;
        Ok(some)
    }

    /// All that matches a pattern, sorted. Go's rules: no wildcard matches a slash.
    fn matching(&self, pattern: &Path) -> Result<Vec<Picked>> {
        let mut found = vec![PathBuf::new()];
        for component in pattern.components() {
            let Some(wanted) = component.as_os_str().to_str() else { return Ok(Vec::new()) };
            let mut next = Vec::new();
            for dir in found {
                if !has_pattern(wanted) {
                    next.push(dir.join(wanted));
                    continue;
                }
                let Ok(place) = self.tree.find(&dir, true)? else { continue };
                for name in self.tree.layers().list(&place.path)?.into_keys() {
                    let matches = model::pattern::matches(wanted, &name.to_string_lossy());
                    if matches.map_err(|e| Error::invalid(format!("{wanted}: {e}")))? {
                        next.push(dir.join(name));
                    }
                }
            }
            found = next;
        }
        let picked = found.iter().map(|path| self.at(path));
        Ok(picked.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Calls `take` for everything below the directory `dir`, a path without links: directories before what is in them,
    /// names by their bytes. What is ignored or excluded is left out, but for directories that hold something that is
    /// not.
    pub(super) fn members(
        &self,
        dir: &Path,
        exclude: Option<&Ignore>,
        take: &mut dyn FnMut(Member) -> Result<()>,
    ) -> Result<()> {
        let mut walk = Walk { source: self, exclude, held_back: Vec::new(), take };
        walk.enter(dir, Path::new(""))
    }
}

/// A walk through a directory.
struct Walk<'a, 'b> {
    source: &'a Source<'a>,
    exclude: Option<&'a Ignore>,
    /// Directories on the way that are left out unless something in them is not.
    held_back: Vec<Member>,
    take: &'a mut (dyn FnMut(Member) -> Result<()> + 'b),
}

impl Walk<'_, '_> {
    fn enter(&mut self, dir: &Path, below: &Path) -> Result<()> {
        for (name, found) in self.source.tree.layers().list(dir)? {
            let member = Member { below: below.join(&name), path: dir.join(&name), found };
            let kind = member.found.meta.kind;
            if kind == FileKind::Socket {
                continue;
            }
            let is_dir = kind == FileKind::Dir;
            let (path, below) = (member.path.clone(), member.below.clone());
            let below_text = below.to_string_lossy();
            let excluded = self.exclude.is_some_and(|exclude| exclude.excludes(&below_text));
            let left_out = excluded || self.source.is_ignored(&path);
            if !is_dir {
                if !left_out {
                    self.take(member)?;
                }
                continue;
            }
            let is_empty = |ignore: Option<&Ignore>, path: &str| {
                ignore.is_some_and(|ignore| ignore.excludes_all_below(path))
            };
            if !left_out {
                self.take(member)?;
                self.enter(&path, &below)?;
            } else if !is_empty(self.source.ignore, &path.to_string_lossy())
                && !is_empty(self.exclude, &below_text)
            {
                let depth = self.held_back.len();
                self.held_back.push(member);
                self.enter(&path, &below)?;
                self.held_back.truncate(depth);
            }
        }
        Ok(())
    }

    fn take(&mut self, member: Member) -> Result<()> {
        for dir in std::mem::take(&mut self.held_back) {
            (self.take)(dir)?;
        }
        (self.take)(member)
    }
}

/// BuildKit's words for what is not there.
fn missing(path: &Path) -> Error {
    Error::invalid(format!("failed to compute cache key: \"/{}\": not found", path.display()))
}

fn has_pattern(text: &str) -> bool {
    OsStr::new(text).as_bytes().iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'))
}
