//! Images from directories and archives, by the transports of `pull` that are no registry.

use std::path::Path;

use engine::load::{Input, LoadOptions};
use model::manifest::{ANNOTATION_REF_NAME, Descriptor, Index, media_type};
use model::{Digest, gojson};
use testkit::image::{Image, archive};
use testkit::registry::{Form, manifest};

use crate::world::{World, image, layer};

impl World {
    fn load(&self, path: &Path, image: Option<&str>) -> engine::Result<Vec<engine::load::Loaded>> {
        let options = LoadOptions { platform: None, image: image.map(str::to_owned) };
        self.engine.load(Input::Path(path.to_owned()), &options, &model::Silent)
    }
}

/// An OCI layout with `one` under a tag alone, and `two` under its whole name.
fn layout(dir: &Path, one: &Image, two: &Image) {
    std::fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        digest
    };
    let entry = |image: &Image, name: &str| {
        for layer in &image.layers {
            put(layer);
        }
        put(image.config().as_bytes());
        let manifest = manifest(image, Form::Oci).to_string();
        let size = manifest.len() as u64;
        let mut entry = Descriptor::new(media_type::OCI_MANIFEST, put(manifest.as_bytes()), size);
        entry.annotations.insert(ANNOTATION_REF_NAME.to_owned(), name.to_owned());
        entry
    };
    let index = Index::new(vec![entry(one, "1.0"), entry(two, "acme/two:1")]);
    std::fs::write(dir.join("index.json"), gojson::to_vec(&index).unwrap()).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
}

#[test]
fn of_a_layout_the_image_comes_that_was_asked_for() {
    let tmp = tempfile::tempdir().unwrap();
    let (one, two) = (image(), Image::new().layer(layer("two", 100)));
    layout(tmp.path(), &one, &two);
    for (asked, expected, names) in [
        ("1.0", &one, vec![]),
        ("acme/two:1", &two, vec!["acme/two:1"]),
        ("docker.io/acme/two:1", &two, vec!["acme/two:1"]),
    ] {
        let world = World::new();
        let loaded = world.load(tmp.path(), Some(asked)).unwrap();
        assert_eq!((loaded.len(), loaded[0].image.to_string()), (1, expected.id()), "{asked}");
        assert_eq!(loaded[0].references.iter().map(|name| name.familiar()).collect::<Vec<_>>(), names);
    }
    let world = World::new();
    assert_eq!(world.load(tmp.path(), None).unwrap().len(), 2);
    let world = World::new();
    let error = world.load(tmp.path(), Some("acme/three")).unwrap_err().to_string();
    assert_eq!(error, "there is no image acme/three in it");
    world.assert_empty();
}

#[test]
fn of_an_archive_the_image_comes_that_was_asked_for_with_that_name_only() {
    let tmp = tempfile::tempdir().unwrap();
    let one = image().tag("acme/one:1").tag("acme/one:2");
    let two = Image::new().layer(layer("two", 100)).tag("acme/two:latest");
    let path = tmp.path().join("images.tar");
    std::fs::write(&path, archive(&[one.clone(), two.clone()])).unwrap();
    let world = World::new();
    let loaded = world.load(&path, Some("acme/one:2")).unwrap();
    assert_eq!((loaded.len(), loaded[0].image.to_string()), (1, one.id()));
    assert_eq!(loaded[0].references.iter().map(|name| name.familiar()).collect::<Vec<_>>(), ["acme/one:2"]);
    assert_eq!(world.load(&path, Some("acme/two")).unwrap()[0].image.to_string(), two.id());
    assert!(world.load(&path, Some("acme/three:1")).is_err());
}

#[test]
fn skopeos_directory_is_one_image() {
    let tmp = tempfile::tempdir().unwrap();
    let image = image();
    let put = |name: &str, bytes: &[u8]| std::fs::write(tmp.path().join(name), bytes).unwrap();
    put("version", b"Directory Transport Version: 1.1\n");
    put("manifest.json", manifest(&image, Form::Docker).to_string().as_bytes());
    for bytes in image.layers.iter().map(Vec::as_slice).chain([image.config().as_bytes()]) {
        put(&Digest::of(bytes).hex(), bytes);
    }
    let world = World::new();
    let loaded = world.load(tmp.path(), None).unwrap();
    assert_eq!((loaded.len(), loaded[0].image.to_string()), (1, image.id()));

    // A directory of several platforms has a list, and a manifest for each.
    let document = manifest(&image, Form::Oci).to_string();
    put(&format!("{}.manifest.json", Digest::of(document.as_bytes()).hex()), document.as_bytes());
    let mut entry =
        Descriptor::new(media_type::OCI_MANIFEST, Digest::of(document.as_bytes()), document.len() as u64);
    entry.platform = Some(model::Platform::host());
    put("manifest.json", &gojson::to_vec(&Index::new(vec![entry])).unwrap());
    let world = World::new();
    assert_eq!(world.load(tmp.path(), None).unwrap()[0].image.to_string(), image.id());

    put(&Digest::of(image.config().as_bytes()).hex(), b"{}");
    let world = World::new();
    assert!(world.load(tmp.path(), None).is_err());
    world.assert_empty();
}
