//! The names of a small directory of a lower layer, read once. In a directory that many layers have, most layers lack
//! most names; asking the file system about each absent name, and about each whiteout that might hide it, is what a miss
//! would cost (union-fs.md §3.2: 17 ms at 127 layers).

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::RawDir;

/// From so many layers on it is worth it.
pub const MANY: usize = 8;

/// A directory with more names is not read for this.
const FEW: usize = 64;

/// All names of a directory, sorted.
#[derive(Debug)]
pub struct Names(Vec<Box<[u8]>>);

impl Names {
    /// Whether a name is among them.
    pub fn has(&self, name: &OsStr) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(name.as_bytes())).is_ok()
    }

    /// Reads a directory that was just opened; nothing if it has too many names, or cannot be read.
    pub fn read(dir: &OwnedFd) -> Option<Self> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut entries = RawDir::new(dir, &mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            names.push(Box::from(entry.ok()?.file_name().to_bytes()));
            if names.len() > FEW {
                return None;
            }
        }
        names.sort_unstable();
        Some(Self(names))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::backing::open_dir;

    #[test]
    fn a_small_directory_is_known_and_a_large_one_is_not() {
        let tmp = tempfile::tempdir().unwrap();
        let root: OwnedFd = std::fs::File::open(tmp.path()).unwrap().into();
        std::fs::create_dir(tmp.path().join("d")).unwrap();
        for name in ["b", ".wh.a", "c"] {
            std::fs::write(tmp.path().join("d").join(name), "").unwrap();
        }
        let open = || Names::read(&open_dir(root.as_fd(), OsStr::new("d")).unwrap());
        let names = open().unwrap();
        let has = |name: &str| names.has(OsStr::new(name));
        assert!(has("b") && has(".wh.a") && !has("a") && !has(""));
        for n in 0..FEW {
            std::fs::write(tmp.path().join("d").join(n.to_string()), "").unwrap();
        }
        assert!(open().is_none());
    }
}
