//! Measures storage drivers side by side: the same work on a throw-away data root of each.
//!
//! | module | subject |
//! | --- | --- |
//! | `image` | the images that the work is done on, unless the user names one |
//! | `survey` | what an image has that work can be done on |
//! | `ground` | a data root with the images, and containers on it |
//! | `workloads` | the work |
//! | `report` | what was measured |
//!
//! What a workload measures stands at [`Workload`]. The data roots are the caller's to make room for, and [`clear`]
//! ends what lives in one.

mod ground;
mod image;
mod report;
mod survey;
mod workloads;

use std::path::{Path, PathBuf};

use crate::run::Launcher;
use crate::{Access, Engine, Options, Result};

use ground::Ground;
pub use report::{Figure, Measure, Report, Skipped, Unit};

/// A driver on a data root of its own, which is not there yet.
#[derive(Debug, Clone)]
pub struct Contestant {
    /// The driver's name.
    pub driver: String,
    /// The data root with this driver.
    pub options: Options,
    /// Starts monitors of containers in that data root.
    pub launcher: Launcher,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// Creates a container; runs a program in it that does nothing.
    StartUp,
    /// Writes one byte into a big file of the image, until it is on the disk, and another one; the space that took.
    CopyUp,
    /// Makes many small files; writes a little to many small files of the image. A directory outside of the container,
    /// as a volume is one, comes first.
    SmallWrites,
    /// Loads an image of many layers; mounts a container on it; reads a file of each layer.
    DeepLayers,
    /// Lists the whole tree and asks for the attributes of every file, twice.
    Walk,
    /// Deletes a tree of the image's in a container; removes the container, until its space is given back.
    Delete,
    /// The memory that one big file of the image takes when several containers read it.
    PageCache,
    /// The inodes of the backing file system that the image takes, and those of a new container.
    Inodes,
    /// The user's own command, from the start of its container to its end.
    Command,
}

impl Workload {
    /// All of them, in the order in which they are done.
    pub const ALL: [Self; 9] = [
        Self::StartUp,
        Self::CopyUp,
        Self::SmallWrites,
        Self::DeepLayers,
        Self::Walk,
        Self::Delete,
        Self::PageCache,
        Self::Inodes,
        Self::Command,
    ];

    /// The name by which it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartUp => "start-up",
            Self::CopyUp => "copy-up",
            Self::SmallWrites => "small-writes",
            Self::DeepLayers => "deep-layers",
            Self::Walk => "walk",
            Self::Delete => "delete",
            Self::PageCache => "page-cache",
            Self::Inodes => "inodes",
            Self::Command => "command",
        }
    }

    /// The workload of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }
}

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Bytes of the big file.
    pub big: u64,
    /// Layers of small files in the image, on top of the one with the big file.
    pub layers: usize,
    /// Small files in each of these layers.
    pub files: usize,
    /// How many small files are made, and how many of the image's are written to.
    pub writes: usize,
    /// Layers of the deep image.
    pub depth: usize,
    /// Containers that share the page cache.
    pub containers: usize,
    /// How often everything is measured.
    pub rounds: usize,
}

impl Scale {
    /// What says something about a machine.
    pub const USUAL: Self =
        Self { big: 64 << 20, layers: 7, files: 400, writes: 1000, depth: 100, containers: 4, rounds: 5 };
    /// What only shows that everything works.
    pub const SMALL: Self =
        Self { big: 4 << 20, layers: 2, files: 40, writes: 40, depth: 10, containers: 2, rounds: 1 };
}

/// An image of the user's.
#[derive(Debug, Clone)]
pub struct UserImage {
    /// An archive with it, as `save` writes it.
    pub archive: PathBuf,
    /// Its name or ID in there.
    pub name: String,
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The drivers.
    pub contestants: Vec<Contestant>,
    /// The work.
    pub workloads: Vec<Workload>,
    /// The image; one that is made here if absent.
    pub image: Option<UserImage>,
    /// The command of [`Workload::Command`].
    pub command: Vec<String>,
    /// How much of everything.
    pub scale: Scale,
    /// An empty directory on the same file system, for archives and for what needs no container.
    pub scratch: PathBuf,
}

/// What is being done, for who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A data root of this driver is made.
    Prepare(&'a str),
    /// A workload's turn.
    Measure {
        /// The driver; [`Report::VOLUME`] for none.
        driver: &'a str,
        /// The workload.
        workload: Workload,
        /// Which time, from 1.
        round: usize,
    },
}

/// The names of all drivers, first choice first.
pub fn drivers() -> Vec<&'static str> {
    drivers::names().collect()
}

/// The name of the file system that `path` is on, in Docker's words.
///
/// # Errors
/// System calls.
pub fn filesystem(path: &Path) -> Result<&'static str> {
    Ok(drivers::backing_name(path)?)
}

/// Measures. Drivers take turns in every round, so that whatever else the machine does meets all of them. A driver that
/// cannot be prepared, or fails in a workload, is left out of what follows, and the report says why.
///
/// # Errors
/// Those that are no driver's: the user's image cannot be read, or the scratch directory not be written.
pub fn run(plan: &Plan, watch: &mut dyn FnMut(Step<'_>)) -> Result<Report> {
    let archives = image::Archives::make(plan)?;
    let mut report = Report::new(plan);
    let mut grounds = Vec::new();
    for contestant in &plan.contestants {
        watch(Step::Prepare(&contestant.driver));
        match Ground::prepare(contestant, &archives, plan, &mut report) {
            Ok(ground) => grounds.push(ground),
            Err(error) => report.skip(&contestant.driver, None, &error),
        }
    }
    if let Some(ground) = grounds.first() {
        report.describe(ground);
    }
    for workload in Workload::ALL.into_iter().filter(|workload| plan.workloads.contains(workload)) {
        for round in 1..=plan.scale.rounds {
            if workload == Workload::SmallWrites {
                watch(Step::Measure { driver: Report::VOLUME, workload, round });
                workloads::small_writes_of_volume(plan, &mut report)?;
            }
            for ground in &grounds {
                let driver = ground.driver();
                if report.is_skipped(driver, workload) {
                    continue;
                }
                watch(Step::Measure { driver, workload, round });
                if let Err(error) = workloads::run(workload, ground, plan, &mut report) {
                    report.skip(driver, Some(workload), &error);
                }
            }
        }
    }
    Ok(report)
}

/// Removes all containers and images of a throw-away data root, those that run included, so that nothing is mounted in
/// it and no process works there.
///
/// # Errors
/// Something cannot be removed; the rest is.
pub fn clear(options: &Options) -> Result<()> {
    // A driver that does not work here has left nothing but its root.
    if !options.root.join("image").exists() {
        return Ok(());
    }
    let engine = Engine::open(options, Access::Write)?;
    let mut result = Ok(());
    for container in engine.store.containers().list()? {
        result = result.and(engine.remove_container(&container, true));
    }
    let force = crate::remove_image::RemoveImage { force: true, ..Default::default() };
    for image in engine.store.images().list()? {
        result = result.and(engine.remove_image(&image.to_string(), force).map(drop));
    }
    result.and(engine.reclaim())
}
