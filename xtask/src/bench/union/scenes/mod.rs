//! The scenes: what is measured, one file per kind of work.

mod big;
mod files;
mod layers;
mod memory;
mod small;
mod walk;
mod work;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::super::ground::{self, Ground};
use super::table::Line;
use super::unions::{Mounted, Union, log};
use crate::Result;

/// Layers, and what is done on a union of them.
pub struct Scene {
    /// The lines of the table that it fills.
    pub lines: &'static [Line],
    /// Makes the lower layers below a directory, topmost first. None: what they are made of is not here.
    pub layers: fn(&Path, &Place) -> Result<Option<Vec<PathBuf>>>,
    /// One turn: a figure for each line.
    pub play: fn(&Turn<'_>) -> Result<Vec<f64>>,
    /// Whether the others take part.
    pub peers: bool,
}

/// All scenes, in the order of the table.
pub const SCENES: &[Scene] = &[
    big::READ_AND_WRITE,
    big::SMALL_BLOCKS,
    walk::STAT,
    walk::FIND,
    small::READ,
    small::READ_ONLY,
    small::CREATE,
    small::COPY_UP,
    big::HOLE,
    big::REPLACE,
    big::SHRINK,
    layers::MISS,
    layers::MOUNT,
    memory::LOOKED_UP,
    work::UNPACK,
    work::STATUS,
    work::COMPILE,
];

/// Where the scenes play.
#[derive(Debug)]
pub struct Place {
    pub ground: Ground,
    /// Where the real image is, if anywhere.
    pub images: PathBuf,
}

/// One turn of one union.
#[derive(Debug)]
pub struct Turn<'a> {
    pub lowers: &'a [PathBuf],
    union: &'a Union,
    dir: PathBuf,
}

impl<'a> Turn<'a> {
    /// With an empty upper directory, when the machine has come to rest.
    pub fn new(union: &'a Union, lowers: &'a [PathBuf], place: &Place) -> Result<Self> {
        let dir = place.ground.path("turn");
        ground::remove(&dir)?;
        for name in ["upper", "work", "merged"] {
            fs::create_dir_all(dir.join(name))?;
        }
        place.ground.settle()?;
        Ok(Self { lowers, union, dir })
    }

    /// The upper directory.
    pub fn upper(&self) -> PathBuf {
        self.dir.join("upper")
    }

    /// Where the union is seen.
    pub fn merged(&self) -> PathBuf {
        self.dir.join("merged")
    }

    /// Mounts the lowers below the upper.
    pub fn mount(&self) -> Result<Mounted> {
        self.union.mount(self.lowers, Some(&self.dir), &self.merged())
    }

    /// Mounts the lowers alone.
    pub fn mount_read_only(&self) -> Result<Mounted> {
        self.union.mount(self.lowers, None, &self.merged())
    }

    /// What the server has printed, as the end of an error message.
    pub fn server_said(&self) -> String {
        let said = fs::read_to_string(log(&self.merged())).unwrap_or_default();
        if said.trim().is_empty() { String::new() } else { format!(" (the server said: {})", said.trim()) }
    }

    /// The union's root, open: paths below it are then looked up from there, which keeps the way to the union out of
    /// the figures. To be closed before the union is unmounted.
    pub fn open(&self) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(CWD, self.merged(), flags, Mode::empty())?.into())
    }
}

/// How long something takes, in seconds, and what it gives.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let done = work()?;
    Ok((start.elapsed().as_secs_f64(), done))
}

/// Fails with the text unless it holds.
fn verify(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(what().into()) }
}
