//! A small file that the user asked for, such as one with an ID.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::failure::Failure;

/// Writes the file, a new one with mode 0644: this program has no umask.
///
/// # Errors
/// The file cannot be opened or written.
pub fn write(path: &Path, content: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path);
    let written = file.and_then(|mut file| file.write_all(content.as_bytes()));
    written.map_err(|err| Failure::io("open", path, &err))
}
