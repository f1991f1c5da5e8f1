//! A running `dockerd`, and its client.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::archives;
use crate::said::Tool;
use crate::witness::{Docker, skip};
use crate::world::{World, succeeded, text};

/// How long a daemon may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a daemon prints, in the test's directory.
const LOG: &str = "dockerd.log";

/// Enters the machine's own tree: with a `/run` that nobody else's daemon uses.
const HERE: &str = r#"set -e
shift 2
mount -t tmpfs tmpfs /run
exec "$@""#;

/// Enters another tree, with the test's directory at its own path. Containers' roots need a mount point below them.
const THERE: &str = r#"set -e
tree=$1 work=$2
shift 2
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount --rbind /dev "$tree/dev"
for dir in run tmp var/tmp; do mount -t tmpfs tmpfs "$tree/$dir"; done
for file in subuid subgid; do
  [ ! -e "$work/$file" ] || mount --bind "$work/$file" "$tree/etc/$file"
done
mkdir -p "$tree$work"
mount --rbind "$work" "$tree$work"
exec chroot "$tree" "$@""#;

/// Runs the daemon until standard input ends, then stops it in good order. This shell is the first process of its
/// namespace: when it dies, the kernel ends all the others.
const UNTIL_INPUT_ENDS: &str = r#""$@" &
daemon=$!
read -r end
kill "$daemon"
wait "$daemon""#;

/// A command in a mount namespace of its own, in the tree of `docker`; `flags` are further ones for unshare(1).
pub fn inside(docker: &Docker, work: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]).args(flags).args(["--", "sh", "-c"]);
    match &docker.tree {
        None => command.args([HERE, "enter", "/"]),
        Some(tree) => command.args([THERE, "enter"]).arg(tree),
    };
    command.arg(work).env("PATH", &docker.path).env("HOME", work.join("home")).env("TZ", "UTC");
    command
}

/// A daemon on the data root of a test; killed with everything that it started when this is dropped.
#[derive(Debug)]
pub struct Daemon<'a> {
    world: &'a World,
    process: Child,
}

impl<'a> Daemon<'a> {
    /// Starts a daemon and waits until it listens.
    pub fn start(world: &'a World) -> Self {
        let log = File::create(world.path(LOG)).unwrap();
        let mut command =
            inside(&world.docker, world.dir(), &["--pid", "--fork", "--kill-child=KILL", "--mount-proc"]);
        command.args(["sh", "-c", UNTIL_INPUT_ENDS, "until-input-ends"]).arg(&world.docker.dockerd);
        command.arg("--data-root").arg(world.root("")).arg("--exec-root").arg(world.path("exec"));
        command.arg("--pidfile").arg(world.path("docker.pid")).args(["--storage-driver", world.driver]);
        if let Some(user) = world.remap {
            command.args(["--userns-remap", user]);
        }
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        command.arg(format!("--host=unix://{}", world.path("docker.sock").display()));
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        let daemon = Self { world, process };
        let start = Instant::now();
        while !daemon.log().contains("API listen on") {
            assert!(start.elapsed() < PATIENCE, "dockerd does not listen:\n{}", daemon.log());
            thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    fn log(&self) -> String {
        text(&fs::read(self.world.path(LOG)).unwrap())
    }

    /// Stops the daemon in good order, and waits for its end.
    pub fn stop(mut self) {
        drop(self.process.stdin.take());
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "dockerd ended with {status}:\n{}", self.log());
                return;
            }
            assert!(start.elapsed() < PATIENCE, "dockerd does not stop:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// `docker ARG…`.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = inside(&self.world.docker, self.world.dir(), &[]);
        let socket = format!("unix://{}", self.world.path("docker.sock").display());
        command.args(["docker", "--host", &socket]).args(args).stdin(Stdio::null());
        command
    }

    /// Runs `docker ARG…`, which must succeed; returns what it printed.
    pub fn docker(&self, args: &[&str]) -> String {
        succeeded(args, self.try_docker(args))
    }

    pub fn try_docker(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `docker ARG…` with something on its standard input.
    pub fn docker_with(&self, input: &[u8], args: &[&str]) -> String {
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(input).unwrap();
        file.rewind().unwrap();
        self.docker_from(file, args)
    }

    /// Runs `docker ARG…` with an open file as its standard input.
    pub fn docker_from(&self, input: File, args: &[&str]) -> String {
        succeeded(args, self.command(args).stdin(input).output().unwrap())
    }

    /// Runs a container of the fixtures' image to its end, `docker run ARG…`, which must succeed. Returns what it
    /// printed; or nothing, having said so, on a machine where an image of Docker's own does not run either.
    pub fn run_container(&self, args: &[&str]) -> Option<String> {
        let args: Vec<&str> = ["run", "--network", "none"].iter().chain(args).copied().collect();
        let output = self.try_docker(&args);
        if output.status.success() || self.can_run() {
            return Some(succeeded(&args, output));
        }
        skip("running containers", text(&output.stderr).trim());
        None
    }

    /// Whether this machine runs containers at all: of an image that Docker made.
    pub fn can_run(&self) -> bool {
        self.docker_with(&archives::base_layer(), &["import", "-", "witness/control:1"]);
        let output = self.try_docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "witness/control:1",
            "/bin/do",
            "out",
            "runs",
        ]);
        self.docker(&["rmi", "witness/control:1"]);
        output.status.success()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Tool for Daemon<'_> {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn run(&self, args: &[&str]) -> String {
        self.docker(args)
    }
}
