//! OCI layouts and plain directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use archive::compress::Compression;
use engine::load::{Input, LoadOptions};
use engine::push::{Destination, PushOptions, Pushed};
use engine::{Engine, Result};
use model::{Digest, Silent};
use serde_json::Value;

use crate::world::{World, base, image, plain, reference, top};

const NAME: &str = "acme/app:1";

fn push(engine: &Engine, destination: &Destination) -> Result<Pushed> {
    engine.push_to(destination, &reference(NAME), &PushOptions::default(), &Silent)
}

fn oci(dir: &Path, name: Option<&str>) -> Destination {
    Destination::Oci { dir: dir.to_owned(), name: name.map(str::to_owned) }
}

/// What a fresh store calls the images that it loads from `path`.
fn loaded_names(path: &Path) -> Vec<String> {
    let world = World::new();
    let loaded = world.engine.load(Input::Path(path.to_owned()), &LoadOptions::default(), &Silent).unwrap();
    loaded.iter().flat_map(|image| &image.references).map(model::Reference::familiar).collect()
}

fn index(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_layout_is_an_image_that_loads_with_its_name() {
    let world = World::with(&image(NAME));
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("layout");
    let pushed = push(&world.engine, &oci(&dir, None)).unwrap();
    let manifest = fs::read(dir.join("blobs/sha256").join(pushed.digest.hex())).unwrap();
    assert_eq!((Digest::of(&manifest), manifest.len() as u64), (pushed.digest, pushed.size));
    assert_eq!(loaded_names(&dir), [NAME]);
    assert_eq!(names_in(tmp.path()), ["layout"], "nothing is left aside");
    assert_eq!((mode(&dir), mode(&dir.join("index.json"))), (0o755, 0o644));
    assert!(
        names_in(&dir.join("blobs/sha256"))
            .iter()
            .all(|it| mode(&dir.join("blobs/sha256").join(it)) == 0o644)
    );
}

#[test]
fn other_images_of_a_layout_stay() {
    let world = World::with(&image(NAME));
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("layout");
    let first = push(&world.engine, &oci(&dir, Some("one"))).unwrap();
    assert_eq!(push(&world.engine, &oci(&dir, Some("two"))).unwrap(), first);
    push(&world.engine, &oci(&dir, Some("one"))).unwrap();
    let index = index(&dir);
    let names: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["two", "one"]);
}

#[test]
fn an_archive_loads_and_is_always_the_same() {
    let world = World::with(&image(NAME));
    let tmp = tempfile::tempdir().unwrap();
    let archive = |name: &str| {
        let file = tmp.path().join(name);
        push(&world.engine, &Destination::OciArchive { file: file.clone(), name: None }).unwrap();
        file
    };
    let (one, two) = (archive("one.tar"), archive("two.tar"));
    assert_eq!(loaded_names(&one), [NAME]);
    assert!(fs::read(one).unwrap() == fs::read(two).unwrap());
    assert_eq!(names_in(tmp.path()), ["one.tar", "two.tar"]);
    assert_eq!(mode(&tmp.path().join("one.tar")), 0o600);
}

#[test]
fn a_plain_directory_has_the_files_of_skopeo() {
    let world = World::with(&image(NAME));
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("plain");
    for _ in 0..2 {
        let pushed = push(&world.engine, &Destination::Dir(dir.clone())).unwrap();
        let manifest = fs::read(dir.join("manifest.json")).unwrap();
        assert_eq!(pushed.digest, Digest::of(&manifest));
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let file =
            |descriptor: &Value| fs::read(dir.join(&descriptor["digest"].as_str().unwrap()[7..])).unwrap();
        assert_eq!(file(&manifest["config"]), image(NAME).config().into_bytes());
        for (at, layer) in [base(), top()].iter().enumerate() {
            assert!(plain(file(&manifest["layers"][at])) == *layer);
        }
        assert_eq!(fs::read_to_string(dir.join("version")).unwrap(), "Directory Transport Version: 1.1\n");
    }
    assert_eq!(names_in(tmp.path()), ["plain"]);
}

#[test]
fn the_compression_is_what_was_asked_for() {
    let world = World::with(&image(NAME));
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("layout");
    let options = PushOptions { compression: Some(Compression::Zstd), ..PushOptions::default() };
    let pushed = world.engine.push_to(&oci(&dir, None), &reference(NAME), &options, &Silent).unwrap();
    let manifest = fs::read(dir.join("blobs/sha256").join(pushed.digest.hex())).unwrap();
    assert!(String::from_utf8(manifest).unwrap().contains("tar+zstd"));
    assert_eq!(loaded_names(&dir), [NAME]);
}

#[test]
fn what_is_no_image_is_not_touched() {
    let world = World::with(&image(NAME));
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("photos");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("cat"), "meow").unwrap();
    for destination in [oci(&dir, None), Destination::Dir(dir.clone())] {
        push(&world.engine, &destination).unwrap_err();
        assert_eq!(names_in(&dir), ["cat"]);
    }
}

#[test]
fn a_failure_leaves_nothing() {
    let world = World::with(&image(NAME));
    for id in world.engine.driver().list().unwrap() {
        let root = world.engine.driver().layer_root(&id).unwrap();
        fs::write(root.path().join("srv/text"), "text").unwrap();
    }
    let tmp = tempfile::tempdir().unwrap();
    let place = tmp.path().join("place");
    for destination in [
        oci(&place, None),
        Destination::Dir(place.clone()),
        Destination::OciArchive { file: place.clone(), name: None },
    ] {
        push(&world.engine, &destination).unwrap_err();
        assert!(names_in(tmp.path()).is_empty(), "{destination:?}");
    }
}
