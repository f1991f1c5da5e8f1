//! The file on the disk: read whole, replaced whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// Links to follow before something is wrong, as the kernel does.
const MAX_LINKS: u32 = 40;

/// Longest file to read: far above any real one.
const MAX_BYTES: u64 = 16 << 20;

/// The text of the file; empty if there is none.
pub(super) fn read(path: &Path) -> io::Result<String> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_BYTES => Err(io::Error::other("longer than 16 MiB")),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        _ => fs::read_to_string(path),
    }
}

/// Changes the file: `edit` makes its new text of the old one, or `None` for none. Whether it changed.
///
/// Two of us wait for each other. The new file is on the disk before it takes the old one's place, is readable by its
/// owner only and belongs to whom the old one did. A link stays, as with Docker; what it points at is replaced.
pub(super) fn change(path: &Path, edit: impl FnOnce(&str) -> Result<Option<String>>) -> Result<bool> {
    let failed = |err| Error::io("write", path, err);
    let target = behind_links(path).map_err(failed)?;
    let dir = match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let dir = lock(dir).map_err(failed)?;
    let old = read(&target).map_err(|err| Error::io("read", path, err))?;
    let Some(text) = edit(&old)? else { return Ok(false) };
    replace(&target, &text).and_then(|()| dir.sync_all()).map_err(failed)?;
    Ok(true)
}

/// Locks a directory until the handle is dropped, and makes it if there is none.
fn lock(dir: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let handle = File::open(dir)?;
    handle.lock()?;
    Ok(handle)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    // The name is always the same, so what a killed command left is gone with the next one.
    let new = path.with_file_name(format!(".{}.layercake", name.to_string_lossy()));
    let _ = fs::remove_file(&new);
    let written = write(&new, text, fs::metadata(path).ok()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write(new: &Path, text: &str, old: Option<fs::Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(text.as_bytes())?;
    if let Some(old) = old {
        // Under sudo the file stays the user's. Nobody else may give it away, and need not.
        let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
    }
    file.sync_all()
}

/// Where `path` leads; the last link may point at nothing.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}
