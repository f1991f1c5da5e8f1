//! The steps, in order.

mod changes;
mod commit;
mod containers;
mod disk;
mod images;

use super::{Options, Tour, files};
use crate::output::failure::Failure;
use containers::Containers;

/// Goes through all steps.
///
/// # Errors
/// A command failed.
pub fn walk(tour: &Tour, options: &Options) -> Result<(), Failure> {
    let driver = Driver::of(tour.ask("layercake info --format {{.Driver}}")?.trim());
    welcome(tour, options, driver)?;
    images::layers(tour)?;
    images::sharing(tour)?;
    disk::directories(tour, driver)?;
    let containers = containers::create(tour, driver)?;
    changes::read(tour, &containers)?;
    changes::write(tour, &containers)?;
    changes::whiteout(tour, &containers)?;
    changes::opaque(tour, &containers)?;
    changes::rename(tour, &containers)?;
    containers::sizes(tour, &containers)?;
    commit::commit(tour)?;
    if options.keep { Ok(()) } else { commit::remove(tour, driver) }
}

/// What makes a container's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The kernel's OverlayFS.
    Overlay2,
    /// Our own union file system.
    FuseOverlayfs,
    /// Copies.
    Vfs,
}

impl Driver {
    fn of(name: &str) -> Self {
        match name {
            "overlay2" => Self::Overlay2,
            "fuse-overlayfs" => Self::FuseOverlayfs,
            _ => Self::Vfs,
        }
    }

    /// Its part of a data root.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::FuseOverlayfs => "fuse-overlayfs",
            Self::Vfs => "vfs",
        }
    }
}

fn welcome(tour: &Tour, options: &Options, driver: Driver) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.text(
        "How an image becomes layers on a disk, how containers share them, and what copy-on-write does: with a small \
         image, in a store of its own, and with the commands that you would type.",
    )?;
    let dir = tour.place.dir().display().to_string();
    guide.command(&format!("cd {dir}"), "")?;
    guide.command("export LAYERCAKE_ROOT=$PWD/store", "")?;
    let why = || match &options.driver {
        Some(driver) => format!("you asked for the driver {driver}"),
        None => format!("no overlay can be mounted here ({})", files::shorten(&tour.place.why_no_overlay())),
    };
    if driver == Driver::FuseOverlayfs {
        guide.text(&format!(
            "Layers are stacked by layercake's own union file system, not by the kernel's OverlayFS, because {}.",
            why()
        ))?;
    }
    if driver == Driver::Vfs {
        let why = why();
        guide.skipped(&format!(
            "the steps on copy-up, whiteouts, opaque directories and rename, because {why}. They show the driver \
             overlay2; this store has vfs, which makes a full copy for each layer and container instead."
        ))?;
    }
    Ok(())
}

/// A file operation that failed.
fn io(what: &str, err: &std::io::Error) -> Failure {
    Failure::plain(format_args!("{what}: {err}"))
}

/// A path below the tour's directory as a user who is in there would type it.
fn relative(tour: &Tour, path: &std::path::Path) -> String {
    path.strip_prefix(tour.place.dir()).unwrap_or(path).display().to_string()
}

/// The upper directory, for a step that takes one; without, says that the step would have shown `what`.
fn upper<'a>(
    containers: &'a Containers,
    tour: &Tour,
    what: &str,
) -> Result<Option<&'a std::path::Path>, Failure> {
    match &containers.upper {
        Some(upper) => Ok(Some(upper)),
        None => {
            tour.guide.skipped(&format!("{what} (driver vfs; it takes overlay2)."))?;
            Ok(None)
        }
    }
}
