//! What the paths on the command line of `cp` mean, by the letter: a slash or `/.` at the end, and the nine cases of
//! source and destination (docs.docker.com, "docker cp"; measured with Docker 28.5).
//!
//! | source | destination | result |
//! | --- | --- | --- |
//! | file | missing | the file, with that name |
//! | file | missing, ends in `/` | error: no such directory |
//! | file | a file | replaced |
//! | file | a directory | the file in it |
//! | directory | missing | the directory, with that name |
//! | directory | a file | error: cannot copy directory |
//! | directory | a directory | the directory in it |
//! | `directory/.` | missing | a new directory with the content |
//! | `directory/.` | a directory | the content in it |

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A path as somebody typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelled {
    /// Absolute, without `.`, `..` and double slashes. `..` is taken by the letter, as Docker does.
    pub path: PathBuf,
    /// It ends in `.`: the content of the directory is meant, not the directory.
    pub dot: bool,
    /// It ends in a slash.
    pub slash: bool,
}

impl Spelled {
    /// Reads `path`; one that is not absolute starts at `base`.
    pub fn new(base: &Path, path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        let slash = bytes.ends_with(b"/");
        let last = bytes.split(|b| *b == b'/').rev().find(|part| !part.is_empty());
        Self { path: clean(&base.join(path)), dot: last == Some(b".") || bytes.is_empty(), slash }
    }

    /// Whether it can only mean a directory.
    pub fn asserts_directory(&self) -> bool {
        self.dot || self.slash
    }

    /// The directory that a new thing of this name goes into, and its name there.
    pub fn split(&self) -> (PathBuf, Vec<u8>) {
        if self.dot {
            return (self.path.clone(), b".".to_vec());
        }
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        (parent.to_owned(), self.name())
    }

    /// What an archive of it calls it: the last component, `.` for a directory's content, `/` for the root.
    pub fn name(&self) -> Vec<u8> {
        if self.dot {
            return b".".to_vec();
        }
        self.path.file_name().map_or_else(|| b"/".to_vec(), |name| name.as_bytes().to_vec())
    }

    /// The path with what it ends in.
    pub fn shown(&self) -> String {
        let end = match (self.dot, self.slash) {
            _ if self.path == Path::new("/") => "",
            (true, true) => "/./",
            (true, false) => "/.",
            (false, true) => "/",
            (false, false) => "",
        };
        format!("{}{end}", self.path.display())
    }
}

/// An absolute path without `.`, `..` and double slashes.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            std::path::Component::Normal(name) => cleaned.push(name),
            std::path::Component::ParentDir => _ = cleaned.pop(),
            _ => {}
        }
    }
    cleaned
}

/// Where a copy goes: a directory that has to be there, and the name of the source in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub dir: PathBuf,
    pub name: Vec<u8>,
}

/// Decides the case. `source_name` is what the source calls itself ([`Spelled::name`]); `destination` is there as a
/// directory (`Some(true)`), as something else (`Some(false)`), or not.
pub(super) fn plan(
    source_is_dir: bool,
    source_name: Vec<u8>,
    destination: &Spelled,
    is_dir: Option<bool>,
) -> Result<Plan> {
    match is_dir {
        Some(true) => Ok(Plan { dir: destination.path.clone(), name: source_name }),
        Some(false) if source_is_dir => Err(Error::invalid("cannot copy directory")),
        None if !source_is_dir && destination.asserts_directory() => Err(Error::invalid("no such directory")),
        _ => {
            let (dir, name) = destination.split();
            Ok(Plan { dir, name })
        }
    }
}

/// `name` inside what an archive calls `parent`; in the unnamed top everything has its own name only.
pub(super) fn join(parent: &[u8], name: &OsStr) -> Vec<u8> {
    let mut path = parent.to_vec();
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name.as_bytes());
    path
}

/// The bytes of an archive's name as a path below the place where it is unpacked; `None` if it leads above that.
pub(super) fn below(name: &[u8]) -> Option<PathBuf> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(parts.join(&b'/'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(path: &str) -> Spelled {
        Spelled::new(Path::new("/here"), Path::new(path))
    }

    #[test]
    fn what_a_path_ends_in_counts() {
        for (path, clean, name, asserts) in [
            ("a", "/here/a", "a", false),
            ("/a/b", "/a/b", "b", false),
            ("/a/b/", "/a/b", "b", true),
            ("/a/b/.", "/a/b", ".", true),
            ("/a/b/./", "/a/b", ".", true),
            ("/a/../b", "/b", "b", false),
            ("..", "/", "/", false),
            (".", "/here", ".", true),
            ("/", "/", "/", true),
            ("/..", "/", "/", false),
            ("/a/.hidden", "/a/.hidden", ".hidden", false),
        ] {
            let spelled = spelled(path);
            assert_eq!(spelled.path, Path::new(clean), "{path}");
            assert_eq!(spelled.name(), name.as_bytes(), "{path}");
            assert_eq!(spelled.asserts_directory(), asserts, "{path}");
        }
        assert_eq!(spelled("/a/b/").shown(), "/a/b/");
        assert_eq!(spelled("/a/b/.").split(), (PathBuf::from("/a/b"), b".".to_vec()));
    }

    #[test]
    fn the_nine_cases() {
        let case = |source: &str, is_dir, destination: &str, there| {
            plan(is_dir, spelled(source).name(), &spelled(destination), there)
                .map(|plan| format!("{} {}", plan.dir.display(), String::from_utf8(plan.name).unwrap()))
                .map_err(|e| e.to_string())
        };
        assert_eq!(case("/s/f", false, "/d/x", None).unwrap(), "/d x");
        assert_eq!(case("/s/f", false, "/d/x/", None).unwrap_err(), "no such directory");
        assert_eq!(case("/s/f", false, "/d/x", Some(false)).unwrap(), "/d x");
        assert_eq!(case("/s/f", false, "/d/x", Some(true)).unwrap(), "/d/x f");
        assert_eq!(case("/s/d", true, "/d/x", None).unwrap(), "/d x");
        assert_eq!(case("/s/d", true, "/d/x/", None).unwrap(), "/d x");
        assert_eq!(case("/s/d", true, "/d/x", Some(false)).unwrap_err(), "cannot copy directory");
        assert_eq!(case("/s/d", true, "/d/x", Some(true)).unwrap(), "/d/x d");
        assert_eq!(case("/s/d/.", true, "/d/x", None).unwrap(), "/d x");
        assert_eq!(case("/s/d/.", true, "/d/x", Some(true)).unwrap(), "/d/x .");
    }

    #[test]
    fn names_in_archives_stay_below() {
        assert_eq!(below(b"./a//b/../c"), Some(PathBuf::from("a/c")));
        assert_eq!(below(b"/etc/passwd"), Some(PathBuf::from("etc/passwd")));
        assert_eq!(below(b"./"), Some(PathBuf::new()));
        assert_eq!(below(b"../x"), None);
        assert_eq!(below(b"a/../../x"), None);
    }
}
