//! The flags of `cargo xtask bench union`.

use std::path::PathBuf;

use super::super::options::{number, repository};
use crate::Result;
use crate::namespace::Who;
use crate::which::Which;

pub const HELP: &str = "\
Runs our union file system, the kernel's overlay and fuse-overlayfs (C and Rust) in turn, with all layers on a tmpfs, and
prints medians, multiples of the kernel overlay's time, and whether the goal is reached. Needs root.

usage: cargo xtask bench union [FLAG…]

  --only NAME       lines of the table whose name contains NAME (may be given more than once)
  --rounds N        rounds, of which the median counts (5)
  --as WHO          root, or user: an ordinary user in a user namespace (root)
  --of NAME,…       kernel, c, rust, ours (all that are there)
  --images DIR      what ../shared/images/make-buildpack made (../shared/images/out, or $IMAGES); without it the rows
                    that work on a real root file system are left out
  --work DIR        where the tmpfs is mounted (target/bench/union)
  --binary FILE     a layercake to measure, instead of building one
  --json FILE       every sample, for later

environment: FUSE_OVERLAYFS, FUSE_OVERLAYFS_RUST: the two programs (fuse-overlayfs of the PATH; none), IMAGES
";

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    pub only: Vec<String>,
    pub rounds: usize,
    pub who: Who,
    /// Empty: all.
    pub of: Vec<Which>,
    pub images: PathBuf,
    pub work: PathBuf,
    pub binary: Option<PathBuf>,
    pub json: Option<PathBuf>,
    pub c: PathBuf,
    pub rust: Option<PathBuf>,
}

impl Options {
    /// Reads the flags; nothing if help was asked for.
    pub fn parse(args: &[String]) -> Result<Option<Self>> {
        let from_env = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let mut options = Self {
            only: Vec::new(),
            rounds: 5,
            who: Who::Root,
            of: Vec::new(),
            images: from_env("IMAGES").unwrap_or_else(|| repository().join("../shared/images/out")),
            work: repository().join("target/bench/union"),
            binary: None,
            json: None,
            c: from_env("FUSE_OVERLAYFS").unwrap_or_else(|| "fuse-overlayfs".into()),
            rust: from_env("FUSE_OVERLAYFS_RUST"),
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
                "--as" => options.who = Who::parse(value)?,
                "--of" => options.of = Which::parse(flag, value)?,
                "--images" => options.images = value.into(),
                "--work" => options.work = value.into(),
                "--binary" => options.binary = Some(value.into()),
                "--json" => options.json = Some(value.into()),
                _ => return Err(format!("unknown flag {flag}; see --help").into()),
            }
        }
        if options.rounds == 0 {
            return Err("--rounds has to be at least 1".into());
        }
        options.images = std::path::absolute(&options.images)?;
        options.work = std::path::absolute(&options.work)?;
        options.json = options.json.map(std::path::absolute).transpose()?;
        Ok(Some(options))
    }
}
