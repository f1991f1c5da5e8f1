//! Unions: what `layercake union` mounts, and the process that serves it.
//!
//! The program has three faces for this. [`Face::of`] tells them by the name that it is called by:
//!
//! | called as | arguments are those of |
//! | --- | --- |
//! | `layercake union` | the subcommand |
//! | `fuse-overlayfs` | the same; it can be Podman's `mount_program` |
//! | `mount.fuse.layercake`, or `layercake SOURCE TARGET -o OPTIONS` | mount(8)'s helpers; the second is how mount.fuse3(8) calls the program of a subtype |

mod face;
mod server;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use unionfs::options::Refused;
use unionfs::{Config, MountAt};

use crate::output::failure::Failure;
pub use face::{Face, mount_helper};
pub use server::serve_if_asked;

/// What the type of the file system is called, behind `fuse.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtype(&'static str);

impl Subtype {
    /// Our own.
    pub const LAYERCAKE: Self = Self("layercake");
    /// That of the program we stand in for.
    pub const FUSE_OVERLAYFS: Self = Self("fuse-overlayfs");

    fn find(name: &str) -> Option<Self> {
        [Self::LAYERCAKE, Self::FUSE_OVERLAYFS].into_iter().find(|subtype| subtype.0 == name)
    }
}

/// A union to be mounted.
#[derive(Debug, Clone)]
pub struct Request {
    /// The lists of `-o`.
    pub options: Vec<OsString>,
    /// The first column of `/proc/mounts`, if it is not to be the subtype.
    pub source: Option<OsString>,
    /// Where.
    pub target: PathBuf,
    /// The type.
    pub subtype: Subtype,
}

impl Request {
    /// The options, read.
    fn read(&self) -> Result<(Config, MountAt), Refused> {
        let source = self.source.as_ref().map(|source| source.to_string_lossy().into_owned());
        let at = MountAt {
            source: source.unwrap_or_else(|| self.subtype.0.to_owned()),
            subtype: self.subtype.0.to_owned(),
            // As of the kernel's mounts, and of fuse-overlayfs's by root.
            allow_other: sys::process::euid() == 0,
            ..MountAt::default()
        };
        unionfs::options::parse(&self.options, at)
    }

    /// What kept the union from being mounted.
    fn failed(&self, why: impl std::fmt::Display) -> Failure {
        Failure::refused(format_args!("union at {}: {why}", self.target.display()))
    }
}

/// By its own name, so that `ps` shows that; if that was replaced meanwhile, by the kernel's link to it.
pub fn this_program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| Path::new("/proc/self/exe").into())
}
