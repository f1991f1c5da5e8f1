//! The flags of `cargo xtask bench`.

use std::path::{Path, PathBuf};

use super::ground::Kind;
use crate::Result;

pub const HELP: &str = "\
Runs layercake and its peers in turn and prints medians, ratios and whether the goal is reached. Needs root.

usage: cargo xtask bench [FLAG…]
       cargo xtask bench union [FLAG…]     the union file system instead; see its --help
       cargo xtask bench registry [FLAG…]  pulls and pushes instead; see its --help

  --only NAME       the row NAME, or rows whose name contains NAME (may be given more than once)
  --rounds N        rounds, of which the median counts (5)
  --on WHERE        tmpfs, disk or both (both)
  --images DIR      what ../shared/images/make-buildpack made (../shared/images/out, or $IMAGES)
  --containers N    containers for the row of `ps` (1000)
  --files N         files that each of them wrote (100)
  --context DIR     a Dockerfile and its context, for the row that builds it from nothing
  --settle SECONDS  rest before every measurement on disk (20)
  --work DIR        where the data goes; its file system is the disk (target/bench)
  --binary FILE     a layercake to measure, instead of building one
  --json FILE       every sample, for later

environment: PEERS (../shared/peers/peers), PEERS_TREE (the script's own default), IMAGES
";

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    pub only: Vec<String>,
    pub rounds: usize,
    pub on: Vec<Kind>,
    pub images: PathBuf,
    pub containers: usize,
    pub files: usize,
    pub context: Option<PathBuf>,
    pub settle: u64,
    pub work: PathBuf,
    pub binary: Option<PathBuf>,
    pub json: Option<PathBuf>,
    /// The script that runs Docker, containerd, podman and skopeo.
    pub peers: PathBuf,
}

impl Options {
    /// Reads the flags; nothing if help was asked for.
    pub fn parse(args: &[String]) -> Result<Option<Self>> {
        let repository = repository();
        let from_env = |name: &str, default: &str| match std::env::var_os(name) {
            Some(path) => PathBuf::from(path),
            None => repository.join(default),
        };
        let mut options = Self {
            only: Vec::new(),
            rounds: 5,
            on: vec![Kind::Tmpfs, Kind::Disk],
            images: from_env("IMAGES", "../shared/images/out"),
            containers: 1000,
            files: 100,
            context: None,
            settle: 20,
            work: repository.join("target/bench"),
            binary: None,
            json: None,
            peers: from_env("PEERS", "../shared/peers/peers"),
        };
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            if flag == "--help" || flag == "-h" {
                return Ok(None);
            }
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--only" => options.only.push(value.clone()),
                "--rounds" => options.rounds = number(flag, value)?,
                "--on" => options.on = Kind::parse(value)?,
                "--images" => options.images = value.into(),
                "--containers" => options.containers = number(flag, value)?,
                "--files" => options.files = number(flag, value)?,
                "--context" => options.context = Some(std::path::absolute(value)?),
                "--settle" => options.settle = number(flag, value)? as u64,
                "--work" => options.work = value.into(),
                "--binary" => options.binary = Some(value.into()),
                "--json" => options.json = Some(value.into()),
                _ => return Err(format!("unknown flag {flag}; see --help").into()),
            }
        }
        if options.rounds == 0 || options.containers == 0 {
            return Err("--rounds and --containers have to be at least 1".into());
        }
        options.images = std::path::absolute(&options.images)?;
        options.work = std::path::absolute(&options.work)?;
        Ok(Some(options))
    }
}

/// The directory of this repository.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The number that a flag is given.
pub fn number(flag: &str, value: &str) -> Result<usize> {
    value.parse().map_err(|_| format!("{flag}: {value} is not a number").into())
}
