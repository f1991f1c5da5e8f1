//! layercake's verbs, on a store and a driver.
//!
//! An [`Engine`] is one data root opened with one driver. Each verb has a file of its own; what several verbs need
//! stands in `lookup`, `layers`, `tree`. Nothing is printed here, and no environment is read: the command does that.
//!
//! # How every change is made
//!
//! Prepare aside (the driver's [`Stage`](drivers::Stage), the store's [`Work`](store::Work)), verify, make durable with
//! one sync, then publish under the commit lock: layers, then the image, then its names. What a crash leaves behind is
//! garbage that the next writing command sweeps ([`Engine::open`]).

mod error;
mod hashing;
mod init_layer;
mod install;
mod layers;
mod lookup;
mod open;
mod parallel;
mod regenerate;
mod remap;

pub mod bench;
pub mod build;
pub mod check;
pub mod commit;
pub mod containers;
pub mod copy;
pub mod create;
pub mod df;
pub mod export;
pub mod history;
pub mod images;
pub mod import;
pub mod info;
pub mod inspect;
pub mod load;
pub mod migrate;
pub mod mount;
pub mod prune;
pub mod pull;
pub mod push;
pub mod reclaim;
pub mod remove_container;
pub mod remove_image;
pub mod rename;
pub mod run;
pub mod save;
pub mod tag;
pub mod volumes;

use std::path::PathBuf;

pub use drivers::{Choice, Server};
pub use error::{Error, Result};
pub use remap::root as data_root;
use sys::idmap::IdMap;

/// Our version, and what we sign the images with that we make.
pub const VERSION: &str = concat!("layercake-", env!("CARGO_PKG_VERSION"));

/// How to open a data root.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data root.
    pub root: PathBuf,
    /// The storage driver; chosen by what is there and what the machine can if absent.
    pub driver: Option<String>,
    /// `--storage-opt` of the driver.
    pub storage_opts: Vec<(String, String)>,
    /// What archives may ask for.
    pub limits: Limits,
    /// How many layers are unpacked at once; the number of processors if absent.
    pub threads: Option<usize>,
    /// The program that serves mounts of the driver `fuse-overlayfs`.
    pub union_server: Option<Server>,
    /// The ids of the host that containers' users are (`userns-remap`). The data root is then the directory
    /// `<uid>.<gid>` in [`root`](Self::root), by the ids of their user and group 0.
    pub remap: Option<IdMap>,
}

impl Options {
    /// Options with all defaults for the data root at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            driver: None,
            storage_opts: Vec::new(),
            limits: Limits::default(),
            threads: None,
            union_server: None,
            remap: None,
        }
    }
}

/// What archives may ask for; the user can raise each.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Of compressed streams.
    pub decompress: archive::compress::Limits,
    /// Of tar headers.
    pub tar: archive::tar::Limits,
    /// Of layers' contents.
    pub apply: changeset::ApplyLimits,
}

/// What a command is going to do with the data root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look only: nothing on the disk is changed, a missing root is empty, and a live daemon does not matter.
    Read,
    /// Change it: a missing root is made, what a crash left is swept, and the root of a live daemon is refused.
    Write,
}

/// The present time.
pub(crate) fn now() -> model::Timestamp {
    model::Timestamp::from(std::time::SystemTime::now())
}

/// One data root, opened with one storage driver.
pub struct Engine {
    store: store::DataRoot,
    driver: Box<dyn drivers::Driver>,
    choice: drivers::Choice,
    config: drivers::Config,
    limits: Limits,
    threads: usize,
}
