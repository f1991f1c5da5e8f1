//! Power cuts. Every change that a series of commands makes is recorded; the directory is rebuilt as it would stand
//! after each prefix, without what no sync had made durable by then, and opened.

use std::collections::HashSet;

use store::{DataRoot, Mode};
use testkit::power::{Loss, Recording};

use crate::world::{self, DRIVER, World, problems, stack};

/// The rebuilt stores are synced over and over; that takes its time on a disk.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What somebody was told is done, as (number of changes by then, what it was).
type Milestones = Vec<(usize, &'static str)>;

fn commands(root: &DataRoot, so_far: &dyn Fn() -> usize) -> Milestones {
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
    let (recording, done) = Recording::of(world.path(), |so_far| commands(&world.root, so_far));
    assert!(recording.len() > 100);
    let mut seen = HashSet::new();
    for count in 0..=recording.len() {
        let promised = done.iter().filter(|(at, _)| *at <= count).count();
        for loss in recording.losses(count) {
            let disk = recording.after(count, &loss);
            if !seen.insert((disk.fingerprint(), promised)) {
                continue;
            }
            let context = format!("{}, {loss:?} lost", recording.last(count));
            let tmp = in_memory();
            disk.write_to(tmp.path());
            let reader = DataRoot::open(tmp.path(), DRIVER, Mode::Read).unwrap();
            assert_whole(&reader, &context);
            assert_kept(&reader, &done, count, &context);
            let writer = DataRoot::open(tmp.path(), DRIVER, Mode::Write).unwrap();
            world::sweep(&writer).unwrap();
            assert_eq!(problems(&writer), Vec::<String>::new(), "swept: {context}");
            assert_eq!(world::driver_problems(&writer), Vec::<String>::new(), "swept: {context}");
            assert_kept(&writer, &done, count, &context);
            if loss == Loss::Nothing || count % 7 == 0 {
                world::load(&writer, &[1, 2], "again").unwrap_or_else(|e| panic!("load: {context}: {e}"));
            }
        }
    }
    assert_eq!(world.root.layers().list().unwrap().len(), stack(&[1, 3]).len());
}
