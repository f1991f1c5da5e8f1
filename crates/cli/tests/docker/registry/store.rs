//! A store of ours, and the commands on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::archives::Fixture;
use crate::world::{succeeded, text};

/// A directory with an empty data root, and a home without credentials. Nothing of this machine's settings is used.
#[derive(Debug)]
pub struct Store {
    dir: TempDir,
}

impl Store {
    pub fn new() -> Self {
        let store = Self { dir: TempDir::with_prefix("layercake-pulls-").unwrap() };
        fs::create_dir(store.path("docker")).unwrap();
        store
    }

    /// One with the fixtures' images.
    pub fn with_images() -> Self {
        let store = Self::new();
        fs::write(store.path("images.tar"), Fixture::Classic.saved()).unwrap();
        store.run(&["load", "--input", store.path("images.tar").to_str().unwrap()]);
        store
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory's own path.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `layercake ARG…`
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_layercake"));
        command.arg("--root").arg(self.path("root")).args(args);
        self.settle(&mut command);
        command
    }

    /// Gives a command this directory's settings.
    pub fn settle(&self, command: &mut Command) {
        command.env("HOME", self.dir()).env("DOCKER_CONFIG", self.path("docker")).env("TZ", "UTC");
        for name in ["http_proxy", "https_proxy", "no_proxy", "all_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.env_remove("REGISTRY_AUTH_FILE").stdin(Stdio::null());
    }

    /// Runs `layercake ARG…`, which must succeed; returns what it printed.
    pub fn run(&self, args: &[&str]) -> String {
        succeeded(args, self.output(args))
    }

    /// Runs `layercake ARG…`, which must fail; returns what it complained.
    pub fn fails(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(!output.status.success(), "layercake {args:?} should have failed: {}", text(&output.stdout));
        text(&output.stderr)
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The ID of an image.
    pub fn id(&self, image: &str) -> String {
        self.run(&["image", "inspect", "--format", "{{.Id}}", image]).trim().to_owned()
    }

    /// Gives an image this name, and pushes it with further flags; returns what was printed.
    pub fn push_as(&self, image: &str, name: &str, flags: &[&str]) -> String {
        self.run(&["tag", image, name]);
        self.run(&[&["push"], flags, &[name]].concat())
    }

    /// That the store is whole.
    pub fn check(&self) {
        let said = self.run(&["check"]);
        assert!(said.ends_with("no damage\n"), "{said}");
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for mount in sys::mount::table(self.dir()).unwrap_or_default().iter().rev() {
            let _ = sys::mount::detach(&mount.target);
        }
    }
}

/// The digest in the line `Digest: …` of a pull.
pub fn pulled_digest(said: &str) -> String {
    let line = said.lines().find_map(|line| line.strip_prefix("Digest: "));
    line.unwrap_or_else(|| panic!("no digest in {said}")).to_owned()
}

/// The digest and the size in the line `TAG: digest: … size: …` of a push.
pub fn pushed_digest(said: &str) -> (String, u64) {
    let line = said.lines().find_map(|line| line.split_once(": digest: ")).map(|(_, rest)| rest);
    let (digest, size) =
        line.and_then(|line| line.split_once(" size: ")).unwrap_or_else(|| panic!("no digest in {said}"));
    (digest.to_owned(), size.trim().parse().unwrap())
}
