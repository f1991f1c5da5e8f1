//! Calls on many files, as programs make them, without the programs.

use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, fstat, openat, statat, unlinkat};
use rustix::io::{read, write};

use super::verify;
use crate::Result;

/// How much of a directory is read in one call: as the C library does.
const LISTING: usize = 32 * 1024;

/// What a walk has found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub files: usize,
    pub directories: usize,
}

/// Lists the tree below a directory, and asks for the attributes of every file: `find -size`, `ls -lR`, `du`.
pub fn stat_all(dir: impl AsFd) -> Result<Found> {
    let mut found = Found::default();
    descend(dir, true, &mut found)?;
    Ok(found)
}

/// Lists the tree below a directory, and asks for the attributes of directories only, as `find` does with the types
/// that the listing gives.
pub fn list_all(dir: impl AsFd) -> Result<Found> {
    let mut found = Found::default();
    descend(dir, false, &mut found)?;
    Ok(found)
}

fn descend(dir: impl AsFd, stat: bool, found: &mut Found) -> Result<()> {
    let mut buffer = Vec::with_capacity(LISTING);
    let mut directories: Vec<CString> = Vec::new();
    let mut entries = RawDir::new(&dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match stat {
            true => FileType::from_raw_mode(statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
            false => entry.file_type(),
        };
        match kind {
            FileType::Directory => directories.push(name.to_owned()),
            FileType::Unknown => return Err(format!("{name:?}: listed without a type").into()),
            _ => found.files += 1,
        }
    }
    for name in directories {
        if !stat {
            statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let child = openat(&dir, &name, flags, Mode::empty())?;
        fstat(&child)?;
        found.directories += 1;
        descend(&child, stat, found)?;
    }
    Ok(())
}

/// Opens a file below a directory.
pub fn open(dir: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    openat(dir, path, flags | OFlags::CLOEXEC, Mode::from(0o644))
        .map_err(|e| format!("{}: {e}", path.display()).into())
}

/// Opens, reads and closes every file; each has to have as many bytes as `buffer`.
pub fn read_each(dir: impl AsFd, paths: &[PathBuf], buffer: &mut [u8]) -> Result<()> {
    for path in paths {
        let file = open(&dir, path, OFlags::RDONLY)?;
        let n = read(&file, &mut *buffer)?;
        verify(n == buffer.len(), || format!("{}: {n} bytes", path.display()))?;
    }
    Ok(())
}

/// Opens every file with `flags`, writes `data` and closes it.
pub fn write_each(dir: impl AsFd, paths: &[PathBuf], flags: OFlags, data: &[u8]) -> Result<()> {
    for path in paths {
        let file = open(&dir, path, OFlags::WRONLY | flags)?;
        let n = write(&file, data)?;
        verify(n == data.len(), || format!("{}: {n} bytes written", path.display()))?;
    }
    Ok(())
}

/// Removes every file.
pub fn unlink_each(dir: impl AsFd, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        unlinkat(&dir, path, AtFlags::empty()).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Reads a file to its end in blocks; returns its size.
pub fn read_all(file: impl AsFd, block: usize) -> Result<u64> {
    let mut buffer = vec![0; block];
    let mut size = 0;
    loop {
        match read(&file, &mut buffer[..])? {
            0 => return Ok(size),
            n => size += n as u64,
        }
    }
}

/// Writes `size` bytes in blocks.
pub fn write_all(file: impl AsFd, block: usize, size: u64) -> Result<()> {
    let buffer = vec![0x5a; block];
    let mut left = size;
    while left > 0 {
        let n = write(&file, &buffer[..])?;
        verify(n == block, || format!("{n} bytes written"))?;
        left = left.saturating_sub(n as u64);
    }
    Ok(())
}

/// Makes an empty file.
pub fn touch(path: &Path) -> Result<()> {
    File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(())
}
