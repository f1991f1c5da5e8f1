//! Standard output and standard error.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use super::failure::Failure;

/// Writes `text` to standard output.
///
/// # Errors
/// It cannot be written. Somebody who has read enough (`layercake images | head -1`) is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output, as [`print()`] does.
///
/// # Errors
/// As [`print()`].
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    finish(out.write_all(bytes).and_then(|()| out.flush()))
}

/// What the end of a write to standard output means for the command.
///
/// # Errors
/// As [`print()`].
pub fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("write", Path::new("/dev/stdout"), &err))
        }
        _ => Ok(()),
    }
}

/// Writes a message to standard error; if nobody listens, it is lost. An empty one is none.
pub fn complain(message: impl fmt::Display) {
    let message = message.to_string();
    if !message.is_empty() {
        let _ = writeln!(io::stderr(), "{message}");
    }
}
