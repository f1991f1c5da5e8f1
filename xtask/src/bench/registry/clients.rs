//! Who pulls and pushes, each with the commands of its own.

use std::path::Path;
use std::process::Command;

use super::super::Bench;
use super::super::exec::run;
use super::super::table::OURS;
use super::link;
use crate::Result;

/// A program with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Ours,
    Docker,
    Podman,
    Containerd,
}

/// An image on a registry.
#[derive(Debug, Clone)]
pub struct Image {
    /// With the tag, without the registry.
    pub name: String,
    /// `sha256:…` of the configuration.
    pub id: String,
    /// `sha256:…` of the manifest.
    pub manifest: String,
}

/// All of them.
pub const ALL: [Client; 4] = [Client::Ours, Client::Docker, Client::Podman, Client::Containerd];

impl Client {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => OURS,
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
        }
    }

    fn command(self, bench: &Bench<'_>, args: &[&str]) -> Command {
        match self {
            Self::Ours => bench.ours.command(args),
            Self::Docker => bench.peers.docker(args),
            Self::Podman => bench.peers.podman(args),
            Self::Containerd => bench.peers.ctr(args),
        }
    }

    /// Pulls, which includes unpacking; without TLS. Docker was told so when it started.
    pub fn pull(self, bench: &Bench<'_>, name: &str) -> Command {
        let insecure = format!("--insecure-registry={}", link::REGISTRY);
        let (verb, flag): (&[&str], &str) = match self {
            Self::Ours => (&["pull"], &insecure),
            Self::Docker => (&["pull"], ""),
            Self::Podman => (&["pull"], "--tls-verify=false"),
            Self::Containerd => (&["images", "pull"], "--plain-http"),
        };
        let mut command = self.command(bench, verb);
        command.args(Some(flag).filter(|flag| !flag.is_empty())).arg(name);
        command
    }

    /// Pushes.
    pub fn push(self, bench: &Bench<'_>, name: &str) -> Command {
        let verb: &[&str] = match self {
            Self::Ours | Self::Docker => &["push"],
            Self::Podman => &["push", "--tls-verify=false"],
            Self::Containerd => &["images", "push", "--plain-http"],
        };
        let mut command = self.command(bench, verb);
        command.arg(name);
        command
    }

    /// Loads a docker-archive.
    pub fn load(self, bench: &Bench<'_>, archive: &Path) -> Result<()> {
        let mut command = match self {
            Self::Containerd => self.command(bench, &["images", "import"]),
            _ => self.command(bench, &["load", "--quiet", "--input"]),
        };
        run(command.arg(archive)).map(|_| ())
    }

    /// Gives an image another name.
    pub fn tag(self, bench: &Bench<'_>, image: &str, name: &str) -> Result<()> {
        let args: &[&str] = match self {
            Self::Containerd => &["images", "tag", image, name],
            _ => &["tag", image, name],
        };
        run(&mut self.command(bench, args)).map(|_| ())
    }

    /// Fails unless the image is there.
    pub fn expect(self, bench: &Bench<'_>, image: &Image) -> Result<()> {
        let (listed, wanted) = match self {
            Self::Containerd => (run(&mut self.command(bench, &["images", "ls"]))?, &image.manifest),
            _ => (run(&mut self.command(bench, &["images", "--quiet", "--no-trunc"]))?, &image.id),
        };
        if listed.contains(wanted.as_str()) {
            Ok(())
        } else {
            Err(format!("no {wanted} in {listed:?}").into())
        }
    }

    /// Removes an image with what only it uses, and waits until that is gone.
    pub fn remove(self, bench: &Bench<'_>, name: &str) -> Result<()> {
        let args: &[&str] = match self {
            Self::Ours => &["rmi", "--force", "--wait", name],
            Self::Docker | Self::Podman => &["rmi", "--force", name],
            Self::Containerd => &["images", "rm", "--sync", name],
        };
        run(&mut self.command(bench, args)).map(|_| ())
    }
}
