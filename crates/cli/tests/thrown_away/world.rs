//! A place for commands that make directories and remove them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A place to work in: its own temporary directory, and the binary where everybody may run it.
pub struct World {
    pub dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Self { dir };
        fs::create_dir(world.tmp()).unwrap();
        for (path, mode) in [(world.dir.path().to_owned(), 0o755), (world.tmp(), 0o1777)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        // By another process: a child that another test starts just now must not have the program open for writing.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_layercake")).arg(world.program()).status();
        assert!(copied.unwrap().success());
        world
    }

    /// Where the directories are made.
    pub fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("layercake")
    }

    /// The command `layercake`, after the words that decide who runs it.
    pub fn command(&self, before: &[&str], args: &[&str]) -> Command {
        let program = self.program();
        let words: Vec<&str> =
            before.iter().copied().chain([program.to_str().unwrap()]).chain(args.iter().copied()).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir("/").env("TMPDIR", self.tmp()).stdin(Stdio::null());
        command.env_remove("XDG_RUNTIME_DIR").env_remove("HOME").env_remove("LAYERCAKE_ROOT");
        command
    }

    /// Runs the command, which must succeed without a complaint; returns what it printed.
    pub fn succeeds(&self, before: &[&str], args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(before, args).output().unwrap();
        let (text, errors) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
        assert!(status.success() && errors.is_empty(), "{status}: {errors}\n{text}");
        text
    }

    /// Waits until the directory of the command, its mounts and its processes are gone. Only the process that keeps an
    /// ordinary user's namespace may outlive the command, for a moment.
    pub fn assert_nothing_left(&self, dir: &Path) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = traces(dir);
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(fs::read_dir(self.tmp()).unwrap().count(), 0);
    }
}

/// What there still is of a directory.
fn traces(dir: &Path) -> Vec<String> {
    let name = dir.file_name().unwrap().to_str().unwrap();
    let mut traces = Vec::new();
    if dir.exists() {
        traces.push(format!("directory {}", dir.display()));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    traces.extend(mounts.lines().filter(|line| line.contains(name)).map(|line| format!("mount {line}")));
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let args = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let args = String::from_utf8_lossy(&args).replace('\0', " ");
        if args.contains(name) {
            traces.push(format!("process {args}"));
        }
    }
    traces
}

pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED, takes root");
    }
    root
}

/// An ordinary user without a name, a home, or ranges of ids.
pub const SOMEBODY: &[&str] = &["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"];
