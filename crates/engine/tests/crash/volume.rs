//! File systems of a chosen size, in a mount namespace of the test's thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

/// A file system that is unmounted at the end.
pub struct Volume {
    path: PathBuf,
    _above: Option<Box<Volume>>,
    _dir: TempDir,
}

impl Volume {
    /// A file system in memory, with these mount options (tmpfs(5)). `None`, said out loud, where that cannot be.
    pub fn in_memory(what: &str, options: &str) -> Option<Self> {
        if !testkit::require_root(what) {
            return None;
        }
        sys::process::clear_umask();
        if let Err(e) = sys::mount::private_namespace() {
            testkit::machine::skip(what, &e.to_string());
            return None;
        }
        let dir = super::shop::temp();
        let path = dir.path().join("volume");
        std::fs::create_dir(&path).unwrap();
        let mounted = run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", path.to_str().unwrap()]);
        mounted.map_err(|why| testkit::machine::skip(what, &why)).ok()?;
        Some(Self { path, _above: None, _dir: dir })
    }

    /// An ext4 that believes in more space than there is: what it cannot store shows when it is written back.
    pub fn that_lies(what: &str, believed: &str, real: &str) -> Option<Self> {
        let above = Self::in_memory(what, &format!("size={real}"))?;
        let image = above.path.join("image");
        let dir = super::shop::temp();
        let path = dir.path().join("volume");
        std::fs::create_dir(&path).unwrap();
        let (file, target) = (image.to_str().unwrap(), path.to_str().unwrap());
        let made = run("truncate", &["-s", believed, file])
            .and_then(|()| run("mkfs.ext4", &["-q", "-F", "-m", "0", file]))
            .and_then(|()| run("mount", &["-o", "loop", file, target]));
        made.map_err(|why| testkit::machine::skip(what, &why)).ok()?;
        Some(Self { path, _above: Some(Box::new(above)), _dir: dir })
    }

    /// A btrfs of this size, in memory where possible.
    pub fn btrfs(what: &str, size: &str) -> Option<Self> {
        let above = Self::in_memory(what, &format!("size={size}"))?;
        let image = above.path.join("image");
        let dir = super::shop::temp();
        let path = dir.path().join("volume");
        std::fs::create_dir(&path).unwrap();
        let (file, target) = (image.to_str().unwrap(), path.to_str().unwrap());
        let made = run("truncate", &["-s", size, file])
            .and_then(|()| run("mkfs.btrfs", &["-q", file]))
            .and_then(|()| run("mount", &["-o", "loop", file, target]));
        made.map_err(|why| testkit::machine::skip(what, &why)).ok()?;
        Some(Self { path, _above: Some(Box::new(above)), _dir: dir })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Mounts it with other options.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        for _ in 0..100 {
            match run("mount", &["-o", &options, self.path.to_str().unwrap()]) {
                Ok(()) => return,
                // A process that another test has just started has copies of our files for a moment.
                Err(why) if why.contains("busy") => std::thread::sleep(Duration::from_millis(10)),
                Err(why) => panic!("{options}, {:?} in use: {why}", self.used()),
            }
        }
        panic!("{options}: still busy");
    }

    /// Bytes and inodes that are in use.
    pub fn used(&self) -> (u64, u64) {
        let args = ["-B1", "--output=used,iused", self.path.to_str().unwrap()];
        let output = crate::child::run("df", &args).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut numbers = text.lines().nth(1).unwrap().split_whitespace().map(|word| word.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        sys::mount::detach(&self.path).unwrap();
    }
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    match crate::child::run(program, args) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(e) => Err(format!("{program}: {e}")),
    }
}
