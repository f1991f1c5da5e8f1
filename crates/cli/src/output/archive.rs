//! Where `save` and `export` write: to a file that appears when it is whole, or to standard output.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::stdout;

/// Lets `write` write to the file `output`, to standard output without one. `doing` says what for, as in
/// "failed to save image".
///
/// A file is made with mode 0600, as Docker makes it, and takes its name when it is complete and durable. A device or a
/// pipe is written to as it is.
///
/// # Errors
/// Those of `write`; a directory, a directory that is not there, or a terminal.
pub fn to(
    output: Option<&Path>,
    doing: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(path) = output else {
        if io::stdout().is_terminal() {
            let refusal = "cowardly refusing to save to a terminal. Use the -o flag or redirect";
            return Err(Failure::plain(refusal));
        }
        return to_stdout(write);
    };
    match place(path).map_err(|failure| Failure::plain(format_args!("failed to {doing}: {failure}")))? {
        Place::Stream => {
            let file = OpenOptions::new().write(true).open(path);
            fill(file.map_err(|err| Failure::io("open", path, &err))?, path, write).map(drop)
        }
        Place::File => {
            let unfinished = Unfinished::beside(path);
            let file = fill(unfinished.create()?, path, write)?;
            file.sync_all().map_err(|err| Failure::io("sync", path, &err))?;
            unfinished.publish(path)
        }
    }
}

/// Lets `write` write to standard output. That its reader goes away is no error.
///
/// # Errors
/// Those of `write`.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut out = Watched { out: io::stdout().lock(), failed: None };
    let written = write(&mut out);
    match (out.flush(), out.failed) {
        (_, Some(err)) => stdout::finish(Err(err)),
        _ => written,
    }
}

/// What an archive can be written to.
enum Place {
    /// A file, there or not.
    File,
    /// A device or a pipe.
    Stream,
}

fn place(path: &Path) -> Result<Place, Failure> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(directory).map_err(|err| {
        Failure::plain(format_args!("invalid output path: {}", Failure::io("stat", directory, &err)))
    })?;
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(Failure::plain("cannot write to a directory")),
        Ok(meta) if meta.file_type().is_char_device() || meta.file_type().is_fifo() => Ok(Place::Stream),
        _ => Ok(Place::File),
    }
}

fn fill(
    file: File,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<File, Failure> {
    let mut out = Watched { out: BufWriter::with_capacity(1 << 17, file), failed: None };
    let written = write(&mut out);
    if let Some(err) = out.failed {
        return Err(Failure::io("write", path, &err));
    }
    written?;
    out.out.into_inner().map_err(|err| Failure::io("write", path, err.error()))
}

/// A writer that remembers why it failed: the one who writes tells it in other words, or takes it for an error of the
/// store.
struct Watched<W> {
    out: W,
    failed: Option<io::Error>,
}

impl<W: Write> Watched<W> {
    fn watch<T>(&mut self, act: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        let result = act(&mut self.out);
        if let Err(err) = &result
            && err.kind() != io::ErrorKind::Interrupted
        {
            self.failed =
                Some(err.raw_os_error().map_or_else(|| err.kind().into(), io::Error::from_raw_os_error));
        }
        result
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.watch(|out| out.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.watch(W::flush)
    }
}

/// A file beside its place, which goes when this is dropped.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> Self {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{:08x}", u32::from_ne_bytes(sys::process::random())));
        Self(path.with_file_name(name))
    }

    fn create(&self) -> Result<File, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0);
        file.map_err(|err| Failure::io("open", &self.0, &err))
    }

    fn publish(self, path: &Path) -> Result<(), Failure> {
        fs::rename(&self.0, path).map_err(|err| Failure::io("rename", path, &err))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename it is not there any more.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tar");
        to(Some(&path), "save image", |out| {
            out.write_all(b"abc").unwrap();
            assert!(!path.exists());
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["x.tar"]);
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tar");
        fs::write(&path, "old").unwrap();
        let failed = to(Some(&path), "save image", |out| {
            out.write_all(b"new").unwrap();
            Err(Failure::refused("No such image: x"))
        });
        assert_eq!(failed.unwrap_err().message, "Error: No such image: x");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["x.tar"]);
    }

    #[test]
    fn bad_places_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused =
            |path: &Path| to(Some(path), "save image", |_| panic!("not to be called")).unwrap_err().message;
        assert_eq!(refused(dir.path()), "failed to save image: cannot write to a directory");
        let expected =
            "failed to save image: invalid output path: stat /nonexistent/dir: no such file or directory";
        assert_eq!(refused(Path::new("/nonexistent/dir/x.tar")), expected);
    }
}
