//! Docker, containerd, podman and skopeo, from the tree that the `peers` script makes.
//!
//! The script starts and stops the daemons; their clients are run in the tree directly, with one `chroot` as all that
//! is added to their time.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::exec::run;
use super::ground::Ground;
use super::options::Options;
use crate::Result;

/// The namespace of containerd that the benchmark's images are in.
const NAMESPACE: &str = "bench";

/// The running peers; they are stopped with this.
#[derive(Debug)]
pub struct Peers {
    script: PathBuf,
    tree: PathBuf,
    work: PathBuf,
    images: PathBuf,
}

impl Peers {
    /// Starts the daemons with their data on `ground`.
    pub fn up(options: &Options, ground: &Ground) -> Result<Self> {
        if !options.peers.exists() {
            return Err(format!(
                "no {}: set PEERS to the script that runs the peers",
                options.peers.display()
            )
            .into());
        }
        let tree =
            std::env::var_os("PEERS_TREE").map_or_else(|| PathBuf::from("/var/tmp/peers"), PathBuf::from);
        let peers = Self {
            script: options.peers.clone(),
            tree,
            work: ground.path("peers"),
            images: options.images.clone(),
        };
        // What an earlier user of the tree left mounted belongs to other namespaces than ours.
        run(&mut peers.script("down"))?;
        let log = std::fs::File::create(ground.path("peers-up.log"))?;
        // The daemons inherit the output: a pipe would stay open as long as they live.
        let status = peers.script("up").stdout(log.try_clone()?).stderr(log).status()?;
        if !status.success() {
            let text = std::fs::read_to_string(ground.path("peers-up.log"))?;
            return Err(format!("starting the peers: {}", text.trim()).into());
        }
        std::fs::create_dir_all(peers.work.join("tmp"))?;
        Ok(peers)
    }

    fn script(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.script);
        command
            .arg(verb)
            .env("PEERS_TREE", &self.tree)
            .env("PEERS_WORK", &self.work)
            .env("PEERS_BIND", &self.images);
        command
    }

    /// A program of the tree. Its temporary files lie where its data lies.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(&self.tree)
            .arg(program)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.work.join("home"))
            .env("TMPDIR", self.work.join("tmp"))
            .env("CONTAINERS_STORAGE_CONF", self.work.join("storage.conf"));
        command
    }

    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = self.inside("docker");
        command.arg("--host").arg(format!("unix://{}/docker.sock", self.work.display())).args(args);
        command
    }

    pub fn ctr(&self, args: &[&str]) -> Command {
        let mut command = self.inside("ctr");
        command
            .arg("--address")
            .arg(self.work.join("containerd.sock"))
            .args(["--namespace", NAMESPACE])
            .args(args);
        command
    }

    pub fn podman(&self, args: &[&str]) -> Command {
        let mut command = self.inside("podman");
        command.args(args);
        command
    }

    /// `skopeo copy SOURCE` into podman's store.
    pub fn skopeo(&self, transport: &str, image: &Path) -> Command {
        let mut command = self.inside("skopeo");
        command.args(["copy", "--quiet"]);
        command.arg(format!("{transport}:{}", image.display())).arg("containers-storage:localhost/bench:1");
        command
    }

    /// A directory of the peers' data that they and we see at the same path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// A line with everybody's version.
    pub fn versions(&self) -> Result<String> {
        let docker = run(&mut self.docker(&["version", "--format", "Docker {{.Server.Version}}"]))?;
        let containerd = run(self.inside("containerd").arg("--version"))?;
        let podman = run(&mut self.podman(&["--version"]))?;
        let skopeo = run(self.inside("skopeo").arg("--version"))?;
        let tar = run(Command::new("tar").arg("--version"))?;
        let kernel = run(Command::new("uname").args(["-s", "-r"]))?;
        let containerd = containerd.split(' ').nth(2).unwrap_or_default();
        let tar = tar.lines().next().unwrap_or_default();
        let processors = std::thread::available_parallelism()?;
        Ok(format!(
            "{}, {processors} processors; {}; containerd {containerd}; {}; {}; {tar}",
            kernel.trim(),
            docker.trim(),
            podman.trim(),
            skopeo.trim()
        ))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // The namespace's end stops what this does not.
        let _ = run(&mut self.script("down"));
    }
}
