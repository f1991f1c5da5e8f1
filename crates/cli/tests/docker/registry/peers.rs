//! The programs on the registry's other side that are no daemons: the machine's skopeo, and podman of the peers' tree.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::store::Store;
use crate::daemon;
use crate::witness::{Docker, Witness, skip};
use crate::world::{succeeded, text};

/// A program that copies images between registries and its own places.
#[derive(Debug)]
pub struct Skopeo<'a> {
    store: &'a Store,
    /// Flags for every registry: how to meet it.
    flags: Vec<String>,
}

impl<'a> Skopeo<'a> {
    /// The machine's, if it has one; with the settings of a store. It takes registries without TLS.
    pub fn find(name: &str, store: &'a Store) -> Option<Self> {
        if Command::new("skopeo").arg("--version").output().is_err() {
            skip(name, "no skopeo");
            return None;
        }
        Some(Self { store, flags: vec!["--tls-verify=false".into()] })
    }

    /// One that knows an authority, and has a certificate, as a directory of `certs.d` has them.
    pub fn with_certificates(mut self, dir: &Path) -> Self {
        self.flags = vec![format!("--cert-dir={}", dir.display())];
        self
    }

    /// With a file of credentials.
    pub fn with_authfile(mut self, file: &Path) -> Self {
        self.flags.push(format!("--authfile={}", file.display()));
        self
    }

    fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new("skopeo");
        self.store.settle(command.args(["--insecure-policy"]).args(args));
        command.output().unwrap()
    }

    /// Runs `skopeo ARG…`, which must succeed.
    pub fn run(&self, args: &[&str]) -> String {
        succeeded(args, self.output(args))
    }

    fn copy(&self, side: &str, more: &[&str], from: &str, to: &str) -> String {
        let flags = self.flags.iter().map(|flag| match flag.strip_prefix("--authfile") {
            Some(_) => flag.clone(),
            None => format!("--{side}-{}", &flag[2..]),
        });
        let flags: Vec<String> = flags.collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.run(&[&["copy"], &flags[..], more, &[from, to]].concat())
    }

    /// Pulls into a directory with all files as they are; returns its path, whose `manifest.json` is what was pulled.
    pub fn pull(&self, name: &str, into: &str) -> std::path::PathBuf {
        let dir = self.store.path(into);
        self.copy("src", &[], &format!("docker://{name}"), &format!("dir:{}", dir.display()));
        dir
    }

    /// Pushes from another transport.
    pub fn push(&self, from: &str, name: &str, flags: &[&str]) {
        self.copy("dest", flags, from, &format!("docker://{name}"));
    }

    /// The manifest or index as the registry has it.
    pub fn raw(&self, name: &str) -> String {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.run(&[&["inspect", "--raw"], &flags[..], &[&format!("docker://{name}")]].concat())
    }

    /// The same, read.
    pub fn manifest(&self, name: &str) -> Value {
        serde_json::from_str(&self.raw(name)).unwrap()
    }
}

/// podman with a store of its own.
#[derive(Debug)]
pub struct Podman<'a> {
    store: &'a Store,
    tree: Docker,
}

impl<'a> Podman<'a> {
    /// The one of the peers' tree, if there is one; its store lies in the directory of ours.
    pub fn find(name: &str, store: &'a Store) -> Option<Self> {
        let tree = match Witness::Newest.find() {
            Ok(tree) => tree,
            Err(why) => {
                skip(name, &why);
                return None;
            }
        };
        if !tree.tree.as_ref().is_some_and(|tree| tree.join("usr/bin/podman").exists()) {
            skip(name, "no podman in the peers' tree");
            return None;
        }
        Some(Self { store, tree })
    }

    /// Runs `podman ARG…`, which must succeed.
    pub fn run(&self, args: &[&str]) -> String {
        let at = |name: &str| self.store.path(name).display().to_string();
        fs::create_dir_all(at("podman/tmp")).unwrap();
        let mut command = daemon::inside(&self.tree, self.store.dir(), &[]);
        command.args(["podman", "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]);
        command.args(["--root", &at("podman/root"), "--runroot", &at("podman/run")]);
        command.args(args);
        self.store.settle(&mut command);
        let output = command.env("TMPDIR", at("podman/tmp")).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "podman {args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The ID and the digest of an image.
    pub fn image(&self, name: &str) -> (String, String) {
        let said = self.run(&["image", "inspect", "--format", "sha256:{{.Id}} {{.Digest}}", name]);
        let (id, digest) = said.trim().split_once(' ').unwrap();
        (id.to_owned(), digest.to_owned())
    }
}
