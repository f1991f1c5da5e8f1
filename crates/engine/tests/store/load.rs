//! Every form in which an image arrives.

use archive::compress::Compression;
use engine::load::{Input, LoadOptions};
use model::{DiffId, Digest, Silent};
use serde_json::json;
use testkit::archive::Builder;
use testkit::image::Image;

use crate::world::{World, base, changes, compressed, image, on_every_driver, piped};

#[test]
fn an_image_has_the_id_of_its_configuration_and_shares_layers_with_others() {
    on_every_driver(|world| {
        let first = world.load(image().archive()).unwrap().remove(0);
        assert_eq!(first.image.to_string(), image().id());
        assert_eq!(first.references[0].familiar(), "acme/app:1");
        let other =
            Image::new().layer(base()).layer(Builder::new().file("x", "x").build()).tag("acme/other:1");
        world.load(other.archive()).unwrap();
        assert_eq!(world.engine.store().layers().list().unwrap().len(), 3);
        assert_eq!(world.engine.driver().list().unwrap().len(), 3);
    });
}

#[test]
fn loading_twice_changes_nothing_and_a_moved_name_is_told() {
    on_every_driver(|world| {
        world.load(image().archive()).unwrap();
        let before = world.engine.driver().list().unwrap();
        assert!(world.load(image().archive()).unwrap()[0].renamed.is_empty());
        assert_eq!(world.engine.driver().list().unwrap(), before);
        let other = Image::new().layer(base()).tag("acme/app:1");
        let loaded = world.load(other.archive()).unwrap().remove(0);
        assert_eq!(loaded.renamed[0].1.to_string(), image().id());
    });
}

#[test]
fn layers_and_archives_come_in_every_compression() {
    let world = World::new("vfs");
    let layer = base();
    let several = [piped("gzip", &["-c"], &layer[..1000]), piped("gzip", &["-c"], &layer[1000..])].concat();
    let forms = [
        ("gzip", compressed(Compression::Gzip, &layer)),
        ("gzip of several members", several),
        ("zstd", compressed(Compression::Zstd, &layer)),
        ("bzip2", piped("bzip2", &["-c"], &layer)),
        ("xz", piped("xz", &["-c"], &layer)),
    ];
    for (what, packed) in forms {
        let image =
            Image { diff_ids: Some(vec![DiffId::of(&layer).to_string()]), ..Image::new().layer(packed) };
        let loaded = world.load(image.archive()).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(loaded[0].image.to_string(), image.id(), "{what}");
        let whole = world.load(piped("gzip", &["-c"], &image.archive())).unwrap();
        assert_eq!(whole[0].image.to_string(), image.id(), "{what}, archive compressed");
        let names = [image.id()];
        world.engine.remove_image(&names[0], Default::default()).unwrap();
        world.assert_empty();
    }
}

/// An OCI layout with an index of two platforms and an attestation, as BuildKit writes it.
fn layout(dir: &std::path::Path) -> String {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let manifest = |image: &Image, platform: serde_json::Value| {
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| {
                put("application/vnd.oci.image.layer.v1.tar+gzip", &compressed(Compression::Gzip, layer))
            })
            .collect();
        let config = put("application/vnd.oci.image.config.v1+json", image.config().as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": layers,
        });
        let mut descriptor =
            put("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
        descriptor["platform"] = platform;
        descriptor
    };
    let host = model::Platform::host();
    let other = if host.architecture == "riscv64" { "s390x" } else { "riscv64" };
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            manifest(&Image::new().layer(changes()), json!({"os": "linux", "architecture": other})),
            manifest(&image(), json!({"os": "linux", "architecture": host.architecture})),
            manifest(&Image::new().layer(base()), json!({"os": "unknown", "architecture": "unknown"})),
        ],
    });
    let mut nested = put("application/vnd.oci.image.index.v1+json", index.to_string().as_bytes());
    nested["annotations"] = json!({"org.opencontainers.image.ref.name": "localhost:5000/acme/app:2"});
    let top = json!({"schemaVersion": 2, "manifests": [nested]});
    std::fs::write(dir.join("index.json"), top.to_string()).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    other.to_owned()
}

#[test]
fn an_oci_layout_loads_as_directory_and_as_archive_for_the_right_platform() {
    let tmp = tempfile::tempdir().unwrap();
    let other = layout(tmp.path());
    on_every_driver(|world| {
        let load = |input, platform: Option<&str>| {
            let platform = platform.map(|p| model::Platform::parse(p).unwrap());
            world.engine.load(input, &LoadOptions { platform, ..Default::default() }, &Silent)
        };
        let loaded = load(Input::Path(tmp.path().into()), None).unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].image.to_string(), image().id());
        assert_eq!(loaded[0].references[0].familiar(), "localhost:5000/acme/app:2");

        let tar = piped("tar", &["-C", tmp.path().to_str().unwrap(), "-c", "."], b"");
        assert_eq!(load(crate::world::stream(tar), None).unwrap()[0].image, loaded[0].image);

        let foreign = load(Input::Path(tmp.path().into()), Some(&format!("linux/{other}"))).unwrap();
        assert_ne!(foreign[0].image, loaded[0].image);
        assert!(load(Input::Path(tmp.path().into()), Some("linux/mips64le")).is_err());
    });
}

#[test]
fn a_layer_that_is_not_what_the_image_says_is_not_published() {
    on_every_driver(|world| {
        let wrong = DiffId::of(b"something else").to_string();
        let good = DiffId::of(&base()).to_string();
        let image = Image { diff_ids: Some(vec![good, wrong]), ..image() };
        let error = world.load(image.archive()).unwrap_err().to_string();
        assert!(error.contains("damaged or was tampered with"), "{error}");
        world.assert_empty();
    });
}

#[test]
fn a_blob_that_is_not_what_the_index_says_is_refused() {
    let tmp = tempfile::tempdir().unwrap();
    layout(tmp.path());
    for entry in std::fs::read_dir(tmp.path().join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.starts_with(b"{\"architecture\"") {
            bytes.push(b' ');
            std::fs::write(path, bytes).unwrap();
        }
    }
    let world = World::new("vfs");
    let error =
        world.engine.load(Input::Path(tmp.path().into()), &LoadOptions::default(), &Silent).unwrap_err();
    assert!(error.to_string().contains("the archive is damaged"), "{error}");
    world.assert_empty();
}

#[test]
fn an_archive_of_files_is_told_from_one_of_images() {
    let world = World::new("vfs");
    let error = world.load(base()).unwrap_err().to_string();
    assert!(error.contains("`import`"), "{error}");
    assert!(world.load(b"no archive at all".to_vec()).is_err());
    assert!(world.load(Vec::new()).is_err());
    world.assert_empty();
}
