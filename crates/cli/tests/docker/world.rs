//! The directory of one test: a data root on which layercake and a daemon work in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::said::Tool;
use crate::witness::Docker;

/// One test's directory and its Docker.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    /// The data root, from there.
    root: &'static str,
    pub docker: Docker,
    /// The storage driver that both use.
    pub driver: &'static str,
    /// Whose ids containers get, `--userns-remap` of both.
    pub remap: Option<&'static str>,
}

impl World {
    pub fn new(docker: Docker) -> Self {
        Self::on(docker, "overlay2")
    }

    /// A directory for another storage driver.
    pub fn on(docker: Docker, driver: &'static str) -> Self {
        let dir = TempDir::with_prefix("layercake-witness-").unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        Self { dir, root: "root", docker, driver, remap: None }
    }

    /// A directory for containers with the ids of `user`.
    pub fn remapped(docker: Docker, user: &'static str) -> Self {
        let mut world = Self::new(docker);
        world.remap = Some(user);
        world
    }

    /// A directory for the driver `btrfs`, with its data root on such a file system, in a file of its own.
    pub fn on_btrfs(docker: Docker) -> Self {
        let mut world = Self::on(docker, "btrfs");
        let (image, disk) = (world.path("image"), world.path("disk"));
        fs::File::create(&image).unwrap().set_len(2 << 30).unwrap();
        fs::create_dir(&disk).unwrap();
        let run = |program: &str, args: &[&Path]| {
            succeeded(&[program], Command::new(program).args(args).output().unwrap());
        };
        run("mkfs.btrfs", &["--quiet".as_ref(), &image]);
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &disk]);
        world.root = "disk/root";
        fs::create_dir(world.root("")).unwrap();
        world
    }

    /// A path in the directory, which a daemon and its clients see too.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in the data root.
    pub fn root(&self, name: &str) -> PathBuf {
        self.path(self.root).join(name)
    }

    /// The directory's own path.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the daemon on the data root.
    pub fn start(&self) -> Daemon<'_> {
        Daemon::start(self)
    }

    /// Throws the data root away.
    pub fn clear(&self) {
        self.unmount_below(&self.root("."));
        fs::remove_dir_all(self.root("")).unwrap();
        fs::create_dir(self.root("")).unwrap();
    }

    /// `layercake ARG…` on the data root.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_layercake"));
        command.arg("--root").arg(self.root(""));
        // As with Docker, overlay2 is found by itself, and vfs has to be asked for.
        if self.driver != "overlay2" {
            command.args(["--storage-driver", self.driver]);
        }
        if let Some(user) = self.remap {
            command.args(["--userns-remap", user]);
        }
        command.args(args).env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    /// Runs `layercake ARG…`, which must succeed; returns what it printed.
    pub fn layercake(&self, args: &[&str]) -> String {
        succeeded(args, self.command(args).output().unwrap())
    }

    /// Runs `layercake ARG…`, which must fail; returns what it complained.
    pub fn layercake_fails(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(!output.status.success(), "layercake {args:?} should have failed: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// Names below a directory of the data root, sorted; none if there is no such directory.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root(dir)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Removes the mounts that a failed test left behind.
    fn unmount_below(&self, dir: &Path) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let below = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|at| Path::new(at).starts_with(dir));
        for at in below {
            let _ = Command::new("umount").args(["--lazy", at]).status();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.unmount_below(self.dir());
    }
}

impl Tool for World {
    fn name(&self) -> &'static str {
        "layercake"
    }

    fn run(&self, args: &[&str]) -> String {
        self.layercake(args)
    }
}

/// The standard output of a command that must have succeeded.
pub fn succeeded(args: &[&str], output: Output) -> String {
    assert!(
        output.status.success(),
        "{args:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
