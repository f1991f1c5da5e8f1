//! One regular file, by its descriptor.

use rustix::fs as rfs;
use rustix::io::Errno;

use crate::error::{At, Result};
use crate::record::{self, Op};
use crate::{AsFd, OwnedFd};

/// Writes all of `data` at the file's position.
pub fn write_all(fd: impl AsFd, mut data: &[u8]) -> Result<()> {
    record::log(|| {
        let offset = rfs::tell(&fd).unwrap_or(0);
        Op::Write { path: crate::error::path_of(&fd), ino: record::ino(&fd), offset, data: data.into() }
    });
    while !data.is_empty() {
        match rustix::io::write(&fd, data) {
            Ok(n) => data = &data[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).at_fd("write", &fd),
        }
    }
    Ok(())
}

/// A file as a stream to write to, for encoders that want one.
#[derive(Debug)]
pub struct Writer(OwnedFd);

impl Writer {
    /// Writes from the file's position on.
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl std::io::Write for Writer {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        write_all(&self.0, data)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes all of `data` at `offset`.
pub fn write_at(fd: impl AsFd, mut data: &[u8], mut offset: u64) -> Result<()> {
    record::log(|| Op::Write {
        path: crate::error::path_of(&fd),
        ino: record::ino(&fd),
        offset,
        data: data.into(),
    });
    while !data.is_empty() {
        match rustix::io::pwrite(&fd, data, offset) {
            Ok(n) => {
                data = &data[n..];
                offset += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).at_fd("write", &fd),
        }
    }
    Ok(())
}

/// Reads at `offset` until `buf` is full or the file ends; returns the bytes read.
pub fn read_at(fd: impl AsFd, buf: &mut [u8], mut offset: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match rustix::io::pread(&fd, &mut buf[filled..], offset) {
            Ok(0) => break,
            Ok(n) => {
                filled += n;
                offset += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).at_fd("read", &fd),
        }
    }
    Ok(filled)
}

/// Sets the length; growth is a hole.
pub fn truncate(fd: impl AsFd, len: u64) -> Result<()> {
    rfs::ftruncate(&fd, len).at_fd("truncate", &fd)?;
    record::log(|| Op::Truncate { path: crate::error::path_of(&fd), ino: record::ino(&fd), len });
    Ok(())
}

/// Makes the file's data and length durable.
pub fn sync(fd: impl AsFd) -> Result<()> {
    rfs::fsync(&fd).at_fd("fsync", &fd)?;
    record::log(|| Op::SyncFile { path: crate::error::path_of(&fd), ino: record::ino(&fd) });
    Ok(())
}

/// Tells the kernel that `fd` is read once from front to back.
pub fn advise_sequential(fd: impl AsFd) {
    let _ = rfs::fadvise(fd, 0, None, rfs::Advice::Sequential);
}

/// Tells the kernel that nobody needs the file's content in memory. What is not on the disk yet stays.
pub fn forget(fd: impl AsFd) {
    let _ = rfs::fadvise(fd, 0, None, rfs::Advice::DontNeed);
}

/// The parts of a file that hold data, as (offset, length), in order; holes are what lies between.
pub fn extents(fd: impl AsFd, size: u64) -> Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rfs::seek(&fd, rfs::SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            // A file system without holes: one extent.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(vec![(0, size)]),
            Err(e) => return Err(e).at_fd("seek data of", &fd),
        };
        let end = rfs::seek(&fd, rfs::SeekFrom::Hole(start)).at_fd("seek hole of", &fd)?.min(size);
        if end <= start {
            break;
        }
        found.push((start, end - start));
        at = end;
    }
    Ok(found)
}

/// Copies the content of `from` to the empty file `to`: shared blocks where the file system can (FICLONE), else by
/// the kernel, extent by extent, so that holes stay holes.
pub fn copy(from: impl AsFd, to: impl AsFd, size: u64) -> Result<()> {
    if size == 0 {
        return Ok(());
    }
    if rfs::ioctl_ficlone(&to, &from).is_ok() {
        record_copy(&from, &to, size);
        return Ok(());
    }
    for (offset, len) in extents(&from, size)? {
        copy_extent(&from, &to, offset, len)?;
    }
    rfs::ftruncate(&to, size).at_fd("truncate", &to)?;
    record_copy(&from, &to, size);
    Ok(())
}

/// Gives the empty file `to` the content of `from`, `size` bytes, by sharing its blocks. `false` if the file systems
/// cannot.
pub fn share(from: impl AsFd, to: impl AsFd, size: u64) -> Result<bool> {
    match rfs::ioctl_ficlone(&to, &from) {
        Ok(()) => {
            record_copy(&from, &to, size);
            Ok(true)
        }
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => Ok(false),
        Err(e) => Err(e).at_fd("clone", &from),
    }
}

fn copy_extent(from: impl AsFd, to: impl AsFd, offset: u64, len: u64) -> Result<()> {
    let (mut off_in, mut off_out, end) = (offset, offset, offset + len);
    while off_in < end {
        let want = usize::try_from(end - off_in).unwrap_or(usize::MAX).min(1 << 30);
        match rfs::copy_file_range(&from, Some(&mut off_in), &to, Some(&mut off_out), want) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return copy_by_hand(&from, &to, off_in, end);
            }
            Err(e) => return Err(e).at_fd("copy", &from),
        }
    }
    Ok(())
}

fn copy_by_hand(from: impl AsFd, to: impl AsFd, mut at: u64, end: u64) -> Result<()> {
    let mut buf = vec![0; 1 << 18];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buf.len());
        let n = read_at(&from, &mut buf[..want], at)?;
        if n == 0 {
            break;
        }
        let mut done = 0;
        while done < n {
            match rustix::io::pwrite(&to, &buf[done..n], at + done as u64) {
                Ok(w) => done += w,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e).at_fd("write", &to),
            }
        }
        at += n as u64;
    }
    Ok(())
}

/// A copy is recorded as one write of the whole content.
fn record_copy(from: impl AsFd, to: impl AsFd, size: u64) {
    record::log(|| {
        let mut data = vec![0; usize::try_from(size).unwrap_or(0)];
        let _ = read_at(&from, &mut data, 0);
        Op::Write { path: crate::error::path_of(&to), ino: record::ino(&to), offset: 0, data: data.into() }
    });
}
