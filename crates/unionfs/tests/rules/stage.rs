//! Where a rule is tried: layers, and a union of them.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use sys::userns::{Privilege, privilege};
use tempfile::TempDir;
use testkit::tree::dump;
use unionfs::options::{escape, parse};
use unionfs::{MountAt, Union};

use crate::files::{chmod, exists, is_whiteout, names};

/// What a rule is tried on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// The kernel's overlay.
    Kernel,
    /// Ours, served by a thread of this process.
    Ours,
    /// Another union, by its mount helper.
    Helper(PathBuf),
}

/// Tries a rule on the kernel's overlay and on ours.
#[track_caller]
pub fn rule(test: impl Fn(&mut Stage)) {
    try_on(&[On::Kernel, On::Ours], &test);
}

/// Tries on ours, where it does other than the kernel's overlay.
#[track_caller]
pub fn ours(test: impl Fn(&mut Stage)) {
    try_on(&[On::Ours], &test);
}

fn try_on(all: &[On], test: &dyn Fn(&mut Stage)) {
    if !testkit::require_root("a union is mounted") {
        return;
    }
    let wanted = match std::env::var("RULES_ON").as_deref() {
        Err(_) => all.to_vec(),
        Ok("kernel") => all.iter().filter(|on| **on == On::Kernel).cloned().collect(),
        Ok("ours") => vec![On::Ours],
        Ok(helper) => vec![On::Helper(helper.into())],
    };
    for on in wanted {
        match missing(&on) {
            Some(why) => testkit::machine::skip(&format!("{on:?}"), &why),
            None => {
                println!("on {on:?}");
                test(&mut Stage::new(on));
            }
        }
    }
}

/// Why a union cannot be mounted here at all.
fn missing(on: &On) -> Option<String> {
    static KERNEL: OnceLock<Option<String>> = OnceLock::new();
    match on {
        On::Kernel => KERNEL.get_or_init(|| Stage::new(On::Kernel).try_mount().err()).clone(),
        On::Ours => {
            let fuse = OpenOptions::new().read(true).write(true).open("/dev/fuse");
            fuse.err().map(|e| format!("/dev/fuse: {e}"))
        }
        On::Helper(_) => None,
    }
}

/// Two lower layers (1 is above 2), an upper, and their union.
#[derive(Debug)]
pub struct Stage {
    pub on: On,
    /// Whether it is verified that the lower layers stay as they are, which reads them.
    pub verifies: bool,
    dir: TempDir,
    options: String,
    mounted: Option<Mounted>,
}

/// A mounted union, and what its lower layers were.
#[derive(Debug)]
struct Mounted {
    server: Option<JoinHandle<Result<(), unionfs::Error>>>,
    lowers: Vec<String>,
}

impl Stage {
    fn new(on: On) -> Self {
        let dir = tempfile::tempdir().unwrap();
        chmod(dir.path(), 0o755);
        for name in ["1", "2", "upper", "work", "merged"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            // A server has no umask, and here it is this process.
            chmod(dir.path().join(name), 0o755);
        }
        Self { on, verifies: true, dir, options: String::new(), mounted: None }
    }

    /// A lower layer.
    pub fn lower(&self, n: usize) -> PathBuf {
        self.dir.path().join(n.to_string())
    }

    /// A path in the upper layer.
    pub fn upper(&self, path: &str) -> PathBuf {
        self.dir.path().join("upper").join(path)
    }

    /// The work directory.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// What is in the work directory, but for the whiteout that all others are links of (rule 18).
    pub fn left_in_work(&self) -> Vec<String> {
        let work = self.work().join("work");
        if !exists(&work) {
            return Vec::new();
        }
        names(&work).into_iter().filter(|name| !is_whiteout(work.join(name))).collect()
    }

    /// A path in the union.
    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("merged").join(path)
    }

    /// What the union's marks begin with: ordinary users may not set `trusted.`.
    pub fn prefix(&self) -> &'static str {
        if is_root() { "trusted.overlay." } else { "user.overlay." }
    }

    /// Mounts.
    pub fn mount(&mut self) {
        self.mount_with("");
    }

    /// Mounts with further options, for now and for every [`Stage::remount`].
    pub fn mount_with(&mut self, options: &str) {
        self.options = options.to_owned();
        let tried = self.try_mount();
        tried.unwrap_or_else(|e| panic!("mounting with {options:?}: {e}"));
    }

    /// Mounts with further options; says why not.
    pub fn try_mount_with(&mut self, options: &str) -> Result<(), String> {
        self.options = options.to_owned();
        self.try_mount()
    }

    fn try_mount(&mut self) -> Result<(), String> {
        assert!(self.mounted.is_none(), "mounted already");
        let merged = self.at("");
        let merged = merged.parent().unwrap().join("merged");
        let lowers = self.dump_lowers();
        let mut options = self.options.clone();
        let server = match &self.on {
            On::Kernel => {
                if !is_root() {
                    options = join("userxattr", &options);
                }
                let options = join(&self.layers(), &options);
                run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged))?;
                None
            }
            On::Ours => {
                let options = join(&join(&self.layers(), "allow_other"), &options);
                let (config, at) = parse([options], MountAt::default()).map_err(|e| e.to_string())?;
                // The same child may still hold what was locked by the mount before.
                let mut union = Union::open(&config);
                patiently(|| {
                    let busy = matches!(union, Err(unionfs::Error::Busy(_)));
                    if busy {
                        union = Union::open(&config);
                    }
                    !busy
                });
                let union = union.map_err(|e| e.to_string())?;
                let server = union.mount(&merged, &at).map_err(|e| e.to_string())?;
                Some(std::thread::spawn(move || server.run()))
            }
            On::Helper(helper) => {
                let options = join("allow_other", &options);
                let (one, two) = (self.lower(1), self.lower(2));
                let mut command = Command::new(helper);
                command.arg(format!("{}:{}", one.display(), two.display()));
                run(command.args([self.upper(""), self.work(), merged]).arg(options))?;
                None
            }
        };
        self.mounted = Some(Mounted { server, lowers });
        Ok(())
    }

    fn layers(&self) -> String {
        let path = |path: PathBuf| escape(path.as_os_str()).into_string().unwrap();
        let (one, two) = (path(self.lower(1)), path(self.lower(2)));
        let (upper, work) = (path(self.dir.path().join("upper")), path(self.work()));
        format!("lowerdir={one}:{two},upperdir={upper},workdir={work}")
    }

    /// Unmounts. Whatever the test did, the lower layers are as they were.
    pub fn unmount(&mut self) {
        let Some(mounted) = self.mounted.take() else { return };
        let merged = self.dir.path().join("merged");
        // A child that another test starts has our files open until it runs its program.
        patiently(|| unmount(&merged, UnmountFlags::empty()) != Err(Errno::BUSY));
        assert!(!is_mounted(&merged), "cannot be unmounted: is a file still open?");
        if let Some(server) = mounted.server {
            server.join().expect("the server panicked").expect("the server failed");
        }
        if let On::Helper(_) = self.on {
            // Its server still tidies up.
            patiently(|| !serves(&merged));
        }
        assert_eq!(self.dump_lowers(), mounted.lowers, "a lower layer was changed");
    }

    fn dump_lowers(&self) -> Vec<String> {
        if self.verifies { [dump(&self.lower(1)), dump(&self.lower(2))].concat() } else { Vec::new() }
    }

    /// Unmounts and mounts again: what counts is what is on the disk.
    pub fn remount(&mut self) {
        self.unmount();
        self.try_mount().unwrap_or_else(|e| panic!("mounting again: {e}"));
    }

    /// Whether the union can tell where a file was copied up from: the kernel's overlay needs the right to open files
    /// by handle for it.
    pub fn knows_origins(&self) -> bool {
        !self.is_kernel() || is_root()
    }

    /// Whether the rule is for this union, which is not for one that a helper mounts, nor for that of an ordinary user,
    /// who has no `what`; says so if not.
    pub fn has(&self, what: &str) -> bool {
        let why = match self.on {
            On::Helper(_) => "its options are not known",
            _ if !is_root() => "root only",
            _ => return true,
        };
        testkit::machine::skip(what, why);
        false
    }

    /// Whether the union is the kernel's overlay.
    pub fn is_kernel(&self) -> bool {
        self.on == On::Kernel
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = unmount(self.dir.path().join("merged"), UnmountFlags::DETACH);
        } else {
            self.unmount();
        }
    }
}

/// Whether this is root of the machine, not of a user namespace.
pub fn is_root() -> bool {
    privilege().unwrap() == Privilege::Root
}

fn join(one: &str, other: &str) -> String {
    let parts: Vec<&str> = [one, other].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(",")
}

/// Tries until it works, or for some seconds.
fn patiently(mut works: impl FnMut() -> bool) {
    let since = Instant::now();
    while !works() && since.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_mounted(path: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().any(|line| line.split(' ').nth(4).map(Path::new) == Some(path))
}

/// Whether a process has this path as an argument.
fn serves(path: &Path) -> bool {
    let wanted = path.as_os_str().as_encoded_bytes();
    let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let mut lines = std::fs::read_dir("/proc").unwrap().flatten().map(line);
    lines.any(|line| line.split(|byte| *byte == 0).any(|argument| argument == wanted))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{}: {said}", output.status)) }
}
