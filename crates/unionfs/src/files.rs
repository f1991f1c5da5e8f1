//! Open files. A layer's file is opened when it is needed first: most small files that are read again are in the
//! kernel's cache, and never are.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::fs::{self as rfs, FallocateFlags, IFlags, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::attributes::drop_privileges;
use crate::backing::{At, DIR, FILE, Result, kind, open_for_listing};
use crate::copy_up::Data;
use crate::node::Node;
use crate::union::Union;

/// An open file of the union.
#[derive(Debug)]
pub struct File {
    /// What is open.
    pub node: Arc<Node>,
    writable: bool,
    /// What of the flags matters to the layer's file: how durable a write is.
    flags: OFlags,
    lower: OnceLock<OwnedFd>,
    upper: OnceLock<OwnedFd>,
}

impl Union {
    /// Opens a file. One that may be written to is copied up now (rule 19), without its data if that is cut off.
    pub fn open_file(&self, node: &Arc<Node>, flags: OFlags) -> Result<File> {
        let access = flags & OFlags::RWMODE;
        let writable = access != OFlags::RDONLY || flags.contains(OFlags::TRUNC);
        if writable {
            let data = if flags.contains(OFlags::TRUNC) { Data::Before(0) } else { Data::All };
            if let Some(copy) = self.copy_up(node, data)?
                && (flags & (OFlags::SYNC | OFlags::DSYNC)).is_empty()
            {
                return Ok(self.opened(node, copy));
            }
        }
        let flags = flags & (OFlags::SYNC | OFlags::DSYNC);
        let file =
            File { node: Arc::clone(node), writable, flags, lower: OnceLock::new(), upper: OnceLock::new() };
        // Whoever may not read a layer's file is told at once. For those who may read everything nothing can go wrong
        // but the disk.
        if writable || !self.reads_everything {
            self.with_file(&file, |_| Ok(()))?;
        }
        Ok(file)
    }

    /// A file that was made just now and is open already.
    pub fn opened(&self, node: &Arc<Node>, file: OwnedFd) -> File {
        let upper = OnceLock::from(file);
        let flags = OFlags::empty();
        File { node: Arc::clone(node), writable: true, flags, lower: OnceLock::new(), upper }
    }

    /// Cuts a file off, which whoever opened it asked for.
    pub fn truncate(&self, file: &File) -> Result<()> {
        self.with_file(file, |fd| rfs::ftruncate(fd, 0))
    }

    /// Reads.
    pub fn read(&self, file: &File, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.with_file(file, |fd| {
            let mut done = 0;
            while done < buf.len() {
                match rustix::io::pread(fd, &mut buf[done..], offset + done as u64) {
                    Ok(0) => break,
                    Ok(n) => done += n,
                    Err(Errno::INTR) => {}
                    Err(_) if done > 0 => break,
                    Err(e) => return Err(e),
                }
            }
            Ok(done)
        })
    }

    /// Writes. `drop`: set-user-ID and the like go first (rule 66).
    pub fn write(&self, file: &File, offset: u64, data: &[u8], drop: bool) -> Result<usize> {
        if drop {
            file.node.with(drop_privileges)?;
        }
        self.with_file(file, |fd| {
            let mut done = 0;
            while done < data.len() {
                match rustix::io::pwrite(fd, &data[done..], offset + done as u64) {
                    Ok(n) => done += n,
                    Err(Errno::INTR) => {}
                    Err(_) if done > 0 => break,
                    Err(e) => return Err(e),
                }
            }
            Ok(done)
        })
    }

    /// Makes a file durable.
    pub fn fsync(&self, file: &File, data_only: bool) -> Result<()> {
        if self.options.volatile || file.upper.get().is_none() {
            return Ok(());
        }
        self.with_file(file, |fd| if data_only { rfs::fdatasync(fd) } else { rfs::fsync(fd) })
    }

    /// Makes the names of a directory durable.
    pub fn fsync_dir(&self, node: &Node) -> Result<()> {
        let stack = node.stack()?;
        match self.upper_of(&stack) {
            Some(upper) if !self.options.volatile => rfs::fsync(open_for_listing(upper.as_fd())?),
            _ => Ok(()),
        }
    }

    /// Reserves, punches, zeroes or inserts.
    pub fn fallocate(&self, file: &File, mode: FallocateFlags, offset: u64, len: u64) -> Result<()> {
        self.with_file(file, |fd| rfs::fallocate(fd, mode, offset, len))
    }

    /// Where data or a hole is next.
    pub fn seek(&self, file: &File, to: SeekFrom) -> Result<u64> {
        self.with_file(file, |fd| rfs::seek(fd, to))
    }

    /// Copies between two files, by sharing blocks where the file system can.
    pub fn copy_range(&self, from: (&File, u64), to: (&File, u64), len: usize) -> Result<usize> {
        self.with_file(to.0, |out| {
            self.with_file(from.0, |input| {
                let (mut from, mut to) = (from.1, to.1);
                rfs::copy_file_range(input, Some(&mut from), out, Some(&mut to), len)
            })
        })
    }

    /// Whether a file's data is in the upper layer.
    pub fn has_own_data(&self, node: &Node) -> bool {
        let place = node.place();
        self.is_upper(place.layer) && place.data.is_none()
    }

    /// From now on look-ups of a file's name make a new node of it.
    pub fn replace(&self, node: &Node) {
        self.table.unkey(node);
    }

    /// The flags of an inode that lsattr(1) shows (`FS_*_FL`).
    pub fn file_flags(&self, node: &Node) -> Result<u32> {
        node.with(|at| Ok(rfs::ioctl_getflags(readable(at)?)?.bits()))
    }

    /// Sets them: chattr(1).
    pub fn set_file_flags(&self, node: &Arc<Node>, flags: u32) -> Result<()> {
        self.copy_up(node, Data::All)?;
        node.with(|at| rfs::ioctl_setflags(readable(at)?, IFlags::from_bits_retain(flags)))
    }

    /// Calls with the layer's file that has the data now.
    pub fn with_file<T>(&self, file: &File, call: impl FnOnce(&OwnedFd) -> Result<T>) -> Result<T> {
        let (upper, data) = {
            let place = file.node.place();
            (self.is_upper(place.layer) && place.data.is_none(), place.data.clone())
        };
        let slot = if upper { &file.upper } else { &file.lower };
        if let Some(fd) = slot.get() {
            return call(fd);
        }
        let fd = match data {
            Some(data) => At::itself(&data).open_to_read()?,
            None if upper && file.writable => file.node.with(|at| at.open(OFlags::RDWR | file.flags))?,
            None => file.node.with(|at| at.open_to_read())?,
        };
        call(slot.get_or_init(|| fd))
    }
}

impl File {
    /// Whether it may be written to.
    pub fn is_writable(&self) -> bool {
        self.writable
    }
}

/// Opens a file or a directory, for the flags of its inode.
fn readable(at: At<'_>) -> Result<OwnedFd> {
    match at.pin()? {
        inode if kind(&At::itself(&inode).stat()?) == DIR => open_for_listing(inode.as_fd()),
        inode if kind(&At::itself(&inode).stat()?) == FILE => At::itself(&inode).open_to_read(),
        _ => Err(Errno::NOTTY),
    }
}
