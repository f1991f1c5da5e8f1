//! Sixteen processes at once on one store. Some of them are killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use engine::containers::ListContainers;
use engine::remove_image::RemoveImage;
use engine::{Access, Engine};

use crate::chance::Chance;
use crate::volume::Volume;
use crate::{child, shop, sound};

const WRITERS: usize = 12;
const READERS: usize = 4;
/// `LAYERCAKE_TEST_SECONDS` gives another time.
const SECONDS: u64 = 10;
/// What lines begin with that tell of an error that nobody may get.
const COMPLAINT: &str = "complaint: ";

#[test]
fn on_overlay2() {
    gather("overlay2", shop::temp().path());
}

#[test]
fn on_vfs() {
    gather("vfs", shop::temp().path());
}

#[test]
fn on_btrfs() {
    if let Some(volume) = Volume::btrfs("a crowd of processes on btrfs", "1G") {
        gather("btrfs", volume.path());
    }
}

fn gather(driver: &str, dir: &Path) {
    if !testkit::require_root("a crowd of processes") {
        return;
    }
    sys::process::clear_umask();
    let seconds = std::env::var("LAYERCAKE_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let mut chance = Chance::new(&format!("crowd::on_{driver}"));
    // The store is not there: all of them make it.
    let root = dir.join("root");
    let mut start = |index: usize| {
        let (role, seed) = (if index < WRITERS { "writer" } else { "reader" }, chance.next());
        child::start("crowd::process", &[root.to_str().unwrap(), driver, role, &seed.to_string()])
    };
    let mut crowd: Vec<_> = (0..WRITERS + READERS).map(&mut start).collect();
    let (begin, mut killed, mut said) = (Instant::now(), 0, Vec::new());
    while begin.elapsed() < time {
        std::thread::sleep(Duration::from_millis(200));
        let index = killed % crowd.len();
        said.extend(std::mem::replace(&mut crowd[index], start(index)).kill());
        killed += 1;
    }
    std::fs::write(dir.join("enough"), "").unwrap();
    said.extend(crowd.into_iter().flat_map(child::Process::join));
    let complaints: Vec<_> = said.iter().filter(|line| line.starts_with(COMPLAINT)).take(20).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    said.iter().for_each(|what| *counts.entry(what).or_default() += 1);
    println!("crowd::on_{driver}: {killed} processes were killed; done: {counts:?}");
    let engine = shop::open(&root, driver);
    sound::check(&engine, "after the crowd");
    for id in engine.store().containers().list().unwrap() {
        let image = engine.store().containers().get(&id).unwrap().image().unwrap();
        assert!(engine.store().images().exists(&image).unwrap(), "container {id} has lost its image");
    }
}

/// One of the crowd. It opens the store anew for each verb, as commands do.
#[test]
#[ignore = "a process that is started by the other tests"]
fn process() {
    let Some(job) = child::job() else { return };
    let [root, driver, role, seed] = &job[..] else { panic!("{job:?}") };
    let mut chance = Chance::of_seed(seed.parse().unwrap());
    let root = Path::new(root);
    let enough = root.parent().unwrap().join("enough");
    while !enough.exists() {
        let (what, result) = match role.as_str() {
            "writer" => write(root, driver, &mut chance),
            _ => ("look", look(root, driver)),
        };
        match result {
            Ok(()) => child::say(what),
            Err(e) if is_expected(&e, role) => {}
            Err(e) => child::say(&format!("{COMPLAINT}{role}: {what}: {e}")),
        }
    }
}

/// What one process must expect of the others.
fn is_expected(error: &engine::Error, role: &str) -> bool {
    let text = error.to_string();
    let not_found = ["No such image", "No such container", "does not exist"];
    let in_the_way = ["onflict", "try again", "same name as its current"];
    not_found.iter().any(|part| text.contains(part))
        || role == "writer" && in_the_way.iter().any(|part| text.contains(part))
}

fn write(root: &Path, driver: &str, chance: &mut Chance) -> (&'static str, engine::Result<()>) {
    let engine = match Engine::open(&shop::options(root, driver), Access::Write) {
        Ok(engine) => engine,
        Err(e) => return ("open", Err(e)),
    };
    let image = *chance.pick(&["a:1", "b:1", "b:2", "c:1", "t:1"]);
    let container = *chance.pick(&["one", "two", "three"]);
    match chance.below(10) {
        0 => ("load a", shop::load(&engine, &shop::image_a()).map(drop)),
        1 => ("load b", shop::load(&engine, &shop::image_b()).map(drop)),
        2 | 3 => ("create", shop::create(&engine, container, image).map(drop)),
        4 => ("commit", commit(&engine, container)),
        5 => ("tag", engine.find_image(image).and_then(|id| engine.tag(&id, &"t:1".parse()?))),
        6 => ("rename", engine.find_container(container).and_then(|id| engine.rename(&id, "three"))),
        7 => ("rm", engine.find_container(container).and_then(|id| engine.remove_container(&id, false))),
        8 => ("rmi", engine.remove_image(image, RemoveImage::default()).map(drop)),
        _ => ("reclaim", engine.reclaim()),
    }
}

fn commit(engine: &Engine, container: &str) -> engine::Result<()> {
    let id = engine.find_container(container)?;
    let options = engine::commit::CommitOptions {
        reference: Some("c:1".parse()?),
        ..engine::commit::CommitOptions::default()
    };
    engine.commit(&id, &options).map(drop)
}

/// All that readers do. What is gone by the time that it is looked at is no error of theirs.
fn look(root: &Path, driver: &str) -> engine::Result<()> {
    let engine = Engine::open(&shop::options(root, driver), Access::Read)?;
    for image in engine.list_images(true)? {
        gone(engine.inspect_image(&image.id))?;
        gone(engine.history(&image.id))?;
    }
    for container in engine.list_containers(&ListContainers { all: true, size: true })? {
        gone(engine.inspect_container(&container.id, true))?;
        gone(engine.diff(&container.id))?;
    }
    Ok(())
}

fn gone<T>(result: engine::Result<T>) -> engine::Result<()> {
    match result {
        Err(e) if !is_expected(&e, "reader") => Err(e),
        _ => Ok(()),
    }
}
