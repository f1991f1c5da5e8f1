//! Where images come from: an archive or an OCI layout directory, as named blobs that can be read at any offset.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::compress::{self, Compression};
use archive::{TarFault, tar};
use model::progress::{Phase, Progress};
use sys::{OwnedFd, Root};

use crate::error::{Error, Result};
use crate::install::Archive;

/// What the user named.
pub enum Input {
    /// An archive file or an OCI layout directory.
    Path(PathBuf),
    /// An archive that comes through a pipe.
    Stream(Box<dyn Read + Send>),
}

/// Opens an archive that is read once, from front to back, with its length if that is known.
pub(crate) fn open_stream(input: Input) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    match input {
        Input::Stream(stream) => Ok((stream, None)),
        Input::Path(path) => {
            let file = std::fs::File::open(&path).map_err(Error::io("open", &path))?;
            let meta = file.metadata().map_err(Error::io("stat", &path))?;
            if meta.is_dir() {
                return Err(Error::invalid(format!("{} is a directory, not an archive", path.display())));
            }
            Ok((Box::new(file), Some(meta.len()).filter(|_| meta.is_file())))
        }
    }
}

/// A stretch of an open file.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    file: Arc<OwnedFd>,
    offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Blob {
    /// A whole file of `len` bytes.
    pub fn whole(file: OwnedFd, len: u64) -> Self {
        Self { file: Arc::new(file), offset: 0, len }
    }

    /// Reads the blob from its start, independently of all other readers.
    pub fn reader(&self) -> BlobReader {
        BlobReader { blob: self.clone(), at: 0 }
    }

    /// The whole blob, which must not be longer than `limit` bytes.
    pub fn bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        if self.len > limit {
            return Err(Error::invalid(format!(
                "{name} has {} bytes; at most {limit} are accepted",
                self.len
            )));
        }
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes).map_err(Error::io("read", name))?;
        Ok(bytes)
    }
}

impl Archive for Blob {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.reader()))
    }
}

/// Reads a [`Blob`]; never past its end.
#[derive(Debug)]
pub(crate) struct BlobReader {
    blob: Blob,
    at: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.blob.len - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        let n = sys::file::read_at(&*self.blob.file, &mut buf[..wanted], self.blob.offset + self.at)?;
        if n < wanted {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}

/// Zeros at the end of an archive (pax, "ustar Interchange Format": two blocks).
const END_BYTES: usize = 1024;

/// Makes a scratch file.
type Spool<'a> = &'a dyn Fn() -> Result<std::fs::File>;

/// Named blobs of an archive or a directory.
pub(crate) enum Source {
    Archive {
        members: HashMap<Vec<u8>, Member>,
        /// It ends as archives end.
        ended: bool,
    },
    Layout(Root),
}

/// What an archive holds under a name.
pub(crate) enum Member {
    File(Blob),
    /// `docker save` before 25 stores a layer once, and again as a symbolic link to the first.
    Link(Vec<u8>),
}

impl Source {
    /// Opens `input`. An archive that is compressed or comes through a pipe is first written to
    /// a scratch file, because its index stands at its end.
    pub fn open(
        input: Input,
        spool: Spool<'_>,
        limits: &compress::Limits,
        progress: &dyn Progress,
    ) -> Result<Self> {
        match input {
            Input::Path(path) if path.is_dir() => Ok(Self::Layout(Root::open(&path)?)),
            Input::Path(path) => {
                let fd = std::fs::File::open(&path).map_err(Error::io("open", &path))?;
                if fd.metadata().map_err(Error::io("stat", &path))?.is_file() {
                    return Self::from_file(fd, spool, limits, progress);
                }
                Self::from_stream(Box::new(fd), spool, limits, progress)
            }
            Input::Stream(stream) => Self::from_stream(stream, spool, limits, progress),
        }
    }

    fn from_file(
        mut file: std::fs::File,
        spool: Spool<'_>,
        limits: &compress::Limits,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut magic = [0; compress::MAGIC_BYTES];
        let n = sys::file::read_at(&file, &mut magic, 0)?;
        if Compression::detect(&magic[..n]) != Compression::None {
            file.rewind().map_err(Error::io("rewind", "archive"))?;
            return Self::from_stream(Box::new(file), spool, limits, progress);
        }
        Self::index(file)
    }

    fn from_stream(
        stream: Box<dyn Read + Send>,
        spool: Spool<'_>,
        limits: &compress::Limits,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (_, mut plain) = compress::open(stream, *limits)?;
        let mut file = spool()?;
        progress.start("archive", Phase::Reading, None);
        let mut buf = vec![0; 1 << 20];
        loop {
            let n = plain.read(&mut buf).map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => Error::invalid(format!(
                    "the archive is incomplete, its compressed stream breaks off: {e}"
                )),
                _ => Error::io("read", "archive")(e),
            })?;
            if n == 0 {
                break;
            }
            sys::file::write_all(&file, &buf[..n])?;
            progress.advance("archive", n as u64);
        }
        progress.finish("archive");
        file.rewind().map_err(Error::io("rewind", "archive"))?;
        Self::index(file)
    }

    /// Finds the members of a plain tar file.
    fn index(file: std::fs::File) -> Result<Self> {
        let fd = Arc::new(OwnedFd::from(file.try_clone().map_err(Error::io("open", "archive"))?));
        let len = file.metadata().map_err(Error::io("stat", "archive"))?.len();
        if len == 0 {
            return Err(Error::invalid("the archive is empty"));
        }
        let mut reader = tar::Reader::seekable(file, tar::Limits::default());
        let mut members = HashMap::new();
        let mut last = None;
        while let Some(tar::Member { entry, offset }) =
            reader.next_member().map_err(|e| incomplete(e, len, last.as_ref()))?
        {
            last = Some((entry.path.clone(), offset + entry.size));
            let member = match entry.kind {
                tar::Kind::Regular if entry.sparse.is_none() => {
                    Member::File(Blob { file: fd.clone(), offset, len: entry.size })
                }
                tar::Kind::Symlink => Member::Link(join(parent(&entry.path), &entry.link)),
                tar::Kind::HardLink => Member::Link(clean(&entry.link)),
                _ => continue,
            };
            members.insert(clean(&entry.path), member);
        }
        let mut end = [1; END_BYTES];
        let ended = len >= END_BYTES as u64 && {
            sys::file::read_at(&*fd, &mut end, len - END_BYTES as u64)?;
            end == [0; END_BYTES]
        };
        Ok(Self::Archive { members, ended })
    }

    /// The blob called `name`, if there is one. In a directory no link is followed.
    pub fn find(&self, name: &str) -> Result<Option<Blob>> {
        match self {
            Self::Archive { members, .. } => {
                let mut name = clean(name.as_bytes());
                // As many links as a chain of links in an archive can honestly have.
                for _ in 0..8 {
                    match members.get(&name) {
                        Some(Member::File(blob)) => return Ok(Some(blob.clone())),
                        Some(Member::Link(target)) => name = target.clone(),
                        None => return Ok(None),
                    }
                }
                Ok(None)
            }
            Self::Layout(root) => match root.file_nofollow(Path::new(name)) {
                Ok(fd) => {
                    let len = sys::meta::of_fd(&fd)?.size;
                    Ok(Some(Blob::whole(fd, len)))
                }
                Err(e) if e.is_not_found() => Ok(None),
                Err(e) => Err(e.into()),
            },
        }
    }

    /// Whether it is an archive without the zeros that stand at the end of every archive.
    pub fn breaks_off(&self) -> bool {
        matches!(self, Self::Archive { ended: false, .. })
    }

    /// The blob called `name`, which has to be there.
    pub fn get(&self, name: &str) -> Result<Blob> {
        self.find(name)?.ok_or_else(|| Error::invalid(format!("the archive has no member {name}")))
    }
}

/// Says of an archive of `len` bytes that breaks off where it does; `last` is the name and the end of its last member.
fn incomplete(error: archive::Error, len: u64, last: Option<&(Vec<u8>, u64)>) -> Error {
    let archive::Error::Tar { fault: TarFault::Truncated(_), .. } = error else { return error.into() };
    let at = match last {
        Some((name, end)) => {
            let name = String::from_utf8_lossy(name);
            if *end > len { format!("in the middle of {name}") } else { format!("after {name}") }
        }
        None => "in its first header".to_owned(),
    };
    Error::invalid(format!("the archive is incomplete: it ends after {len} bytes, {at}"))
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(b"", |slash| &path[..slash])
}

fn join(dir: &[u8], link: &[u8]) -> Vec<u8> {
    if link.starts_with(b"/") { clean(link) } else { clean(&[dir, b"/", link].concat()) }
}

/// A member's name without `.`, `..` and doubled slashes; `..` stops at the top.
fn clean(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            std::path::Component::Normal(part) => parts.push(part.as_bytes()),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_links_resolved_inside_the_archive() {
        assert_eq!(clean(b"./a//b/../c"), b"a/c");
        assert_eq!(clean(b"../../x"), b"x");
        assert_eq!(join(parent(b"id/layer.tar"), b"../other/layer.tar"), b"other/layer.tar");
    }
}
