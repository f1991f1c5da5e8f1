//! The archive of an image: its names, links and documents, and layers that are not what the documents say.

use testkit::archive::Builder;
use testkit::image::{Image, digest};

use super::{Scene, both};
use crate::{shop, sound};

#[test]
fn layers_that_are_not_what_the_image_says() {
    both(|scene| {
        let image = |diff_ids: Vec<String>| {
            let layers = Image::new().layer(shop::base()).layer(shop::single("x")).tag("evil:1");
            Image { diff_ids: Some(diff_ids), ..layers }.archive()
        };
        let (base, other) = (digest(&shop::base()), digest(b"other"));
        scene.refuses("wrong digest", image(vec![base.clone(), other.clone()]), &["layer", &other]);
        scene.refuses("too few", image(vec![base.clone()]), &["layers length mismatch: expected 1, got 2"]);
        scene.refuses("too many", image(vec![base.clone(), other.clone(), other]), &["expected 3, got 2"]);
        scene.refuses("none", image(Vec::new()), &["expected 0, got 2"]);
        scene.refuses("no digest", image(vec![base, "../../../etc".to_owned()]), &[]);
    });
}

#[test]
fn too_many_layers() {
    if let Some(scene) = Scene::new("overlay2") {
        let mut image = Image::new().tag("evil:1");
        for n in 0..130 {
            image = image.layer(shop::single(&n.to_string()));
        }
        scene.refuses("130 layers", image.archive(), &["max depth exceeded"]);
    }
}

/// The archive of the image itself: its names, links and documents.
#[test]
fn archives_of_images() {
    both(|scene| {
        let (config, layer) = (shop::image_a().config(), shop::base());
        let manifest = |text: &str| Builder::new().file("manifest.json", text);
        let entry = |config: &str, layer: &str, tag: &str| {
            format!(r#"[{{"Config":"{config}","RepoTags":["{tag}"],"Layers":["{layer}"]}}]"#)
        };
        scene.refuses("empty", Vec::new(), &[]);
        scene.refuses("only padding", vec![0; 10_240], &["neither manifest.json nor index.json"]);
        let whole = shop::image_a().archive();
        let half = whole[..whole.len() / 2].to_vec();
        scene.refuses("half of it", half, &["the archive is incomplete: it ends after", "in the middle of"]);
        let start = whole[..100].to_vec();
        scene.refuses("its start", start, &["incomplete: it ends after 100 bytes, in its first header"]);
        let member = Builder::new().file("blobs/sha256/0", "x").build();
        scene.refuses(
            "one member",
            member[..1024].to_vec(),
            &["incomplete: it breaks off before manifest.json"],
        );
        scene.refuses("no manifest", Builder::new().file("x", "").build(), &["neither manifest.json"]);
        for text in ["", "[", "{}", "null", "[null]", "[[]]", r#"[{"Config":1}]"#, "\u{feff}[]"] {
            let loaded = scene.load(manifest(text).build());
            assert!(loaded.is_err() || matches!(text, "null"), "{text:?} was taken");
            assert_eq!(sound::view(&scene.engine), scene.view, "{text:?}");
        }
        let missing = manifest(&entry("c.json", "l.tar", "evil:1")).build();
        scene.refuses("missing members", missing, &["c.json"]);
        let secret = format!("{}/secret", scene.victim());
        for config in ["../victim/secret", "/etc/passwd", &secret] {
            let archive = manifest(&entry(config, "l.tar", "evil:1")).build();
            scene.refuses("configuration outside", archive, &["the archive has no member"]);
        }
        let linked = manifest(&entry("c.json", "l.tar", "evil:1")).symlink("c.json", &secret);
        scene.refuses("configuration linked outside", linked.build(), &["c.json"]);
        let circle = manifest(&entry("a", "l.tar", "evil:1")).symlink("a", "b").symlink("b", "a");
        scene.refuses("links in a circle", circle.build(), &["a"]);
        let layer_out = manifest(&entry("c.json", &secret, "evil:1")).file("c.json", &config);
        scene.refuses("layer outside", layer_out.build(), &["the archive has no member"]);
        let layer_link = manifest(&entry("c.json", "l.tar", "evil:1")).file("c.json", &config);
        scene.refuses("layer linked outside", layer_link.symlink("l.tar", &secret).build(), &["l.tar"]);
        for tag in ["../../x", "UPPER:1", "a b", "x:../y", "sha256:aa", ":1", "x:"] {
            let archive =
                manifest(&entry("c.json", "l.tar", tag)).file("c.json", &config).file("l.tar", &layer);
            scene.refuses(tag, archive.build(), &[]);
        }
        let large = manifest(&" ".repeat(9 << 20)).build();
        scene.refuses("large manifest", large, &["manifest.json", "at most"]);
    });
}

/// CVE-2021-21285, CVE-2024-36620: what the documents leave out or overdo.
#[test]
fn documents_that_are_odd() {
    both(|scene| {
        let layer = shop::single("odd");
        let load = |config: &str| {
            let archive = Builder::new()
                .file("c.json", config)
                .file("l.tar", &layer)
                .file("manifest.json", r#"[{"Config":"c.json","RepoTags":["odd:1"],"Layers":["l.tar"]}]"#);
            let result = scene.load(archive.build());
            sound::check(&scene.engine, config);
            result
        };
        let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":["{}"]}}"#, digest(&layer));
        for config in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"rootfs":null}"#,
            r#"{"rootfs":{"diff_ids":null}}"#,
            r#"{"rootfs":{"type":"layers","diff_ids":["sha256:short"]}}"#,
            &"[".repeat(100_000),
        ] {
            let error = load(config).expect_err(config);
            assert!(error.len() < 500, "{error}");
            assert_eq!(sound::view(&scene.engine), scene.view);
        }
        // Go leaves these out, or writes null.
        for config in [
            format!("{{{rootfs}}}"),
            format!(r#"{{{rootfs},"history":null,"config":null,"created":null}}"#),
            format!(r#"{{{rootfs},"history":[{{}}],"architecture":"amd64","os":"linux"}}"#),
        ] {
            let _ = load(&config);
            for image in scene.engine.list_images(true).unwrap() {
                scene.engine.inspect_image(&image.id).unwrap();
                scene.engine.history(&image.id).unwrap();
            }
        }
    });
}

/// CVE-2021-41190: a document that is a manifest to one program and an index to another.
#[test]
fn documents_that_are_two_things() {
    both(|scene| {
        let both = r#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#;
        let hex = |text: &str| digest(text.as_bytes())["sha256:".len()..].to_owned();
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{}}}]}}"#,
            digest(both.as_bytes()),
            both.len()
        );
        let layout =
            Builder::new().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#).file("index.json", &index);
        let archive = layout.file(format!("blobs/sha256/{}", hex(both)), both).build();
        scene.refuses("manifest and index", archive, &["both a manifest and an index"]);
        let other = Builder::new().file("index.json", &index);
        let archive = other.file(format!("blobs/sha256/{}", hex(both)), "something else").build();
        scene.refuses("changed manifest", archive, &["damaged"]);
    });
}
