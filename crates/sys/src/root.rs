//! Untrusted paths, resolved below a directory descriptor.
//!
//! [`Root`] gives a path the meaning it has for a process whose root is that directory: absolute links start at it,
//! `..` stops at it. The kernel does the walk (openat2(2) with `RESOLVE_IN_ROOT`, 5.6), so a component that is
//! swapped for a link meanwhile cannot lead out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::{AsFd, BorrowedFd, OwnedFd};

/// A directory below which untrusted paths are resolved.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens a trusted path as a root.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { fd: crate::dir::open_path(path)?, path: path.to_owned() })
    }

    /// Takes an open directory as a root; `path` is only for messages.
    pub fn from_fd(fd: OwnedFd, path: impl Into<PathBuf>) -> Self {
        Self { fd, path: path.into() }
    }

    /// Where the root is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens `path` inside the root with these flags. Links are followed inside the root, also in the last component
    /// unless `NOFOLLOW` is among `flags`.
    fn openat(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let failed = |e| Error::new("open", self.path.join(relative(path)), e);
        for _ in 0..100 {
            match rfs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // The kernel gives up when a rename raced with `..`; asking again is what openat2(2) advises.
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other.map_err(failed),
            }
        }
        // On a mount that has no place the kernel may see its own steps as such a race, each time.
        self.walk(path, flags | OFlags::CLOEXEC).map_err(failed)
    }

    /// As the kernel's walk, one component at a time: `..` goes back to the directory that was there before, and is
    /// never asked of the kernel, so nothing leads out.
    fn walk(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        /// The kernel's limit (path_resolution(7)).
        const LINKS: u32 = 40;
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (mut rest, mut below, mut links) = (reversed(path.as_os_str().as_bytes()), Vec::new(), 0);
        loop {
            let here = below.last().unwrap_or(&self.fd);
            let Some(name) = rest.pop() else { return rfs::openat(here, ".", flags, Mode::empty()) };
            if name == b".." {
                below.pop();
                continue;
            }
            let fd = rfs::openat(here, &*name, look, Mode::empty())?;
            let is_last = rest.is_empty();
            match rfs::FileType::from_raw_mode(rfs::fstat(&fd)?.st_mode) {
                rfs::FileType::Symlink if !(is_last && flags.contains(OFlags::NOFOLLOW)) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::LOOP);
                    }
                    let target = rfs::readlinkat(&fd, "", Vec::new())?.into_bytes();
                    if target.starts_with(b"/") {
                        below.clear();
                    }
                    rest.extend(reversed(&target));
                }
                _ if is_last => return rfs::openat(here, &*name, flags | OFlags::NOFOLLOW, Mode::empty()),
                rfs::FileType::Directory => below.push(fd),
                _ => return Err(Errno::NOTDIR),
            }
        }
    }

    /// Opens the directory `path`, following links inside the root. `""` is the root itself.
    pub fn dir(&self, path: &Path) -> Result<OwnedFd> {
        self.openat(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens the directory `path`; a link anywhere in it is refused with `ELOOP`.
    pub fn dir_nofollow(&self, path: &Path) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let inside = relative(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        rfs::openat2(&self.fd, inside, flags, Mode::empty(), resolve)
            .map_err(|e| Error::new("open directory", self.path.join(inside), e))
    }

    /// Opens the regular file `path` for reading, following links inside the root.
    pub fn file(&self, path: &Path) -> Result<OwnedFd> {
        self.regular(path, OFlags::empty())
    }

    /// Opens the regular file `path` for reading; a link in the last component is refused.
    pub fn file_nofollow(&self, path: &Path) -> Result<OwnedFd> {
        self.regular(path, OFlags::NOFOLLOW)
    }

    fn regular(&self, path: &Path, extra: OFlags) -> Result<OwnedFd> {
        let fd = self.openat(path, OFlags::RDONLY | OFlags::NONBLOCK | extra)?;
        match crate::meta::of_fd(&fd)?.kind {
            crate::FileKind::File => Ok(fd),
            _ => Err(Error::new("open regular file", self.path.join(relative(path)), Errno::INVAL)),
        }
    }

    /// Opens the directory that holds the last component of `path`, and names that component; links on the way are
    /// followed inside the root, one in the last component is not. The root itself, and a path that ends in `..`,
    /// have no such component: `EINVAL`.
    pub fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let no_name = || Error::new("open parent of", self.path.join(relative(path)), Errno::INVAL);
        let name = path.file_name().ok_or_else(no_name)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.dir(parent)?, name.to_owned()))
    }

    /// As [`parent`](Self::parent), but a link anywhere on the way is refused with `ELOOP`.
    pub fn parent_nofollow(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let no_name = || Error::new("open parent of", self.path.join(relative(path)), Errno::INVAL);
        let name = path.file_name().ok_or_else(no_name)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.dir_nofollow(parent)?, name.to_owned()))
    }

    /// Where `path` leads when all its links are followed inside the root, as a path below the root.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let fd = self.openat(path, OFlags::PATH)?;
        let base = crate::error::path_of(&self.fd);
        let full = crate::error::path_of(&fd);
        let inside = full.strip_prefix(&base).map_err(|_| {
            // Only a directory that was moved out of the root meanwhile has such a path.
            Error::new("resolve", self.path.join(relative(path)), Errno::XDEV)
        })?;
        Ok(inside.to_owned())
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The components of a path, the last one first, without those that mean nothing.
fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    let components = path.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".");
    components.rev().map(<[u8]>::to_vec).collect()
}

/// A path for a message: without the leading slashes that would make `join` forget the root.
fn relative(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_bytes();
    let start = bytes.iter().position(|b| *b != b'/').unwrap_or(bytes.len());
    Path::new(OsStr::from_bytes(&bytes[start..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, Root) {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("in/etc")).unwrap();
        std::fs::write(tmp.path().join("in/etc/passwd"), "inside").unwrap();
        std::fs::write(tmp.path().join("secret"), "outside").unwrap();
        let root = Root::open(&tmp.path().join("in")).unwrap();
        (tmp, root)
    }

    #[test]
    fn links_and_dots_stay_inside() {
        let (tmp, root) = root();
        let inside = tmp.path().join("in");
        symlink("/etc", inside.join("abs")).unwrap();
        symlink("../../../../etc", inside.join("up")).unwrap();
        symlink(tmp.path().join("secret"), inside.join("out")).unwrap();
        for path in ["abs/passwd", "up/passwd", "/../../etc/passwd", "etc/../../../etc/passwd"] {
            let fd = root.file(Path::new(path)).unwrap();
            assert_eq!(crate::meta::of_fd(fd).unwrap().size, 6, "{path}");
        }
        assert!(root.file(Path::new("out")).unwrap_err().is_not_found());
        assert_eq!(root.resolve(Path::new("abs/passwd")).unwrap(), Path::new("etc/passwd"));
    }

    #[test]
    fn one_component_at_a_time_leads_to_the_same() {
        let (tmp, root) = root();
        let inside = tmp.path().join("in");
        for (name, target) in [
            ("abs", "/etc"),
            ("up", "../../../../etc"),
            ("deep", "etc/../up/./passwd"),
            ("loop", "loop"),
            ("gone", "nothing/here"),
            ("out", "../../secret"),
        ] {
            symlink(target, inside.join(name)).unwrap();
        }
        let id = |fd: rustix::io::Result<OwnedFd>| {
            fd.map(|fd| crate::meta::of_fd(fd).unwrap().ino).map_err(|errno| errno.raw_os_error())
        };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for path in [
            ".",
            "etc",
            "abs/passwd",
            "up/passwd",
            "/../../etc/passwd",
            "deep",
            "loop",
            "gone",
            "out",
            "etc/passwd/x",
            "..",
            "up/..",
            "nothing",
        ] {
            for flags in [OFlags::PATH, OFlags::RDONLY, OFlags::PATH | OFlags::NOFOLLOW, OFlags::NOFOLLOW] {
                let flags = flags | OFlags::CLOEXEC;
                let kernel = rfs::openat2(&root.fd, path, flags, Mode::empty(), resolve);
                assert_eq!(id(root.walk(Path::new(path), flags)), id(kernel), "{path} {flags:?}");
            }
        }
    }

    #[test]
    fn magic_links_and_fifos_are_refused() {
        let (tmp, root) = root();
        symlink("/proc/self/root", tmp.path().join("in/magic")).unwrap();
        assert!(root.dir(Path::new("magic")).is_err());
        let dir = root.dir(Path::new("")).unwrap();
        crate::dir::mknod(&dir, OsStr::new("pipe"), crate::FileKind::Fifo, 0o600, 0, 0).unwrap();
        assert_eq!(root.file(Path::new("pipe")).unwrap_err().errno, Errno::INVAL);
    }

    #[test]
    fn the_parent_of_the_root_is_no_place() {
        let (_tmp, root) = root();
        assert!(root.parent(Path::new("/")).is_err());
        assert!(root.parent(Path::new("etc/..")).is_err());
        assert_eq!(root.parent(Path::new("etc/new")).unwrap().1, "new");
    }
}
