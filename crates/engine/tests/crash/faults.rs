//! Disks that are full, read-only or broken: a clear error, the store as it was, and the space given back.

use std::path::{Path, PathBuf};

use engine::load::{Input, LoadOptions};
use engine::remove_image::RemoveImage;
use engine::{Access, Engine};
use model::progress::Silent;
use testkit::archive::Builder;
use testkit::image::Image;

use crate::volume::Volume;
use crate::{child, shop, sound, verbs};

/// Pages and inodes that may stay in use after a failure: lock files, directories that everybody needs.
const SLACK: (u64, u64) = (64 << 10, 16);

/// An image of some 2 MiB, in many files and one large one.
fn large_image() -> Image {
    let mut layer = Builder::new().file("large", vec![b'x'; 1 << 20]);
    for dir in 0..10 {
        layer = layer.dir(format!("dir{dir}"));
        for file in 0..20 {
            layer = layer.file(format!("dir{dir}/{file}"), vec![b'y'; 3000]);
        }
    }
    Image::new().layer(shop::base()).layer(layer.build()).layer(shop::single("top")).tag("large:1")
}

/// The archive as a file somewhere else.
fn archive(image: &Image) -> (tempfile::TempDir, PathBuf) {
    let dir = shop::temp();
    let path = dir.path().join("image.tar");
    std::fs::write(&path, image.archive()).unwrap();
    (dir, path)
}

fn load(engine: &Engine, path: &Path) -> engine::Result<()> {
    child::alone(|| engine.load(Input::Path(path.into()), &LoadOptions::default(), &Silent)).map(drop)
}

/// Through a pipe: then the archive is stored, too, before it is read.
fn load_stream(engine: &Engine, path: &Path) -> engine::Result<()> {
    let stream = Box::new(std::fs::File::open(path).unwrap());
    child::alone(|| engine.load(Input::Stream(stream), &LoadOptions::default(), &Silent)).map(drop)
}

/// A store on a volume, with an image and a container in it.
struct Shelf {
    volume: Volume,
    driver: &'static str,
    view: Vec<String>,
    used: (u64, u64),
}

impl Shelf {
    fn new(volume: Volume, driver: &'static str) -> Self {
        let engine = shop::open(&volume.path().join("root"), driver);
        shop::load(&engine, &shop::image_a()).unwrap();
        shop::create(&engine, "box", "a:1").unwrap();
        sound::check(&engine, "before");
        // Whatever a failure makes that stays: directories for the next stage.
        load_stream(&engine, Path::new("/dev/null")).unwrap_err();
        let (view, used) = (sound::view(&engine), volume.used());
        Self { volume, driver, view, used }
    }

    fn root(&self) -> PathBuf {
        self.volume.path().join("root")
    }

    fn engine(&self) -> Engine {
        shop::open(&self.root(), self.driver)
    }

    /// After a failure, before and after the next command that writes: nothing has changed, nothing is in use.
    fn assert_as_before(&self, context: &str) {
        let reader = Engine::open(&shop::options(&self.root(), self.driver), Access::Read).unwrap();
        assert_eq!(sound::view(&reader), self.view, "{context}");
        self.assert_space_is_back(context);
        let writer = self.engine();
        sound::check(&writer, context);
        assert_eq!(sound::view(&writer), self.view, "{context}");
        self.assert_space_is_back(context);
    }

    fn assert_space_is_back(&self, context: &str) {
        let (bytes, inodes) = self.volume.used();
        let most = (self.used.0 + SLACK.0, self.used.1 + SLACK.1);
        assert!(bytes <= most.0, "{context}: {bytes} bytes are in use, {} were", self.used.0);
        assert!(inodes <= most.1, "{context}: {inodes} inodes are in use, {} were", self.used.1);
    }
}

/// What the user must be told: what was attempted, where, and why it failed.
fn assert_clear(error: &engine::Error, cause: &str, context: &str) {
    let text = error.to_string();
    assert!(text.to_lowercase().contains(cause), "{context}: {text}");
    assert!(text.contains('/') || text.contains("layer"), "{context}: where? {text}");
}

#[test]
fn a_disk_too_small_for_overlay2() {
    full_disk("overlay2");
}

#[test]
fn a_disk_too_small_for_vfs() {
    full_disk("vfs");
}

fn full_disk(driver: &'static str) {
    let Some(volume) = Volume::in_memory("a full disk", "size=64m,nr_inodes=100k") else { return };
    let shelf = Shelf::new(volume, driver);
    let (_dir, archive) = archive(&large_image());
    let engine = shelf.engine();
    load(&engine, &archive).unwrap();
    let full = shelf.volume.used();
    engine.remove_image("large:1", RemoveImage::default()).unwrap();
    engine.reclaim().unwrap();
    shelf.assert_as_before("removed again");

    let (needed_bytes, needed_inodes) = (full.0 - shelf.used.0, full.1 - shelf.used.1);
    for percent in [0, 1, 5, 20, 45, 70, 90] {
        for (name, load) in [("file", load as fn(&Engine, &Path) -> _), ("pipe", load_stream)] {
            let context = format!("{driver}, {percent}% of the bytes, from a {name}");
            shelf.volume.remount(&format!("size={}", shelf.volume.used().0 + needed_bytes * percent / 100));
            let error = load(&engine, &archive).expect_err(&context);
            assert!(error.is_full(), "{context}: {error}");
            assert_clear(&error, "no space left", &context);
            shelf.assert_as_before(&context);

            let context = format!("{driver}, {percent}% of the inodes, from a {name}");
            let inodes = shelf.volume.used().1 + 2 + needed_inodes * percent / 100;
            shelf.volume.remount(&format!("size=64m,nr_inodes={inodes}"));
            let error = load(&engine, &archive).expect_err(&context);
            assert!(error.is_full(), "{context}: {error}");
            assert_clear(&error, "no space left", &context);
            shelf.volume.remount("size=64m,nr_inodes=100k");
            shelf.assert_as_before(&context);
        }
    }
    load(&engine, &archive).unwrap();
    sound::check(&engine, "with enough space");
}

#[test]
fn no_verb_half_done_on_a_full_disk() {
    for driver in shop::DRIVERS {
        for verb in verbs::VERBS {
            let Some(volume) = Volume::in_memory("a full disk", "size=64m") else { return };
            let root = volume.path().join("root");
            let engine = shop::open(&root, driver);
            (verb.prepare)(&engine);
            engine.reclaim().unwrap();
            let before = sound::view(&engine);
            // A page more each time.
            for pages in 0.. {
                let context = format!("{} on {driver} with {pages} pages", verb.name);
                volume.remount(&format!("size={}", volume.used().0 + pages * 4096));
                let result = child::alone(|| (verb.act)(&engine));
                volume.remount("size=64m");
                match result {
                    Ok(()) => {
                        sound::check(&engine, &context);
                        println!("{context}: done");
                        break;
                    }
                    Err(error) => {
                        assert_clear(&error, "no space left", &context);
                        let engine = shop::open(&root, driver);
                        sound::check(&engine, &context);
                        if sound::view(&engine) != before {
                            // It had come so far that the sweep has finished it.
                            break;
                        }
                    }
                }
                assert!(pages < 200, "{context}: never done");
            }
        }
    }
}

#[test]
fn a_read_only_disk() {
    for driver in shop::DRIVERS {
        for verb in verbs::VERBS {
            let Some(volume) = Volume::in_memory("a read-only disk", "size=64m") else { return };
            let root = volume.path().join("root");
            let engine = shop::open(&root, driver);
            (verb.prepare)(&engine);
            engine.reclaim().unwrap();
            let before = sound::view(&engine);
            volume.remount("ro");
            let context = format!("{} on {driver}", verb.name);
            let error = child::alone(|| (verb.act)(&engine)).expect_err(&context);
            assert_clear(&error, "read-only file system", &context);
            let reader = Engine::open(&shop::options(&root, driver), Access::Read).unwrap();
            assert_eq!(sound::view(&reader), before, "{context}");
            drop((reader, engine));
            volume.remount("rw");
            let engine = shop::open(&root, driver);
            sound::check(&engine, &context);
            assert_eq!(sound::view(&engine), before, "{context}");
        }
    }
}

#[test]
fn a_new_store_on_a_read_only_disk() {
    let Some(volume) = Volume::in_memory("a read-only disk", "size=64m,ro") else { return };
    for driver in shop::DRIVERS {
        let options = shop::options(&volume.path().join("root"), driver);
        let error = Engine::open(&options, Access::Write).err().expect("was opened");
        assert_clear(&error, "read-only file system", driver);
    }
}

/// `RLIMIT_FSIZE`: the nearest that an ordinary machine has to a disk that fails at a chosen place.
#[test]
fn files_that_may_not_grow() {
    for driver in shop::DRIVERS {
        let Some(volume) = Volume::in_memory("files that may not grow", "size=64m") else { return };
        let shelf = Shelf::new(volume, driver);
        let (_dir, archive) = archive(&large_image());
        for kibibytes in [2, 8, 64, 1000] {
            let context = format!("{driver}, {kibibytes} KiB");
            let job = [shelf.root().to_str().unwrap(), driver, archive.to_str().unwrap()].map(str::to_owned);
            let job: Vec<&str> = job.iter().map(String::as_str).collect();
            let said = child::start_with_file_limit("faults::process", &job, kibibytes << 10).join();
            assert_eq!(said.len(), 1, "{context}: {said:?}");
            assert!(said[0].to_lowercase().contains("file too large"), "{context}: {said:?}");
            assert!(said[0].contains("layer ") || said[0].contains('/'), "{context}: {said:?}");
            shelf.assert_as_before(&context);
        }
    }
}

/// Loads an archive and tells how that ended.
#[test]
#[ignore = "a process that is started by the other tests"]
fn process() {
    let Some(job) = child::job() else { return };
    let [root, driver, archive] = &job[..] else { panic!("{job:?}") };
    match load(&shop::open(root.as_ref(), driver), archive.as_ref()) {
        Ok(()) => child::say("loaded"),
        Err(e) => child::say(&e.to_string()),
    }
}

/// A disk that takes writes and fails when they are to be made durable.
#[test]
fn a_disk_that_fails_at_the_sync() {
    for driver in shop::DRIVERS {
        let Some(volume) = Volume::that_lies("a disk that fails", "96M", "16M") else { return };
        let root = volume.path().join("root");
        let engine = shop::open(&root, driver);
        shop::load(&engine, &shop::image_a()).unwrap();
        let before = sound::view(&engine);
        let random: Vec<u8> =
            (0..24_u32 << 18).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let (_dir, archive) =
            archive(&Image::new().layer(Builder::new().file("x", random).build()).tag("large:1"));
        let error = load(&engine, &archive).expect_err(driver);
        // Kernels differ in what they tell, and a file system that cannot write its journal goes read-only.
        let text = error.to_string();
        let causes = ["no space left", "input/output error", "read-only file system"];
        let cause = causes.iter().find(|cause| text.contains(**cause));
        assert_clear(&error, cause.unwrap_or(&causes[1]), driver);
        let reader = Engine::open(&shop::options(&root, driver), Access::Read).unwrap();
        assert_eq!(sound::view(&reader), before, "{driver}");
        assert!(sound::image(&reader, "large:1").is_none());
    }
}
