//! Operations on a real tree.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    self as rfs, AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timespec,
    Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::listing::{digest, kind_of};
use crate::operations::{Act, At, How, Op, Outcome, Set};

/// A tree, and the files of it that are held open.
#[derive(Debug)]
pub struct Disk {
    root: OwnedFd,
    held: [Option<File>; 2],
}

type Result<T> = std::result::Result<T, Errno>;

impl Disk {
    pub fn new(root: &Path) -> Self {
        let root = rfs::openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Self { root: root.unwrap(), held: [None, None] }
    }

    pub fn run(&mut self, op: &Op) -> Outcome {
        let done = String::new();
        match op {
            Op::Create(at, mode) => {
                self.open(at, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, *mode)?;
            }
            Op::Overwrite(at, text) => {
                let mut file = self.open(at, OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY, 0o640)?;
                io(file.write_all(text.as_bytes()))?;
            }
            Op::Write(at, to, text) => {
                io(self.open(at, OFlags::WRONLY, 0)?.write_all_at(text.as_bytes(), *to))?;
            }
            Op::Append(at, text) => {
                io(self.open(at, OFlags::WRONLY | OFlags::APPEND, 0)?.write_all(text.as_bytes()))?;
            }
            Op::Truncate(at, len) => rfs::ftruncate(self.open(at, OFlags::WRONLY, 0)?, *len)?,
            Op::Mkdir(at, mode) => {
                let (dir, name) = self.parent(at)?;
                rfs::mkdirat(dir, name, Mode::from_raw_mode(*mode))?;
            }
            Op::Rmdir(at) => {
                let (dir, name) = self.parent(at)?;
                rfs::unlinkat(dir, name, AtFlags::REMOVEDIR)?;
            }
            Op::Unlink(at) => {
                let (dir, name) = self.parent(at)?;
                rfs::unlinkat(dir, name, AtFlags::empty())?;
            }
            Op::Rename(from, to, how) => {
                let ((dir, name), (new_dir, new_name)) = (self.parent(from)?, self.parent(to)?);
                let flags = match how {
                    How::Over => RenameFlags::empty(),
                    How::NoReplace => RenameFlags::NOREPLACE,
                    How::Exchange => RenameFlags::EXCHANGE,
                };
                rfs::renameat_with(dir, name, new_dir, new_name, flags)?;
            }
            Op::Link(from, to) => {
                let ((dir, name), (new_dir, new_name)) = (self.parent(from)?, self.parent(to)?);
                rfs::linkat(dir, name, new_dir, new_name, AtFlags::empty())?;
            }
            Op::Symlink(at, to) => {
                let (dir, name) = self.parent(at)?;
                rfs::symlinkat(*to, dir, name)?;
            }
            Op::Fifo(at, mode) => {
                let (dir, name) = self.parent(at)?;
                rfs::mknodat(dir, name, FileType::Fifo, Mode::from_raw_mode(*mode), 0)?;
            }
            Op::Chmod(at, mode) => rfs::chmod(magic(&self.pin(at)?), Mode::from_raw_mode(*mode))?,
            Op::Chown(at, uid, gid) => {
                let (dir, name) = self.parent(at)?;
                let (uid, gid) = (Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)));
                rfs::chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Op::Times(at, tv_sec, nanos) => {
                let (dir, name) = self.parent(at)?;
                let time = Timespec { tv_sec: *tv_sec, tv_nsec: (*nanos).into() };
                let times = Timestamps { last_access: time, last_modification: time };
                rfs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Op::SetXattr(at, key, value, set) => {
                let flags = match set {
                    Set::Any => XattrFlags::empty(),
                    Set::New => XattrFlags::CREATE,
                    Set::Known => XattrFlags::REPLACE,
                };
                rfs::setxattr(magic(&self.pin(at)?), *key, value.as_bytes(), flags)?;
            }
            Op::RemoveXattr(at, key) => rfs::removexattr(magic(&self.pin(at)?), *key)?,
            Op::List(at) => return self.list(at),
            Op::Hold(slot, at, write) => {
                self.held[*slot] = None;
                let file = self.open(at, if *write { OFlags::RDWR } else { OFlags::RDONLY }, 0)?;
                if !io(file.metadata())?.is_file() {
                    return Err(Errno::INVAL);
                }
                self.held[*slot] = Some(file);
            }
            Op::Held(slot, act) => return self.act(*slot, act),
        }
        Ok(done)
    }

    /// Closes a file that is held open.
    pub fn release(&mut self, slot: usize) {
        self.held[slot] = None;
    }

    fn act(&self, slot: usize, act: &Act) -> Outcome {
        let file = self.held[slot].as_ref().ok_or(Errno::BADFD)?;
        match act {
            Act::Write(text) => io(file.write_all_at(text.as_bytes(), 2))?,
            Act::Truncate(len) => rfs::ftruncate(file, *len)?,
            Act::Chmod(mode) => rfs::fchmod(file, Mode::from_raw_mode(*mode))?,
            Act::Read => {
                let mut content = vec![0; 20_000];
                let n = io(file.read_at(&mut content, 0))?;
                return Ok(digest(&content[..n]));
            }
            Act::Stat => {
                let stat = rfs::fstat(file)?;
                return Ok(format!("{:o} {} bytes", stat.st_mode, stat.st_size));
            }
            Act::Link(to) => {
                let (dir, name) = self.parent(to)?;
                rfs::linkat(file, "", dir, name, AtFlags::EMPTY_PATH)?;
            }
        }
        Ok(String::new())
    }

    fn list(&self, at: &At) -> Outcome {
        let (above, _) = at.split();
        let dir = self.walk(above, OFlags::RDONLY)?;
        let mut names = Vec::new();
        for entry in Dir::new(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap().to_owned();
            if name != "." && name != ".." {
                names.push(format!("{name}: {}", kind_of(entry.file_type())));
            }
        }
        names.sort();
        Ok(names.join(", "))
    }

    fn walk(&self, names: &[&str], flags: OFlags) -> Result<OwnedFd> {
        let path = if names.is_empty() { ".".to_owned() } else { names.join("/") };
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rfs::openat2(
            &self.root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH,
        )
    }

    fn parent(&self, at: &At) -> Result<(OwnedFd, &'static str)> {
        let (above, name) = at.split();
        Ok((self.walk(above, OFlags::PATH)?, name))
    }

    fn open(&self, at: &At, flags: OFlags, mode: u32) -> Result<File> {
        let (dir, name) = self.parent(at)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rfs::openat(dir, name, flags, Mode::from_raw_mode(mode))?.into())
    }

    fn pin(&self, at: &At) -> Result<OwnedFd> {
        let (dir, name) = self.parent(at)?;
        rfs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    }
}

/// The path of an open file, a symbolic link itself.
fn magic(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn io<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|e| Errno::from_io_error(&e).unwrap())
}
