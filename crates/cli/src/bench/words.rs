//! What Docker's pages say about storage drivers, with the figures of this machine ("Docker storage drivers", "Use the
//! OverlayFS storage driver").

use engine::bench::{Measure, Report};

use super::human;

/// How the pages sort drivers by what they copy when a file is written to for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The whole file.
    File,
    /// The blocks that are written.
    Block,
    /// Nothing: a container has a copy of everything.
    Tree,
}

fn level(driver: &str) -> Level {
    match driver {
        "btrfs" | "zfs" | "devicemapper" => Level::Block,
        "vfs" => Level::Tree,
        _ => Level::File,
    }
}

/// The sentences for which there are figures.
pub fn of(report: &Report) -> Vec<String> {
    [start_up, copy_up, small_writes, deep_layers, page_cache, inodes]
        .iter()
        .filter_map(|sentence| sentence(report))
        .collect()
}

/// The drivers that have a figure for the measure, with it.
fn have(report: &Report, measure: Measure) -> Vec<(&str, f64)> {
    let columns = report.columns().into_iter();
    columns
        .filter(|column| *column != Report::VOLUME)
        .filter_map(|driver| Some((driver, report.median(measure, driver)?)))
        .collect()
}

/// `12 ms with overlay2, 1.2 s with vfs`.
fn list(figures: &[(&str, f64)], measure: Measure) -> String {
    let each = figures.iter().map(|(driver, value)| format!("{} with {driver}", human(measure.unit, *value)));
    each.collect::<Vec<_>>().join(", ")
}

fn start_up(report: &Report) -> Option<String> {
    let create = have(report, Measure::CREATE);
    let trees: Vec<&str> =
        create.iter().map(|(driver, _)| *driver).filter(|driver| level(driver) == Level::Tree).collect();
    let why = match trees.as_slice() {
        [] => String::new(),
        trees => format!(" {} copies the whole image for each.", trees.join(", ")),
    };
    (!create.is_empty())
        .then(|| format!("Start-up. A container is made in {}.{why}", list(&create, Measure::CREATE)))
}

fn copy_up(report: &Report) -> Option<String> {
    let writes = have(report, Measure::FIRST_WRITE);
    let of = |wanted: Level| {
        let figures: Vec<String> = writes
            .iter()
            .filter(|(driver, _)| level(driver) == wanted)
            .map(|(driver, time)| {
                let unit = Measure::WRITTEN_SPACE.unit;
                let space = report.median(Measure::WRITTEN_SPACE, driver).unwrap_or_default();
                let again = report.median(Measure::SECOND_WRITE, driver).unwrap_or_default();
                format!(
                    "{} and {} with {driver}, the second byte {}",
                    human(Measure::FIRST_WRITE.unit, *time),
                    human(unit, space),
                    human(Measure::SECOND_WRITE.unit, again)
                )
            })
            .collect();
        (!figures.is_empty()).then(|| figures.join("; "))
    };
    let big = human(Measure::WRITTEN_SPACE.unit, report.big as f64);
    // A file system that can copy without doubling blocks (xfs, btrfs) is asked to by the kernel's overlay.
    let shares = writes.iter().any(|(driver, _)| {
        let space = report.median(Measure::WRITTEN_SPACE, driver);
        level(driver) == Level::File && space.is_some_and(|space| space < report.big as f64 / 2.0)
    });
    let note = if shares { " This file system lets copies share blocks." } else { "" };
    let mut said = Vec::new();
    if let Some(figures) = of(Level::File) {
        said.push(format!(
            "File level against block level. Drivers that work on files copy the whole file up at the first write, \
             however little is written: one byte in a file of {big} costs {figures}.{note}"
        ));
    }
    if let Some(figures) = of(Level::Block) {
        said.push(format!(
            "Drivers that work on blocks copy what is written, and so do better for write-heavy workloads: one byte in \
             a file of {big} costs {figures}."
        ));
    }
    if let Some(figures) = of(Level::Tree) {
        said.push(format!("A container that has a copy of everything has nothing to copy: {figures}."));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

fn small_writes(report: &Report) -> Option<String> {
    let new = have(report, Measure::NEW_FILES);
    let volume = report.median(Measure::NEW_FILES, Report::VOLUME)?;
    if new.is_empty() {
        return None;
    }
    let times: Vec<String> = new
        .iter()
        .map(|(driver, time)| {
            format!(
                "{} ({:.1} times that) with {driver}",
                human(Measure::NEW_FILES.unit, *time),
                time / volume
            )
        })
        .collect();
    let changed = have(report, Measure::CHANGED_FILES);
    let changed = match changed.as_slice() {
        [] => String::new(),
        some => format!(
            " A byte appended to each of {} files of the image takes {}.",
            report.changed,
            list(some, Measure::CHANGED_FILES)
        ),
    };
    Some(format!(
        "Write-heavy workloads. Volumes are the most predictable, for they bypass the driver: {} new files take {} there, \
         {} in a container.{changed}",
        report.scale.writes,
        human(Measure::NEW_FILES.unit, volume),
        times.join(", "),
    ))
}

fn deep_layers(report: &Report) -> Option<String> {
    let reads = have(report, Measure::DEEP_READ);
    if reads.is_empty() {
        return None;
    }
    let both = reads.iter().any(|(driver, _)| *driver == "overlay")
        && reads.iter().any(|(driver, _)| *driver == "overlay2");
    let note = if both {
        " overlay has one layer below the container, whatever the image has, and can be quicker here than overlay2; it \
         pays with inodes."
    } else {
        ""
    };
    Some(format!(
        "Many layers. On {} of them a container is mounted in {}, and a file of each is read in {}.{note}",
        report.scale.depth,
        list(&have(report, Measure::DEEP_MOUNT), Measure::DEEP_MOUNT),
        list(&reads, Measure::DEEP_READ),
    ))
}

fn page_cache(report: &Report) -> Option<String> {
    let memory = have(report, Measure::MEMORY);
    let size = report.big as f64;
    // What is shared is not exactly one file: pages of the file system's own, and the union's read-ahead.
    let (shared, own): (Vec<_>, Vec<_>) = memory.iter().partition(|(_, bytes)| *bytes < size * 1.5);
    let part = |figures: Vec<(&str, f64)>, why: &str| {
        (!figures.is_empty()).then(|| format!("{} ({why})", list(&figures, Measure::MEMORY)))
    };
    let parts: Vec<String> = [
        part(shared, "one copy in the page cache for all of them"),
        part(own, "more than one copy of the same content"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "Memory. {} containers that read the same file of {} take {}.",
            report.scale.containers,
            human(Measure::MEMORY.unit, size),
            parts.join("; ")
        )
    })
}

fn inodes(report: &Report) -> Option<String> {
    let image = have(report, Measure::IMAGE_INODES);
    if image.is_empty() {
        return None;
    }
    let each: Vec<String> = image
        .iter()
        .map(|(driver, count)| {
            let container = report.median(Measure::CONTAINER_INODES, driver).unwrap_or_default();
            format!("{driver} takes {count:.0}, and {container:.0} for each container")
        })
        .collect();
    let why = if image.iter().any(|(driver, _)| *driver == "overlay") {
        " overlay links the files of the layer below and so saves their inodes, but every layer has all directories anew: \
         with many images a file system can run out of inodes, and only formatting it gives more."
    } else {
        ""
    };
    Some(format!(
        "Inodes. For {} files and directories in {} layers {}.{why}",
        report.entries,
        report.layers,
        each.join("; ")
    ))
}
