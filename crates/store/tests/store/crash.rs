//! Power cuts. Every change that a series of commands makes is recorded; the directory is rebuilt as it would stand
//! after each prefix, without what no sync had made durable by then, and opened.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use store::{DataRoot, Mode};
use sys::record::Op;

use crate::world::{self, DRIVER, World, problems, stack};

/// What a power cut takes besides what comes after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Lost {
    /// Content that was not synced.
    Content,
    /// That, and the names in this directory that were not synced.
    NamesIn(PathBuf),
}

struct Recording {
    ops: Vec<Op>,
    root: PathBuf,
}

impl Recording {
    /// Records what `commands` does below `root`.
    fn of(root: &Path, commands: impl FnOnce(&mut dyn FnMut() -> usize)) -> Self {
        let ops = Arc::new(Mutex::new(Vec::new()));
        let (log, below) = (Arc::clone(&ops), root.to_owned());
        // Other tests of this process work elsewhere.
        sys::record::start(Arc::new(move |op| {
            if op.path().starts_with(&below) {
                log.lock().unwrap().push(op);
            }
        }));
        let count = Arc::clone(&ops);
        commands(&mut move || count.lock().unwrap().len());
        sys::record::stop();
        let ops = ops.lock().unwrap().clone();
        Self { ops, root: root.to_owned() }
    }

    /// Rebuilds the directory after the first `count` changes in `to`, a copy of what was there before the first.
    fn replay(&self, count: usize, lost: &Lost, to: &Path) {
        for (i, op) in self.ops[..count].iter().enumerate() {
            let later = &self.ops[i + 1..count];
            let keep = match (op, lost) {
                (Op::Write { ino, .. } | Op::Truncate { ino, .. }, _) => is_synced(*ino, later),
                (_, Lost::NamesIn(dir)) if named_in(op) == Some(dir.as_path()) => is_dir_synced(dir, later),
                _ => true,
            };
            if keep {
                self.apply(op, to);
            }
        }
    }

    /// A change whose directory was lost is lost too, so that errors are no failures here.
    fn apply(&self, op: &Op, to: &Path) {
        let at = |path: &Path| to.join(path.strip_prefix(&self.root).unwrap());
        let _ = match op {
            Op::Create { path, mode, .. } => std::fs::File::create_new(at(path))
                .and_then(|file| file.set_permissions(PermissionsExt::from_mode(*mode))),
            Op::Mkdir { path, .. } => std::fs::create_dir(at(path)),
            Op::Rename { from, to } => std::fs::rename(at(from), at(to)),
            Op::Unlink { path } => std::fs::remove_file(at(path)),
            Op::Rmdir { path } => std::fs::remove_dir(at(path)),
            Op::Write { path, offset, data, .. } => std::fs::OpenOptions::new()
                .write(true)
                .open(at(path))
                .and_then(|file| file.write_all_at(data, *offset)),
            Op::Chmod { path, mode } => std::fs::set_permissions(at(path), PermissionsExt::from_mode(*mode)),
            Op::SyncFile { .. } | Op::SyncDir { .. } | Op::SyncFs { .. } => Ok(()),
            other => panic!("this crate does not do that: {other:?}"),
        };
    }

    /// The ways to lose things that differ at this point.
    fn losses(&self, count: usize) -> BTreeSet<Lost> {
        let private = self.root.join("layercake");
        let dirs = self.ops[..count].iter().enumerate().filter_map(|(i, op)| {
            let dir = named_in(op)?;
            // What lies in the private directory was never promised to anybody.
            let matters = !dir.starts_with(&private) && !is_dir_synced(dir, &self.ops[i + 1..count]);
            matters.then(|| Lost::NamesIn(dir.to_owned()))
        });
        dirs.chain([Lost::Content]).collect()
    }
}

/// The directory whose names a change changes. A rename counts for the directory outside our private one.
fn named_in(op: &Op) -> Option<&Path> {
    match op {
        Op::Rename { from, to } if to.components().any(|c| c.as_os_str() == "work") => from.parent(),
        Op::Create { .. } | Op::Mkdir { .. } | Op::Rename { .. } | Op::Unlink { .. } | Op::Rmdir { .. } => {
            op.path().parent()
        }
        _ => None,
    }
}

fn is_synced(ino: u64, later: &[Op]) -> bool {
    later
        .iter()
        .any(|op| matches!(op, Op::SyncFs { .. }) || matches!(op, Op::SyncFile { ino: i, .. } if *i == ino))
}

fn is_dir_synced(dir: &Path, later: &[Op]) -> bool {
    later
        .iter()
        .any(|op| matches!(op, Op::SyncFs { .. }) || matches!(op, Op::SyncDir { path } if path == dir))
}

/// The rebuilt stores are synced over and over; that takes its time on a disk.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// What somebody was told is done, as (number of changes by then, what it was).
type Milestones = Vec<(usize, &'static str)>;

fn commands(root: &DataRoot, so_far: &mut dyn FnMut() -> usize) -> Milestones {
    let mut done = Vec::new();
    let image = world::load(root, &[1, 2], "x").unwrap();
    done.push((so_far(), "loaded"));
    let config = root.images().get(&image).unwrap();
    let id = world::create(root, 1, "web", &config).unwrap();
    done.push((so_far(), "created"));
    let name = model::ContainerName::parse("renamed").unwrap();
    root.containers().rename(&root.commit().unwrap(), &id, &name).unwrap();
    done.push((so_far(), "renamed"));
    world::load(root, &[1, 3], "y").unwrap();
    done.push((so_far(), "second"));
    world::remove_container(root, &id).unwrap();
    done.push((so_far(), "removed"));
    world::remove_image(root, "x").unwrap();
    done.push((so_far(), "untagged"));
    done
}

/// What is visible is whole.
fn assert_whole(root: &DataRoot, context: &str) {
    for (name, id) in root.references().read().unwrap().iter() {
        let config = root.images().get(&id).unwrap_or_else(|e| panic!("{context}: {name}: {e}"));
        let top = config.chain_id().unwrap();
        root.layers().chain(&top).unwrap_or_else(|e| panic!("{context}: {name}: {e}"));
    }
    let damaged: Vec<String> = problems(root).into_iter().filter(|p| !is_leftover(p)).collect();
    assert!(damaged.is_empty(), "{context}: {damaged:#?}");
    for chain in root.layers().list().unwrap() {
        let id = root.layers().get(&chain).unwrap().cache_id;
        assert!(root.path().join(DRIVER).join(id.as_str()).exists(), "{context}: {chain} without its files");
    }
}

/// Garbage that a sweep removes, and what is only half of a removal.
fn is_leftover(problem: &str) -> bool {
    problem.ends_with("being removed")
        || problem.ends_with("what it belongs to is missing")
        || problem.contains("never finished")
}

fn assert_kept(root: &DataRoot, done: &Milestones, count: usize, context: &str) {
    let is_done = |what: &str| done.iter().any(|(at, w)| *w == what && *at <= count);
    let is_begun =
        |what: &str| done.iter().rev().find(|(_, w)| *w == what).is_some_and(|(at, _)| *at <= count);
    let names = root.references().read().unwrap();
    if is_done("second") {
        assert!(names.get(&"y".parse().unwrap()).is_some(), "{context}: second image lost");
    }
    if is_done("loaded") && !is_begun("removed") {
        assert!(names.get(&"x".parse().unwrap()).is_some(), "{context}: image lost");
    }
    if is_done("created") && !is_begun("second") {
        assert_eq!(root.containers().list().unwrap().len(), 1, "{context}: container lost");
    }
    if is_done("renamed") && !is_begun("second") {
        assert!(root.containers().resolve("renamed").unwrap().is_some(), "{context}: name lost");
    }
    if is_done("removed") {
        assert!(root.containers().list().unwrap().is_empty(), "{context}: container back again");
    }
    if is_done("untagged") {
        assert!(names.get(&"x".parse().unwrap()).is_none(), "{context}: image back again");
    }
}

#[test]
fn a_power_cut_at_any_moment_leaves_all_or_nothing() {
    let world = World::new();
    drop(world.root.commit().unwrap());
    let before = tempfile::tempdir().unwrap();
    copy(world.path(), before.path());
    let mut done = Vec::new();
    let recording = Recording::of(world.path(), |so_far| done = commands(&world.root, so_far));
    assert!(recording.ops.len() > 100);
    for count in 0..=recording.ops.len() {
        for lost in recording.losses(count) {
            let context = format!("after {count} changes, {:?}, {lost:?}", recording.ops[..count].last());
            let tmp = in_memory();
            copy(before.path(), tmp.path());
            recording.replay(count, &lost, tmp.path());
            let reader = DataRoot::open(tmp.path(), DRIVER, Mode::Read).unwrap();
            assert_whole(&reader, &context);
            assert_kept(&reader, &done, count, &context);
            let writer = DataRoot::open(tmp.path(), DRIVER, Mode::Write).unwrap();
            world::sweep(&writer).unwrap();
            assert_eq!(problems(&writer), Vec::<String>::new(), "swept: {context}");
            assert_eq!(world::driver_problems(&writer), Vec::<String>::new(), "swept: {context}");
            assert_kept(&writer, &done, count, &context);
            if lost == Lost::Content && count % 7 != 0 {
                continue;
            }
            world::load(&writer, &[1, 2], "again").unwrap_or_else(|e| panic!("load: {context}: {e}"));
        }
    }
    assert_eq!(world.root.layers().list().unwrap().len(), stack(&[1, 3]).len());
}
