//! Small files that are replaced whole: the old content or the new one after a power cut, never a part.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::Result;
use crate::{AsFd, OwnedFd, dir, file, meta, process};

/// What temporary names begin with; a sweep removes what a crash left of them.
pub const TEMP_PREFIX: &str = ".tmp-";

/// Replaces the file `name` by `data` with exactly `mode`. When this returns, the new content is durable.
pub fn write(parent: impl AsFd, name: &OsStr, mode: u32, data: &[u8]) -> Result<()> {
    replace(&parent, name, mode, data)?;
    dir::sync(&parent)
}

/// As [`write()`], but the name may still be the old file's after a power cut: for callers that sync the directory once
/// for several files.
pub fn replace(parent: impl AsFd, name: &OsStr, mode: u32, data: &[u8]) -> Result<()> {
    replace_by(&parent, &parent, name, mode, data)
}

/// As [`replace`], with the temporary file in `aside`, a directory of the same file system: for parents that nobody
/// sweeps.
pub fn replace_by(aside: impl AsFd, parent: impl AsFd, name: &OsStr, mode: u32, data: &[u8]) -> Result<()> {
    publish(&aside, &parent, name, |temp| create(&aside, temp, mode, data))
}

/// As [`replace_by`], but nothing is durable: after a power cut the file may be anything.
pub fn replace_by_unsynced(
    aside: impl AsFd,
    parent: impl AsFd,
    name: &OsStr,
    mode: u32,
    data: &[u8],
) -> Result<()> {
    publish(&aside, &parent, name, |temp| create_unsynced(&aside, temp, mode, data).map(drop))
}

fn publish(
    aside: &impl AsFd,
    parent: &impl AsFd,
    name: &OsStr,
    create: impl FnOnce(&OsStr) -> Result<()>,
) -> Result<()> {
    let temp = temp_name(name);
    let written = create(&temp).and_then(|()| dir::rename(aside, &temp, parent, name));
    if written.is_err() {
        let _ = dir::unlink(aside, &temp);
    }
    written
}

/// Creates the new file `name` with exactly `mode`, its data durable, its name not yet.
pub fn create(parent: impl AsFd, name: &OsStr, mode: u32, data: &[u8]) -> Result<()> {
    let fd = create_unsynced(&parent, name, mode, data)?;
    file::sync(&fd)
}

/// Creates the new file `name` with exactly `mode`, durable only after a later sync of the file system.
pub fn create_unsynced(parent: impl AsFd, name: &OsStr, mode: u32, data: &[u8]) -> Result<OwnedFd> {
    let fd = dir::create_file(&parent, name, mode)?;
    meta::chmod_fd(&fd, mode)?;
    file::write_all(&fd, data)?;
    Ok(fd)
}

fn temp_name(name: &OsStr) -> OsString {
    let mut temp = OsString::from(TEMP_PREFIX);
    temp.push(name);
    temp.push(format!("{:016x}", u64::from_le_bytes(process::random())));
    temp
}

/// Reads a whole small file.
pub fn read(parent: impl AsFd, name: &OsStr) -> Result<Vec<u8>> {
    let (fd, size) = dir::open_sized(&parent, name)?;
    read_all(fd, size)
}

/// Reads a whole small file, or `None` if it is not there.
pub fn find(parent: impl AsFd, name: &OsStr) -> Result<Option<Vec<u8>>> {
    unless_absent(read(parent, name))
}

/// As [`find`], of a `path` below `parent` that is followed without links: one step for those who read a file of each
/// of thousands of directories.
pub fn find_below(parent: impl AsFd, path: &Path) -> Result<Option<Vec<u8>>> {
    unless_absent(dir::open_sized_below(&parent, path).and_then(|(fd, size)| read_all(fd, size)))
}

fn read_all(fd: OwnedFd, size: u64) -> Result<Vec<u8>> {
    let mut data = vec![0; usize::try_from(size).unwrap_or(0)];
    let n = file::read_at(&fd, &mut data, 0)?;
    data.truncate(n);
    Ok(data)
}

fn unless_absent<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_small_file_is_found_below_without_following_links() {
        let tmp = tempfile::tempdir().unwrap();
        let path = |name: &str| tmp.path().join(name);
        std::fs::create_dir_all(path("all/one")).unwrap();
        std::fs::write(path("all/one/file"), "text").unwrap();
        std::fs::write(path("out"), "outside").unwrap();
        symlink("one", path("all/dir-link")).unwrap();
        symlink("file", path("all/one/link")).unwrap();
        let all = dir::open_path(&path("all")).unwrap();
        let find = |name: &str| find_below(&all, Path::new(name));
        assert_eq!(find("one/file").unwrap().unwrap(), b"text");
        assert_eq!((find("one/none").unwrap(), find("none/file").unwrap()), (None, None));
        for refused in ["dir-link/file", "one/link", "../out", "one", "/etc/passwd"] {
            assert!(find(refused).is_err(), "{refused}");
        }
    }
}
