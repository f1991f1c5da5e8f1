//! Small files and names: the few steps that every module takes.

use std::ffi::OsStr;
use std::path::Path;

use sys::{AsFd, OwnedFd};

use crate::commit::CommitLock;
use crate::error::Result;

/// A name for a system call.
pub(crate) fn os(name: &str) -> &OsStr {
    OsStr::new(name)
}

/// Opens the directory `name`, or says `None` if it is not there.
pub(crate) fn find_dir(parent: impl AsFd, name: &str) -> Result<Option<OwnedFd>> {
    absent(sys::dir::open(parent, os(name)))
}

/// `None` for what is not there.
pub(crate) fn absent<T>(result: sys::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Reads a file of one value: text without the white space around it, which readers of this format have always
/// ignored (moby.md §4). Bytes that are no text come out as replacement characters, which no value contains.
pub(crate) fn find_text(parent: impl AsFd, name: &str) -> Result<Option<String>> {
    Ok(sys::atomic::find(parent, os(name))?.map(value))
}

/// As [`find_text`], of the file `name` in the directory `dir` below `parent`.
pub(crate) fn find_text_in(parent: impl AsFd, dir: &str, name: &str) -> Result<Option<String>> {
    Ok(sys::atomic::find_below(parent, &Path::new(dir).join(name))?.map(value))
}

fn value(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// The names in a directory that are text, in byte order. Whatever is not text is not ours and not Docker's.
pub(crate) fn names(dir: impl AsFd) -> Result<Vec<String>> {
    let entries = sys::dir::list_sorted(dir)?;
    Ok(entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect())
}

/// As [`names`], of a directory that may be absent.
pub(crate) fn names_in(dir: Option<&OwnedFd>) -> Result<Vec<String>> {
    dir.map_or_else(|| Ok(Vec::new()), names)
}

/// Replaces the file `name` by `data` with exactly `mode`; its content is durable, its name not yet. Until then it lies
/// in the private directory, where a sweep finds what a crash left of it.
pub(crate) fn replace(
    lock: &CommitLock<'_>,
    dir: &OwnedFd,
    name: &str,
    mode: u32,
    data: &[u8],
) -> Result<()> {
    let aside = lock.root.writable(&lock.root.dirs.private)?;
    Ok(sys::atomic::replace_by(aside, dir, os(name), mode, data)?)
}

/// As [`replace`], but nothing is durable: after a power cut the file may be anything.
pub(crate) fn replace_unsynced(
    lock: &CommitLock<'_>,
    dir: &OwnedFd,
    name: &str,
    mode: u32,
    data: &[u8],
) -> Result<()> {
    let aside = lock.root.writable(&lock.root.dirs.private)?;
    Ok(sys::atomic::replace_by_unsynced(aside, dir, os(name), mode, data)?)
}

/// 64 random hexadecimal digits.
pub(crate) fn random_hex() -> String {
    sys::process::random::<32>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes an empty directory if it can be removed: one that filled up meanwhile, or is gone, is left alone.
pub(crate) fn rmdir_if_empty(parent: impl AsFd, name: &str) {
    let _ = sys::dir::rmdir(parent, os(name));
}

/// Makes the files in a directory, and their names, durable.
pub(crate) fn sync_files(dir: &OwnedFd) -> Result<()> {
    for entry in sys::dir::list(dir)? {
        if entry.kind != Some(sys::FileKind::Dir) {
            sys::file::sync(sys::dir::open_file(dir, &entry.name)?)?;
        }
    }
    Ok(sys::dir::sync(dir)?)
}
