//! What comes, under which names, and what is not fetched.

use archive::compress::Compression;
use engine::pull::PullOptions;
use engine::remove_image::RemoveImage;
use model::manifest::media_type;
use model::{DiffId, Digest, Platform};
use serde_json::json;
use testkit::image::Image;
use testkit::registry::{Form, manifest};

use crate::world::{APP, World, client, image, layer, on_every_driver};

#[test]
fn an_image_comes_whole_with_dockers_words_and_names() {
    on_every_driver(|world| {
        let image = image();
        let blobs = world.serve(&image);
        let pulled = world.pull("acme/app:1").unwrap();
        assert_eq!(pulled.image.to_string(), image.id());
        assert!(pulled.is_new);
        let manifest = Digest::of(&world.server.manifest(APP, "1").unwrap().1);
        assert_eq!(pulled.digest, manifest);

        let mut log = world.log.take();
        let short = |digest: &Digest| digest.short();
        assert_eq!(log.remove(0), "1: Pulling from acme/app");
        assert_eq!(log.pop().unwrap(), format!("Digest: {manifest}"));
        for blob in &blobs {
            let of_blob: Vec<String> = log
                .iter()
                .filter_map(|line| line.strip_prefix(&format!("{}: ", short(blob))).map(str::to_owned))
                .collect();
            assert_eq!(
                of_blob,
                ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"]
            );
        }

        let names = world.engine.store().references().read().unwrap();
        let expected = [world.name("acme/app:1"), world.name(&format!("acme/app@{manifest}"))];
        assert_eq!(names.iter().collect::<Vec<_>>(), expected.map(|name| (name, pulled.image)));
        assert!(world.engine.check(Default::default(), &model::Silent).unwrap().is_sound());
        assert_eq!(world.engine.store().downloads().interrupted().unwrap(), []);
        assert_eq!(std::fs::read_dir(world.root().join("layercake/downloads")).unwrap().count(), 0);
    });
}

#[test]
fn what_the_name_means_already_is_not_fetched_again() {
    let world = World::new();
    world.serve(&image());
    assert!(world.pull("acme/app:1").unwrap().is_new);
    world.server.forget_requests();
    world.log.take();
    let again = world.pull("acme/app:1").unwrap();
    assert!(!again.is_new);
    assert_eq!(world.log.take().len(), 2, "only from where, and the digest");
    assert_eq!(world.server.requests_for("", "/manifests/").len(), 1);
    assert_eq!(world.server.requests_for("", "/blobs/").len(), 0);
}

#[test]
fn layers_that_the_store_has_are_not_fetched() {
    on_every_driver(|world| {
        let first = image();
        let blobs = world.serve(&first);
        world.pull("acme/app:1").unwrap();
        // The same layers under another compression: known by their DiffIDs, not by their digests.
        let second = Image::new()
            .layer(layer("large", 2_000_000))
            .layer(layer("small", 20_000))
            .layer(layer("last", 1000))
            .compressed(Compression::Zstd);
        world.server.add_image("acme/other", "2", &second, Form::Oci);
        world.server.forget_requests();
        world.log.take();
        world.pull("acme/other:2").unwrap();
        let other: Vec<Digest> = second.layers.iter().map(|layer| Digest::of(layer)).collect();
        let log = world.log.take();
        for old in &other[..2] {
            assert!(log.contains(&format!("{}: Already exists", old.short())), "{log:?}");
        }
        // No needless round trip: the manifest, the configuration, one layer.
        let asked: Vec<_> = world.server.requests_for("", "/v2/acme/other/");
        assert_eq!(asked.len(), 3, "{asked:#?}");
        assert_eq!(world.gets(&other[2]).len(), 1);
        // Both sources of the shared layers are on record now.
        let hints = world.engine.store().distribution();
        let diff = DiffId::of(&layer("small", 20_000));
        assert_eq!(hints.diff_id(&blobs[1]).unwrap(), Some(diff));
        assert_eq!(hints.diff_id(&other[1]).unwrap(), Some(diff));
        let sources = hints.sources(&diff).unwrap();
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[1].source_repository, world.name("acme/other").canonical_name());
    });
}

#[test]
fn a_digest_names_an_image_by_its_digest_alone() {
    let world = World::new();
    let digest = world.server.add_image(APP, "", &image(), Form::Oci);
    let rest = format!("acme/app@{digest}");
    let pulled = world.pull(&rest).unwrap();
    assert!(pulled.is_new && !world.pull(&rest).unwrap().is_new);
    let names: Vec<_> = world.engine.store().references().read().unwrap().iter().collect();
    assert_eq!(names, [(world.name(&rest), pulled.image)]);
    let pinned = world.name(&rest).canonical();
    assert_eq!(world.log.take()[0], format!("{pinned}: Pulling from acme/app"));
}

#[test]
fn a_tag_moves_to_the_new_image() {
    let world = World::new();
    world.serve(&image());
    let old = world.pull("acme/app:1").unwrap();
    world.serve(&Image::new().layer(layer("new", 100)));
    let new = world.pull("acme/app:1").unwrap();
    assert!(new.is_new && new.image != old.image);
    let names = world.engine.store().references().read().unwrap();
    assert_eq!(names.get(&world.name("acme/app:1")), Some(new.image));
    assert_eq!(names.get(&world.name(&format!("acme/app@{}", old.digest))), Some(old.image));
}

#[test]
fn every_compression_is_understood_whatever_its_media_type_says() {
    let world = World::new();
    for (tag, how) in [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("none", Compression::None)]
    {
        let image = Image::new().layer(layer(tag, 5000)).compressed(how);
        for (form, repository) in [(Form::Docker, "acme/docker"), (Form::Oci, "acme/oci")] {
            world.server.add_image(repository, tag, &image, form);
            let pulled = world.pull(&format!("{repository}:{tag}")).unwrap();
            assert_eq!(pulled.image.to_string(), image.id());
        }
    }
    for (program, tag) in [("bzip2", "bzip2"), ("xz", "xz")] {
        let plain = layer(tag, 5000);
        let Some(packed) = piped(program, &plain) else { continue };
        let image = Image {
            layers: vec![packed],
            diff_ids: Some(vec![DiffId::of(&plain).to_string()]),
            ..Image::new()
        };
        world.server.add_image(APP, tag, &image, Form::Docker);
        assert_eq!(world.pull(&format!("acme/app:{tag}")).unwrap().image.to_string(), image.id());
    }
}

fn piped(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let child = Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        testkit::machine::skip(program, "not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    Some(child.wait_with_output().unwrap().stdout)
}

#[test]
fn an_index_gives_the_image_for_the_platform() {
    let world = World::new();
    let host = Platform::host();
    let other = if host.architecture == "riscv64" { "s390x" } else { "riscv64" };
    let (here, there) = (image(), Image::new().layer(layer("there", 100)));
    let here_digest = world.server.add_image(APP, "", &here, Form::Oci);
    let there_digest = world.server.add_image(APP, "", &there, Form::Oci);
    let (mine, theirs) = (host.to_string(), format!("linux/{other}"));
    let index = world.server.add_index(
        APP,
        "1",
        &[(&*theirs, there_digest), ("unknown/unknown", there_digest), (&*mine, here_digest)],
    );
    let pulled = world.pull("acme/app:1").unwrap();
    assert_eq!((pulled.image.to_string(), pulled.digest), (here.id(), index));

    let platform =
        |text: &str| PullOptions { platform: Some(Platform::parse(text).unwrap()), ..PullOptions::default() };
    let pulled = world.pull_with("acme/app:1", &platform(&theirs)).unwrap();
    assert_eq!(pulled.image.to_string(), there.id());
    let error = world.pull_with("acme/app:1", &platform("linux/mips64le")).unwrap_err();
    assert_eq!(error.to_string(), "no matching manifest for linux/mips64le in the manifest list entries");
}

#[test]
fn a_single_image_for_another_platform_comes_with_a_warning() {
    let world = World::new();
    world.serve(&image());
    let pulled = world
        .pull_with(
            "acme/app:1",
            &PullOptions {
                platform: Some(Platform::parse("linux/mips64le").unwrap()),
                ..PullOptions::default()
            },
        )
        .unwrap();
    let host = Platform::host().normalized();
    let warning = format!(
        "WARNING: image with reference {} was found but its platform ({host}) does not match the specified platform (linux/mips64le)",
        world.name("acme/app:1")
    );
    assert_eq!(pulled.warning, Some(warning));
}

#[test]
fn all_tags_of_a_repository_come() {
    let world = World::new();
    for tag in ["1", "2", "3"] {
        world.server.add_image(APP, tag, &Image::new().layer(layer(tag, 100)), Form::Docker);
    }
    let pulled =
        world.engine.pull_all_tags(&client(), &world.name(APP), &PullOptions::default(), &world.log).unwrap();
    assert_eq!(pulled.len(), 3);
    let names = world.engine.store().references().read().unwrap();
    for (tag, pulled) in ["1", "2", "3"].iter().zip(&pulled) {
        assert_eq!(names.get(&world.name(&format!("acme/app:{tag}"))), Some(pulled.image));
    }
}

#[test]
fn kept_blobs_are_as_they_came_and_are_not_fetched_again() {
    let world = World::new();
    let image = image();
    let blobs = world.serve(&image);
    let options = PullOptions { keep_blobs: true, ..PullOptions::default() };
    let pulled = world.pull_with("acme/app:1", &options).unwrap();
    for (blob, bytes) in blobs.iter().zip(&image.layers) {
        let (mut file, len) = world.engine.store().blobs().find(blob).unwrap().unwrap();
        let mut kept = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut kept).unwrap();
        assert!(kept == *bytes && len == bytes.len() as u64);
    }
    world
        .engine
        .remove_image(&pulled.image.to_string(), RemoveImage { force: true, ..RemoveImage::default() })
        .unwrap();
    assert!(world.engine.store().layers().list().unwrap().is_empty());
    world.server.forget_requests();
    assert_eq!(world.pull("acme/app:1").unwrap().image, pulled.image);
    assert!(blobs.iter().all(|blob| world.gets(blob).is_empty()));
}

#[test]
fn one_blob_twice_in_an_image_is_fetched_once() {
    on_every_driver(|world| {
        let twice = layer("twice", 50_000);
        let blobs =
            world.serve(&Image::new().layer(twice.clone()).layer(twice).compressed(Compression::Gzip));
        world.pull("acme/app:1").unwrap();
        assert_eq!(world.gets(&blobs[0]).len(), 1);
        assert_eq!(world.engine.store().layers().list().unwrap().len(), 2);
    });
}

#[test]
fn a_manifest_without_media_types_is_understood() {
    let world = World::new();
    let image = image();
    world.serve(&image);
    let mut document = manifest(&image, Form::Oci);
    document["mediaType"] = json!(null);
    document.as_object_mut().unwrap().remove("mediaType");
    world.server.add_manifest(APP, "bare", media_type::OCI_MANIFEST, document.to_string().as_bytes());
    assert_eq!(world.pull("acme/app:bare").unwrap().image.to_string(), image.id());
}

#[test]
fn a_layer_that_the_store_has_elsewhere_is_not_fetched() {
    on_every_driver(|world| {
        world.serve(&image());
        world.pull("acme/app:1").unwrap();
        // On other layers, and in another compression.
        let moved = Image::new()
            .layer(layer("first", 5000))
            .layer(layer("large", 2_000_000))
            .compressed(Compression::Zstd);
        world.server.add_image(APP, "2", &moved, Form::Oci);
        world.server.forget_requests();
        assert_eq!(world.pull("acme/app:2").unwrap().image.to_string(), moved.id());
        assert_eq!(world.gets(&Digest::of(&moved.layers[0])).len(), 1);
        assert!(world.gets(&Digest::of(&moved.layers[1])).is_empty());
        assert!(world.engine.check(Default::default(), &model::Silent).unwrap().is_sound());
    });
}

#[test]
fn a_layer_that_has_changed_in_the_store_is_fetched() {
    let world = World::new();
    world.serve(&image());
    world.pull("acme/app:1").unwrap();
    for id in world.engine.driver().list().unwrap() {
        let file = world.engine.driver().home().join("dir").join(id.as_str()).join("large");
        if file.exists() {
            std::fs::write(file, "something else").unwrap();
        }
    }
    let moved = Image::new().layer(layer("first", 5000)).layer(layer("large", 2_000_000));
    world.server.add_image(APP, "2", &moved, Form::Oci);
    assert_eq!(world.pull("acme/app:2").unwrap().image.to_string(), moved.id());
    assert_eq!(world.gets(&Digest::of(&moved.layers[1])).len(), 1);
}
