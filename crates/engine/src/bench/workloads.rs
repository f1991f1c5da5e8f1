//! The work.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sys::memory::{self, Mapped};

use super::ground::{Ground, timed};
use super::image::DEEP_FILES;
use super::{Measure, Plan, Report, Workload};
use crate::{Error, Result};

/// Bytes of a new small file.
const SMALL_FILE: usize = 4096;

/// What each one has.
const FILES_OF_DIR: usize = 50;

/// Does a driver's work of one round.
pub(super) fn run(workload: Workload, ground: &Ground<'_>, plan: &Plan, report: &mut Report) -> Result<()> {
    let samples = match workload {
        Workload::StartUp => start_up(ground)?,
        Workload::CopyUp => copy_up(ground)?,
        Workload::SmallWrites => small_writes(ground, plan)?,
        Workload::DeepLayers => deep_layers(ground, plan)?,
        Workload::Walk => walk(ground)?,
        Workload::Delete => delete(ground)?,
        Workload::PageCache => page_cache(ground, plan)?,
        Workload::Inodes => inodes(ground)?,
        Workload::Command => command(ground, plan)?,
    };
    for (measure, sample) in samples {
        report.add(measure, ground.driver(), sample);
    }
    ground.reclaim()
}

type Samples = Vec<(Measure, f64)>;

fn start_up(ground: &Ground<'_>) -> Result<Samples> {
    let (create, container) = timed(|| ground.container())?;
    container.install_program()?;
    let (run, ()) = timed(|| container.run())?;
    container.remove()?;
    Ok(vec![(Measure::CREATE, create), (Measure::RUN, run)])
}

fn copy_up(ground: &Ground<'_>) -> Result<Samples> {
    let Some((big, size)) = &ground.survey().big else { return Err(nothing("file with content")) };
    let container = ground.container()?;
    let (before, samples) = container.work(|tree| {
        let path = tree.join(big);
        let before = ground.free()?;
        let write = |offset: u64| {
            let written = OpenOptions::new().write(true).open(&path).and_then(|file| {
                file.write_all_at(b"x", offset)?;
                file.sync_data()
            });
            written.map_err(Error::io("write", &path))
        };
        let (first, ()) = timed(|| write(size / 2))?;
        let (second, ()) = timed(|| write(size / 3))?;
        Ok((before, [(Measure::FIRST_WRITE, first), (Measure::SECOND_WRITE, second)]))
    })?;
    let space = before.saturating_sub(ground.free()?);
    container.remove()?;
    Ok(samples.into_iter().chain([(Measure::WRITTEN_SPACE, space as f64)]).collect())
}

fn small_writes(ground: &Ground<'_>, plan: &Plan) -> Result<Samples> {
    let container = ground.container()?;
    let samples = container.work(|tree| {
        let (new, ()) = timed(|| make_files(&tree.join(".layercake-bench-files"), plan.scale.writes))?;
        let mut samples = vec![(Measure::NEW_FILES, new)];
        let small = &ground.survey().small;
        if !small.is_empty() {
            let (changed, ()) = timed(|| {
                small.iter().take(plan.scale.writes).try_for_each(|path| {
                    let path = tree.join(path);
                    let written =
                        OpenOptions::new().append(true).open(&path).and_then(|mut f| f.write_all(b"x"));
                    written.map_err(Error::io("write", &path))
                })
            })?;
            samples.push((Measure::CHANGED_FILES, changed));
        }
        Ok(samples)
    })?;
    container.remove()?;
    Ok(samples)
}

/// What [`Workload::SmallWrites`] does, outside of containers.
pub(super) fn small_writes_of_volume(plan: &Plan, report: &mut Report) -> Result<()> {
    let dir = plan.scratch.join("files");
    let (new, ()) = timed(|| make_files(&dir, plan.scale.writes))?;
    report.add(Measure::NEW_FILES, Report::VOLUME, new);
    fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))
}

fn make_files(dir: &Path, count: usize) -> Result<()> {
    let make = || -> std::io::Result<()> {
        fs::create_dir(dir)?;
        let content = [b'x'; SMALL_FILE];
        for n in 0..count {
            let sub = dir.join((n / FILES_OF_DIR).to_string());
            if n % FILES_OF_DIR == 0 {
                fs::create_dir(&sub)?;
            }
            File::create(sub.join(n.to_string()))?.write_all(&content)?;
        }
        Ok(())
    };
    make().map_err(Error::io("write files to", dir))
}

fn deep_layers(ground: &Ground<'_>, plan: &Plan) -> Result<Samples> {
    let container = ground.deep_container()?;
    let (mount, tree) = timed(|| container.mount())?;
    let read = timed(|| {
        (0..plan.scale.depth).try_for_each(|n| {
            let path = tree.join(DEEP_FILES).join(n.to_string());
            fs::read(&path).map(drop).map_err(Error::io("read", &path))
        })
    });
    container.unmount()?;
    let (read, ()) = read?;
    container.remove()?;
    Ok(vec![(Measure::DEEP_MOUNT, mount), (Measure::DEEP_READ, read)])
}

fn walk(ground: &Ground<'_>) -> Result<Samples> {
    let container = ground.container()?;
    let (first, again) = container.work(|tree| {
        let (first, ()) = timed(|| walk_tree(tree))?;
        let (again, ()) = timed(|| walk_tree(tree))?;
        Ok((first, again))
    })?;
    container.remove()?;
    Ok(vec![(Measure::FIRST_WALK, first), (Measure::SECOND_WALK, again)])
}

/// Asks for the attributes of everything in the tree. Follows no link.
fn walk_tree(root: &Path) -> Result<()> {
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).map_err(Error::io("list", &dir))? {
            let entry = entry.map_err(Error::io("list", &dir))?;
            if entry.metadata().map_err(Error::io("stat", entry.path()))?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

fn delete(ground: &Ground<'_>) -> Result<Samples> {
    let Some((tree, _)) = &ground.survey().fullest else { return Err(nothing("directory with content")) };
    let container = ground.container()?;
    let (deleted, ()) = container.work(|root| {
        let path = root.join(tree);
        timed(|| fs::remove_dir_all(&path).map_err(Error::io("remove", &path)))
    })?;
    let (removed, ()) = timed(|| {
        container.remove()?;
        ground.reclaim()
    })?;
    Ok(vec![(Measure::DELETE_TREE, deleted), (Measure::DELETE_CONTAINER, removed)])
}

fn page_cache(ground: &Ground<'_>, plan: &Plan) -> Result<Samples> {
    let Some((big, _)) = &ground.survey().big else { return Err(nothing("file with content")) };
    let containers: Vec<_> = (0..plan.scale.containers).map(|_| ground.container()).collect::<Result<_>>()?;
    let below = ground.backing_file(big)?;
    // What is not on the disk yet cannot leave the memory.
    ground.sync()?;
    sys::file::forget(&below);
    let used = || -> Result<u64> {
        let mut mapped = Vec::new();
        for container in &containers {
            let path = container.mount()?.join(big);
            let file = File::open(&path).map_err(Error::io("open", &path))?;
            sys::file::forget(&file);
            mapped.push(Mapped::read(&file)?);
        }
        // A union in user space may have brought the file below into memory a second time.
        mapped.push(Mapped::cached(&below)?);
        Ok(memory::used(&mapped)?)
    };
    let used = used();
    for container in containers {
        container.unmount()?;
        container.remove()?;
    }
    Ok(vec![(Measure::MEMORY, used? as f64)])
}

fn inodes(ground: &Ground<'_>) -> Result<Samples> {
    let Some(before) = ground.inodes()? else {
        return Err(Error::invalid("the file system has no fixed number of inodes"));
    };
    let container = ground.container()?;
    let after = ground.inodes()?.unwrap_or(before);
    container.remove()?;
    Ok(vec![(Measure::CONTAINER_INODES, after.saturating_sub(before) as f64)])
}

fn command(ground: &Ground<'_>, plan: &Plan) -> Result<Samples> {
    let container = ground.container_with(&plan.command)?;
    let (seconds, ()) = timed(|| container.run())?;
    container.remove()?;
    Ok(vec![(Measure::COMMAND, seconds)])
}

fn nothing(what: &str) -> Error {
    Error::invalid(format!("the image has no {what}"))
}
