//! Blobs on their way from a registry, `layercake/downloads/<64 hex>/<segment>` (`docs/format/layercake-private.md`).
//!
//! A blob is cut into segments, a file each, so that several can grow at once and each file's length says how far it
//! came. Nothing here is synced or trusted: whoever reads a blob compares it with its digest. Whoever fetches one holds
//! the lock of its directory, so a blob is fetched once although several processes want it. What a killed process
//! leaves, the next one goes on with; what nobody wanted for a day, a sweep removes.

use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::Digest;
use sys::OwnedFd;
use sys::lock::{Lock, Mutual};

use crate::error::Result;
use crate::root::{DataRoot, PRIVATE};
use crate::small::{absent, find_dir, names, names_in, os};

const DIR: &str = "downloads";
/// Bytes of each segment but the last.
pub const SEGMENT: u64 = 32 << 20;
/// An interrupted download that is older has been given up.
const GIVEN_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// The downloads.
#[derive(Debug, Clone, Copy)]
pub struct Downloads<'a> {
    pub(crate) root: &'a DataRoot,
}

/// A download that is ours as long as this lives.
#[derive(Debug)]
pub struct Download {
    digest: Digest,
    all: OwnedFd,
    dir: OwnedFd,
    _lock: Lock,
}

/// A download that nobody is working on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// The blob.
    pub digest: Digest,
    /// Bytes that came.
    pub size: u64,
    /// When the last of them came.
    pub touched: SystemTime,
}

impl Downloads<'_> {
    /// Makes the download of a blob ours; waits while another process has it.
    ///
    /// # Errors
    /// System calls.
    pub fn take(&self, digest: &Digest) -> Result<Download> {
        loop {
            let wait = |dir| sys::lock::lock(dir, Mutual::Exclusive).map(Some);
            if let Some(download) = self.locked(digest, wait)? {
                return Ok(download);
            }
        }
    }

    /// As [`take`](Self::take), but says `None` at once if another process has it.
    ///
    /// # Errors
    /// System calls.
    pub fn try_take(&self, digest: &Digest) -> Result<Option<Download>> {
        self.locked(digest, |dir| sys::lock::try_lock(dir, Mutual::Exclusive))
    }

    /// `None` if `lock` gives none. What was removed while `lock` waited is made again.
    fn locked(
        &self,
        digest: &Digest,
        lock: impl Fn(OwnedFd) -> sys::Result<Option<Lock>>,
    ) -> Result<Option<Download>> {
        loop {
            let (all, dir) = self.make(digest)?;
            let Some(lock) = lock(sys::dir::reopen(&dir)?)? else { return Ok(None) };
            if is_there(&all, digest, &dir)? {
                return Ok(Some(Download { digest: *digest, all, dir, _lock: lock }));
            }
        }
    }

    /// Downloads that were interrupted, sorted by their digests.
    ///
    /// # Errors
    /// System calls.
    pub fn interrupted(&self) -> Result<Vec<Interrupted>> {
        let Some(all) = self.find()? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for digest in names(&all)?.iter().filter_map(|name| Digest::from_hex(name).ok()) {
            let Some(dir) = find_dir(&all, &digest.hex())? else { continue };
            if sys::lock::try_lock(sys::dir::reopen(&dir)?, Mutual::Shared)?.is_none() {
                continue;
            }
            let (size, touched) = extent(&dir)?;
            found.push(Interrupted { digest, size, touched });
        }
        Ok(found)
    }

    /// Where a download is, relative to the data root.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        Path::new(PRIVATE).join(DIR).join(digest.hex())
    }

    /// Removes an interrupted download; one that somebody works on stays.
    ///
    /// # Errors
    /// System calls.
    pub fn discard(&self, digest: &Digest) -> Result<()> {
        let Some(all) = self.find()? else { return Ok(()) };
        let Some(dir) = find_dir(&all, &digest.hex())? else { return Ok(()) };
        let lock = sys::lock::try_lock(sys::dir::reopen(&dir)?, Mutual::Exclusive)?;
        if lock.is_some() && is_there(&all, digest, &dir)? {
            sys::tree::remove(&all, os(&digest.hex()))?;
        }
        Ok(())
    }

    /// Removes downloads that were given up. Quick when there are none.
    pub(crate) fn sweep(&self) -> Result<()> {
        let now = SystemTime::now();
        for old in self.interrupted()? {
            if now.duration_since(old.touched).is_ok_and(|age| age > GIVEN_UP) {
                self.discard(&old.digest)?;
            }
        }
        Ok(())
    }

    fn find(&self) -> Result<Option<OwnedFd>> {
        self.root.dirs.private.as_ref().map_or(Ok(None), |private| find_dir(private, DIR))
    }

    fn make(&self, digest: &Digest) -> Result<(OwnedFd, OwnedFd)> {
        let private = self.root.writable(&self.root.dirs.private)?;
        let all = sys::dir::ensure(private, os(DIR), 0o700)?;
        loop {
            // Somebody may remove it between the two calls that this is.
            if let Some(dir) = absent(sys::dir::ensure(&all, os(&digest.hex()), 0o700))? {
                return Ok((all, dir));
            }
        }
    }
}

/// Whether the directory still has its name.
fn is_there(all: &OwnedFd, digest: &Digest, dir: &OwnedFd) -> Result<bool> {
    let (now, ours) = (sys::meta::find(all, os(&digest.hex()))?, sys::meta::of_fd(dir)?);
    Ok(now.is_some_and(|now| (now.dev, now.ino) == (ours.dev, ours.ino)))
}

/// Bytes in a directory, and when they were last changed.
fn extent(dir: &OwnedFd) -> Result<(u64, SystemTime)> {
    let mut last = sys::meta::of_fd(dir)?.mtime;
    let mut size = 0;
    for name in names_in(Some(dir))? {
        if let Some(meta) = sys::meta::find(dir, os(&name))? {
            size += meta.size;
            last = last.max(meta.mtime);
        }
    }
    let since = Duration::new(u64::try_from(last.secs).unwrap_or(0), last.nanos);
    Ok((size, SystemTime::UNIX_EPOCH + since))
}

impl Download {
    /// The blob.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The files of the blob, which is `size` bytes long.
    ///
    /// # Errors
    /// System calls.
    pub fn segments(&self, size: u64) -> Result<Segments> {
        Ok(Segments { dir: sys::dir::reopen(&self.dir)?, size })
    }

    /// Throws away what came so far.
    ///
    /// # Errors
    /// System calls.
    pub fn clear(&self) -> Result<()> {
        Ok(sys::tree::clear(&self.dir)?)
    }

    /// Removes it.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(self) -> Result<()> {
        Ok(sys::tree::remove(&self.all, os(&self.digest.hex()))?)
    }

    /// Removes it if nothing has come.
    pub fn remove_if_empty(self) {
        if extent(&self.dir).is_ok_and(|(size, _)| size == 0) {
            let _ = self.remove();
        }
    }

    /// Puts a complete blob together and moves it to the kept ones; the download is empty then. Durable after a sync of
    /// the file system.
    ///
    /// # Errors
    /// System calls; `EINVAL` if it is not complete.
    pub fn keep(&self, root: &DataRoot, size: u64) -> Result<()> {
        let segments = self.segments(size)?;
        let incomplete = || sys::Error::new("keep incomplete download", self.digest.hex(), sys::Errno::INVAL);
        if segments.lengths()?.iter().sum::<u64>() != size {
            return Err(incomplete().into());
        }
        let mut whole = std::fs::File::from(segments.open_to_write(0)?);
        let joined = |e: io::Error| {
            let errno = sys::Errno::from_io_error(&e).unwrap_or(sys::Errno::IO);
            sys::Error::new("put together download", self.digest.hex(), errno)
        };
        whole.seek(SeekFrom::End(0)).map_err(joined)?;
        for segment in 1..segments.count() {
            let mut next = std::fs::File::from(segments.open_to_read(segment)?);
            io::copy(&mut next, &mut whole).map_err(joined)?;
            sys::dir::unlink(&self.dir, os(&segment.to_string()))?;
        }
        root.blobs().add(&self.digest, &self.dir, "0")
    }
}

/// The files of a blob. They can be used without its lock, by threads of whoever holds it.
#[derive(Debug)]
pub struct Segments {
    dir: OwnedFd,
    size: u64,
}

impl Segments {
    /// How many there are.
    pub fn count(&self) -> usize {
        usize::try_from(self.size.div_ceil(SEGMENT)).unwrap_or(usize::MAX).max(1)
    }

    /// Where a segment begins and ends in the blob.
    pub fn range(&self, segment: usize) -> std::ops::Range<u64> {
        let start = (segment as u64).saturating_mul(SEGMENT).min(self.size);
        start..start.saturating_add(SEGMENT).min(self.size)
    }

    /// How far each has come.
    ///
    /// # Errors
    /// System calls.
    pub fn lengths(&self) -> Result<Vec<u64>> {
        let mut lengths = Vec::with_capacity(self.count());
        for segment in 0..self.count() {
            let range = self.range(segment);
            let found = sys::meta::find(&self.dir, os(&segment.to_string()))?.map_or(0, |meta| meta.size);
            lengths.push(found.min(range.end - range.start));
        }
        Ok(lengths)
    }

    /// Opens a segment to write to it, and creates it if it has not begun.
    ///
    /// # Errors
    /// System calls.
    pub fn open_to_write(&self, segment: usize) -> Result<OwnedFd> {
        Ok(sys::dir::open_or_create_file(&self.dir, os(&segment.to_string()), 0o600)?)
    }

    /// Opens a segment that has begun.
    ///
    /// # Errors
    /// System calls.
    pub fn open_to_read(&self, segment: usize) -> Result<OwnedFd> {
        Ok(sys::dir::open_file(&self.dir, os(&segment.to_string()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn root() -> (tempfile::TempDir, DataRoot) {
        let tmp = tempfile::tempdir().unwrap();
        let root = DataRoot::create(tmp.path(), "vfs").unwrap();
        (tmp, root)
    }

    fn write(download: &Download, size: u64, segment: usize, bytes: &[u8]) {
        let file = download.segments(size).unwrap().open_to_write(segment).unwrap();
        sys::file::write_all(&file, bytes).unwrap();
    }

    #[test]
    fn a_download_goes_on_where_it_stopped() {
        let (_tmp, root) = root();
        let digest = Digest::of(b"x");
        let size = SEGMENT + 10;
        let download = root.downloads().take(&digest).unwrap();
        write(&download, size, 0, b"hello");
        write(&download, size, 1, b"more than ten bytes");
        drop(download);
        let again = root.downloads().take(&digest).unwrap();
        let segments = again.segments(size).unwrap();
        assert_eq!((segments.count(), segments.lengths().unwrap()), (2, vec![5, 10]));
        assert_eq!(segments.range(1), SEGMENT..size);
        again.clear().unwrap();
        assert_eq!(segments.lengths().unwrap(), [0, 0]);
        again.remove_if_empty();
        assert_eq!(root.downloads().interrupted().unwrap(), []);
    }

    #[test]
    fn a_download_has_one_owner_and_the_next_finds_what_he_left() {
        let (_tmp, root) = root();
        let digest = Digest::of(b"x");
        let first = root.downloads().take(&digest).unwrap();
        assert!(root.downloads().try_take(&digest).unwrap().is_none());
        assert_eq!(root.downloads().interrupted().unwrap(), []);
        root.downloads().discard(&digest).unwrap();
        let (said, heard) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Removed and made again while we wait: the second is another directory, and ours.
                let second = root.downloads().take(&digest).unwrap();
                write(&second, 3, 0, b"abc");
                said.send(()).unwrap();
            });
            std::thread::sleep(Duration::from_millis(20));
            first.remove().unwrap();
            heard.recv().unwrap();
        });
        let left = root.downloads().interrupted().unwrap();
        assert_eq!((left.len(), left[0].digest, left[0].size), (1, digest, 3));
    }

    #[test]
    fn only_what_is_a_day_old_is_swept() {
        let (tmp, root) = root();
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        for digest in [&old, &new] {
            write(&root.downloads().take(digest).unwrap(), 3, 0, b"abc");
        }
        let dir = tmp.path().join("layercake/downloads").join(old.hex());
        let then = SystemTime::now() - GIVEN_UP - Duration::from_secs(60);
        for path in [dir.join("0"), dir] {
            std::fs::File::open(path).unwrap().set_modified(then).unwrap();
        }
        root.sweep().unwrap();
        let left: Vec<_> = root.downloads().interrupted().unwrap().iter().map(|left| left.digest).collect();
        assert_eq!(left, [new]);
    }

    #[test]
    fn a_kept_blob_is_one_file() {
        let (_tmp, root) = root();
        let digest = Digest::of(b"x");
        let size = SEGMENT + 3;
        let download = root.downloads().take(&digest).unwrap();
        write(&download, size, 1, b"end");
        write(&download, size, 0, &vec![7; SEGMENT as usize]);
        download.keep(&root, size).unwrap();
        download.remove().unwrap();
        let (file, len) = root.blobs().find(&digest).unwrap().unwrap();
        let mut end = [0; 4];
        sys::file::read_at(&file, &mut end, SEGMENT - 1).unwrap();
        assert_eq!((len, &end), (size, b"\x07end"));
        assert_eq!(root.blobs().list().unwrap(), [(digest, size)]);
        assert_eq!(root.downloads().interrupted().unwrap(), []);
        root.blobs().remove(&digest).unwrap();
        assert!(root.blobs().find(&digest).unwrap().is_none());
    }

    #[test]
    fn an_incomplete_blob_is_not_kept() {
        let (_tmp, root) = root();
        let download = root.downloads().take(&Digest::of(b"x")).unwrap();
        write(&download, 10, 0, b"123");
        assert!(download.keep(&root, 10).is_err());
        assert_eq!(root.blobs().list().unwrap(), []);
    }
}
