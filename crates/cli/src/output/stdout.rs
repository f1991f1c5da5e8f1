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

/// Writes bytes to standard output, as [`print`] does.
///
/// # Errors
/// As [`print`].
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    finish(out.write_all(bytes).and_then(|()| out.flush()))
}

/// What a write to standard output means for the command.
fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("write", Path::new("/dev/stdout"), &err))
        }
        _ => Ok(()),
    }
}

/// Writes a message to standard error; if nobody listens, it is lost.
pub fn complain(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Standard output for an archive. Remembers whether its reader went away, for the writer in between may not tell.
pub struct Stream {
    out: io::StdoutLock<'static>,
    left: bool,
}

impl Stream {
    /// Lets `write` write to standard output.
    ///
    /// # Errors
    /// Those of `write`, unless the reader went away.
    pub fn run(write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut stream = Self { out: io::stdout().lock(), left: false };
        let written = write(&mut stream).and_then(|()| finish(stream.flush()));
        if stream.left { Ok(()) } else { written }
    }

    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.left |= result.as_ref().is_err_and(|err| err.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf);
        self.watch(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.watch(flushed)
    }
}
