//! The flags of `cargo xtask suites`.

use std::path::PathBuf;

use crate::Result;
use crate::bench::repository;
use crate::namespace::Who;
use crate::which::Which;

pub const HELP: &str = "\
Runs file system suites that others wrote on a union file system, and compares the totals with what is expected.
Needs root; nothing is fetched.

usage: cargo xtask suites [FLAG…]

  --of NAME,…       ours, kernel, c, rust: ours, the kernel's overlay, fuse-overlayfs in C and in Rust (ours)
  --as WHO          root, user (an ordinary user in a user namespace), or both (both)
  --only NAME       suites whose name contains NAME (may be given more than once)
  --suites DIR      where the suites are (target/suites, or $SUITES)
  --runners DIR     where the runners are (../shared/union-suites, or $RUNNERS)
  --work DIR        scratch directory, on a file system with extended attributes of users (target/suites-work)
  --binary FILE     a layercake to test, instead of building one

The suites, in DIR:
  pjdfstest/        github.com/pjd/pjdfstest, built (its binary and tests/)
  unionmount/       github.com/amir73il/unionmount-testsuite, as it is
  fsx, fsstress     the two programs of that name, of github.com/kdave/xfstests (ltp/)
A suite that is not there is left out, and said to be.

environment: SUITES, RUNNERS, FUSE_OVERLAYFS, FUSE_OVERLAYFS_RUST (the programs in C and Rust)
";

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    pub of: Vec<Which>,
    pub who: Vec<Who>,
    pub only: Vec<String>,
    pub suites: PathBuf,
    pub runners: PathBuf,
    pub work: PathBuf,
    pub binary: Option<PathBuf>,
}

impl Options {
    /// Reads the flags; nothing if help was asked for.
    pub fn parse(args: &[String]) -> Result<Option<Self>> {
        let from_env = |name: &str, default: &str| match std::env::var_os(name) {
            Some(path) => PathBuf::from(path),
            None => repository().join(default),
        };
        let mut options = Self {
            of: vec![Which::Ours],
            who: vec![Who::Root, Who::User],
            only: Vec::new(),
            suites: from_env("SUITES", "target/suites"),
            runners: from_env("RUNNERS", "../shared/union-suites"),
            work: repository().join("target/suites-work"),
            binary: None,
        };
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            if flag == "--help" || flag == "-h" {
                return Ok(None);
            }
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--of" => options.of = Which::parse(flag, value)?,
                "--as" if value == "both" => {}
                "--as" => options.who = vec![Who::parse(value)?],
                "--only" => options.only.push(value.clone()),
                "--suites" => options.suites = value.into(),
                "--runners" => options.runners = value.into(),
                "--work" => options.work = value.into(),
                "--binary" => options.binary = Some(value.into()),
                _ => return Err(format!("unknown flag {flag}; see --help").into()),
            }
        }
        for path in [&mut options.suites, &mut options.runners, &mut options.work] {
            *path = std::path::absolute(&*path)?;
        }
        Ok(Some(options))
    }
}
