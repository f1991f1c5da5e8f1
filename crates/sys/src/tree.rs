//! Whole trees. Nothing is followed: a link is removed or copied as a link.

use std::ffi::OsStr;

use rustix::io::Errno;

use crate::error::Result;
use crate::meta::FileKind;
use crate::{AsFd, BorrowedFd, OwnedFd, dir, meta};

/// Removes `name` and all below it; a name that is not there is no error. Uses no recursion, so a tree of any depth
/// goes; a directory without permissions is opened up first.
pub fn remove(parent: impl AsFd, name: &OsStr) -> Result<()> {
    remove_with(parent, name, &|_, _| Ok(false))
}

/// As [`remove`], for file systems that can remove some directories at one stroke: `at_once` is asked to do so for
/// each directory, before anything in it is removed, and says whether it did.
pub fn remove_with(
    parent: impl AsFd,
    name: &OsStr,
    at_once: &dyn Fn(BorrowedFd<'_>, &OsStr) -> Result<bool>,
) -> Result<()> {
    match remove_leaf(&parent, name, None) {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(e) if e.is_not_found() => return Ok(()),
        Err(e) => return Err(e),
    }
    if at_once(parent.as_fd(), name)? {
        return Ok(());
    }
    let mut stack = vec![Level::open(&parent, name)?];
    while let Some(level) = stack.last_mut() {
        match level.rest.pop() {
            Some(entry) => {
                let gone = remove_leaf(&level.fd, &entry.name, entry.kind)?
                    || at_once(level.fd.as_fd(), &entry.name)?;
                if !gone {
                    let next = Level::open(&level.fd, &entry.name)?;
                    stack.push(next);
                }
            }
            None => {
                let name = level.name.clone();
                stack.pop();
                match stack.last() {
                    Some(above) => dir::rmdir(&above.fd, &name)?,
                    None => dir::rmdir(&parent, &name)?,
                }
            }
        }
    }
    Ok(())
}

/// Removes what is inside the directory, and leaves the directory.
pub fn clear(fd: impl AsFd) -> Result<()> {
    for entry in dir::list(&fd)? {
        remove(&fd, &entry.name)?;
    }
    Ok(())
}

struct Level {
    fd: OwnedFd,
    name: std::ffi::OsString,
    rest: Vec<dir::Entry>,
}

impl Level {
    fn open(parent: impl AsFd, name: &OsStr) -> Result<Self> {
        let fd = match dir::open(&parent, name) {
            Err(e) if e.errno == Errno::ACCESS => {
                meta::chmod(&parent, name, 0o700)?;
                dir::open(&parent, name)?
            }
            other => other?,
        };
        let rest = match dir::list(&fd) {
            Err(e) if e.errno == Errno::ACCESS => {
                meta::chmod_fd(&fd, 0o700)?;
                dir::list(&fd)?
            }
            other => other?,
        };
        // Without write and search permission its names cannot be removed by an ordinary user.
        if !rest.is_empty() && meta::of_fd(&fd)?.mode & 0o300 != 0o300 {
            meta::chmod_fd(&fd, 0o700)?;
        }
        Ok(Self { fd, name: name.to_owned(), rest })
    }
}

/// Removes a non-directory and says `true`; of a directory says `false`.
fn remove_leaf(parent: impl AsFd, name: &OsStr, kind: Option<FileKind>) -> Result<bool> {
    let is_dir = match kind {
        Some(kind) => kind == FileKind::Dir,
        None => meta::of(&parent, name)?.kind == FileKind::Dir,
    };
    if !is_dir {
        match dir::unlink(&parent, name) {
            Err(e) if !e.is_not_found() => return Err(e),
            _ => {}
        }
    }
    Ok(!is_dir)
}

/// What a tree takes: the sum of the sizes of its non-directories, each inode once, symbolic links with the length
/// of their content. Docker's size of an overlay2 layer (moby.md §11.5).
pub fn size(root: impl AsFd) -> Result<u64> {
    let mut total = 0;
    let mut seen = std::collections::HashSet::new();
    let mut dirs = vec![dir::reopen(root)?];
    while let Some(fd) = dirs.pop() {
        for entry in dir::list(&fd)? {
            let meta = meta::of(&fd, &entry.name)?;
            if meta.kind == FileKind::Dir {
                dirs.push(dir::open(&fd, &entry.name)?);
            } else if meta.nlink == 1 || seen.insert((meta.dev, meta.ino)) {
                total += meta.size;
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_deep_trees_and_leaves_what_links_point_to() {
        let tmp = tempfile::tempdir().unwrap();
        let root = dir::open_path(tmp.path()).unwrap();
        std::fs::write(tmp.path().join("keep"), "x").unwrap();
        dir::mkdir(&root, OsStr::new("t"), 0o755).unwrap();
        let mut at = dir::open(&root, OsStr::new("t")).unwrap();
        dir::symlink(&at, OsStr::new("l"), tmp.path().join("keep").as_os_str()).unwrap();
        for _ in 0..300 {
            dir::mkdir(&at, OsStr::new("a-rather-long-directory-name"), 0o000).unwrap();
            meta::chmod(&at, OsStr::new("a-rather-long-directory-name"), 0o700).unwrap();
            at = dir::open(&at, OsStr::new("a-rather-long-directory-name")).unwrap();
        }
        remove(&root, OsStr::new("t")).unwrap();
        remove(&root, OsStr::new("t")).unwrap();
        assert_eq!(dir::list(&root).unwrap().len(), 1);
    }

    #[test]
    fn a_size_counts_each_inode_once() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("d")).unwrap();
        std::fs::write(tmp.path().join("d/f"), "12345").unwrap();
        std::fs::hard_link(tmp.path().join("d/f"), tmp.path().join("g")).unwrap();
        std::os::unix::fs::symlink("abc", tmp.path().join("s")).unwrap();
        assert_eq!(size(dir::open_path(tmp.path()).unwrap()).unwrap(), 8);
    }
}
