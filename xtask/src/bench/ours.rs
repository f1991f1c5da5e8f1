//! layercake, as a user runs it: one process per command.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::exec::run;
use super::ground::{self, Ground};
use super::options;
use crate::Result;

/// Builds the release binary, unless one is given; returns its path.
pub fn build(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(binary) = given {
        return Ok(std::path::absolute(binary)?);
    }
    let repository = options::repository();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).current_dir(&repository).args([
        "build",
        "--release",
        "--quiet",
        "--package",
        "layercake",
    ]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    Ok(target.join("release/layercake"))
}

/// A store of ours on the ground of this run.
#[derive(Debug)]
pub struct Ours {
    binary: PathBuf,
    root: PathBuf,
}

impl Ours {
    pub fn new(binary: &Path, ground: &Ground) -> Self {
        Self { binary: binary.to_path_buf(), root: ground.path("layercake") }
    }

    /// `layercake ARG…` on the store.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--root").arg(&self.root).args(args);
        command
    }

    /// `layercake load` of an image.
    pub fn load(&self, image: &Path) -> Command {
        let mut command = self.command(&["load", "--quiet", "--input"]);
        command.arg(image);
        command
    }

    /// Runs a command that is not measured.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        run(&mut self.command(args))
    }

    /// The IDs of all images.
    pub fn image_ids(&self) -> Result<String> {
        self.run(&["images", "--quiet", "--no-trunc"])
    }

    /// The directory of the driver's layers.
    pub fn layers(&self) -> PathBuf {
        self.root.join("overlay2")
    }

    /// A file or directory of the data root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Throws the store away.
    pub fn clear(&self) -> Result<()> {
        ground::remove(&self.root)
    }
}
