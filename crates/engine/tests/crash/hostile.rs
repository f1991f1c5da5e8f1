//! Hostile archives, from the outside to the inside: layers, the archive of the image, its documents. Nothing of them
//! is published, nothing is changed outside of the store, and the message says what is wrong and where.

use std::io::Write;
use std::path::Path;

use archive::tar::Kind;
use engine::load::{Input, LoadOptions};
use engine::{Access, Engine, Limits, Options};
use model::progress::Silent;
use testkit::archive::{Builder, entry};
use testkit::image::{Image, digest};
use testkit::tree;

use crate::{child, shop, sound};

/// A store with an image in it, and beside it what hostile archives are after.
struct Scene {
    dir: tempfile::TempDir,
    engine: Engine,
    view: Vec<String>,
    outside: Vec<String>,
}

impl Scene {
    fn new(driver: &str) -> Option<Self> {
        Self::with_limits(driver, Limits::default())
    }

    fn with_limits(driver: &str, limits: Limits) -> Option<Self> {
        if !testkit::require_root("hostile archives") {
            return None;
        }
        sys::process::clear_umask();
        let dir = shop::temp();
        tree::file(dir.path(), "victim/secret", "a secret");
        tree::dir(dir.path(), "victim/dir");
        tree::settle_times(&dir.path().join("victim"));
        let options = Options { limits, ..shop::options(&dir.path().join("root"), driver) };
        let engine = Engine::open(&options, Access::Write).unwrap();
        shop::load(&engine, &shop::image_a()).unwrap();
        let view = sound::view(&engine);
        let mut scene = Self { dir, engine, view, outside: Vec::new() };
        scene.outside = scene.look_outside();
        Some(scene)
    }

    fn victim(&self) -> String {
        self.dir.path().join("victim").to_str().unwrap().to_owned()
    }

    fn look_outside(&self) -> Vec<String> {
        let beside = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| format!("{:?}", entry.unwrap().file_name()));
        let mut lines: Vec<String> = beside.collect();
        lines.sort();
        lines.extend(tree::dump(&self.dir.path().join("victim")));
        lines
    }

    fn load(&self, archive: Vec<u8>) -> Result<(), String> {
        let input = Input::Stream(Box::new(std::io::Cursor::new(archive)));
        let loaded = child::alone(|| self.engine.load(input, &LoadOptions::default(), &Silent));
        assert_eq!(self.look_outside(), self.outside, "something outside was changed");
        loaded.map(drop).map_err(|e| e.to_string())
    }

    /// The archive is refused, with all of these words, and has left nothing.
    fn refuses(&self, what: &str, archive: Vec<u8>, words: &[&str]) {
        let error = self.load(archive).expect_err(what);
        println!("{what}: {error}");
        for word in words {
            assert!(error.contains(word), "{what}: {word:?} is not in: {error}");
        }
        assert_eq!(sound::view(&self.engine), self.view, "{what}: {error}");
        sound::check(&self.engine, what);
    }

    /// An image whose second layer is refused: the message names the layer.
    fn refuses_layer(&self, what: &str, layer: impl Into<Vec<u8>>, words: &[&str]) {
        let layer = layer.into();
        let name = digest(&layer)["sha256:".len()..].to_owned();
        let image =
            Image::new().layer(shop::single("below")).layer(layer).layer(shop::single("above")).tag("evil:1");
        self.refuses(what, image.archive(), &[&[name.as_str()], words].concat());
    }

    /// An image whose layer is taken, with the meaning that it has inside.
    fn contains(&self, layer: Builder, inside: &str) {
        let image = Image::new().layer(layer.build()).tag("odd:1");
        self.load(image.archive()).unwrap();
        sound::check(&self.engine, inside);
        let id = shop::create(&self.engine, "odd", "odd:1").unwrap();
        let tree = self.engine.mount(&id, drivers::Access::Read).unwrap();
        assert!(tree.join(inside).symlink_metadata().is_ok(), "{inside} is missing");
        assert_ne!(std::fs::read(tree.join(inside)).ok(), Some(b"a secret".to_vec()), "{inside} was read");
        self.engine.unmount(&id).unwrap();
        self.engine.remove_container(&id, false).unwrap();
        self.engine.remove_image("odd:1", Default::default()).unwrap();
        assert_eq!(sound::view(&self.engine), self.view);
    }
}

fn both(test: impl Fn(&Scene)) {
    for driver in shop::DRIVERS {
        if let Some(scene) = Scene::new(driver) {
            test(&scene);
        }
    }
}

/// moby.md §15: CVE-2014-6407, CVE-2014-9356.
#[test]
fn paths_and_links_that_lead_out() {
    both(|scene| {
        let victim = &scene.victim();
        scene.contains(Builder::new().file("../../victim/secret", "x"), "victim/secret");
        scene.contains(Builder::new().file(format!("{victim}/new"), "x"), &victim[1..]);
        scene.contains(Builder::new().symlink("out", victim), "out");
        let through = |link: &str| Builder::new().symlink("s", link).file("s/new", "x").build();
        scene.refuses_layer("absolute link", through(victim), &["s/new", "leads to no directory"]);
        scene.refuses_layer("relative link", through("../../../victim"), &["s/new", "leads to no directory"]);
        scene.refuses_layer("/proc", through("/proc/self/root"), &["s/new", "leads to no directory"]);
        scene.refuses_layer("circle", through("s"), &["s/new", "leads to no directory"]);
        let link = Builder::new().hardlink("h", "../../../victim/secret").build();
        scene.refuses_layer("hard link", link, &["layer entry h", "outside of the layer"]);
        let link = Builder::new().symlink("s", victim).hardlink("h", "s/secret").build();
        scene.refuses_layer("hard link through a link", link, &["layer entry h"]);
        let whiteout = Builder::new().symlink("s", victim).file("s/.wh.secret", "").build();
        scene.refuses_layer("deletion through a link", whiteout, &["s/.wh.secret"]);
    });
}

/// A link in one layer, and a layer on top that writes through it.
#[test]
fn links_of_lower_layers() {
    both(|scene| {
        let victim = scene.victim();
        let below = Builder::new().symlink("s", &victim).dir("d").symlink("d/s", "../../../victim").build();
        let above = Builder::new().file("s/new", "x").file("d/s/secret", "x").file("d/s/.wh.dir", "").build();
        scene.load(Image::new().layer(below).layer(above).tag("odd:1").archive()).unwrap();
        sound::check(&scene.engine, "links of lower layers");
        let id = shop::create(&scene.engine, "odd", "odd:1").unwrap();
        let tree = scene.engine.mount(&id, drivers::Access::Read).unwrap();
        assert_eq!(std::fs::read(tree.join("d/s/secret")).unwrap(), b"x");
        scene.engine.unmount(&id).unwrap();
        assert_eq!(scene.look_outside(), scene.outside);
    });
}

/// What OverlayFS, or Docker's other drivers, would take for something else.
#[test]
fn deletions_that_are_none() {
    both(|scene| {
        let device = Builder::new().char_device("hidden", 0, 0).build();
        scene.refuses_layer("device 0:0", device, &["layer entry hidden", "0:0"]);
        for name in [".wh.", ".wh..", ".wh...", "d/.wh.a/b"] {
            scene.refuses_layer(name, Builder::new().file(name, "").build(), &["layer entry"]);
        }
        let content = Builder::new().file(".wh.x", "content").build();
        scene.refuses_layer(
            "whiteout with content",
            content,
            &["layer entry .wh.x", "whiteout with content"],
        );
        let attributes = |e: &mut archive::tar::Entry| {
            for key in ["trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque"] {
                let name = format!("SCHILY.xattr.{key}");
                e.pax.push((name.into_bytes(), b"y".to_vec()));
            }
        };
        scene
            .load(Image::new().layer(Builder::new().dir_with("d", attributes).build()).tag("x:1").archive())
            .unwrap();
        let top = scene.engine.store().images().get(&scene.engine.find_image("x:1").unwrap()).unwrap();
        let record = scene.engine.store().layers().get(&top.chain_id().unwrap()).unwrap();
        let root = scene.engine.driver().layer_root(&record.cache_id).unwrap();
        let found = sys::xattr::list(root.dir(Path::new("")).unwrap(), "d".as_ref()).unwrap();
        assert!(found.iter().all(|key| !sys::xattr::is_overlay(key)), "{found:?}");
    });
}

#[test]
fn entries_that_no_layer_has() {
    both(|scene| {
        let twice = Builder::new().file("a", "1").file("./a", "2").build();
        scene.refuses_layer("twice", twice, &["a"]);
        let kind = Builder::new().entry(entry("odd", Kind::Other(b'Z'), 0o644), b"").build();
        scene.refuses_layer("unknown kind", kind, &["layer entry odd", "unsupported type"]);
        let long = Builder::new().file("n".repeat(256), "").build();
        scene.refuses_layer("long name", long, &["name too long"]);
        let deep = Builder::new().file(vec!["d"; 2100].join("/"), "").build();
        scene.refuses_layer("long path", deep, &["longer than"]);
        let file = Builder::new().file("a", "").file("a/b", "").build();
        scene.refuses_layer("file as a parent", file, &["layer entry a/b", "not a directory"]);
        let nothing = Builder::new().hardlink("h", "nothing").build();
        scene.refuses_layer("link to nothing", nothing, &["h", "neither in this layer nor in a lower one"]);
    });
}

/// rust.md §3.2: archives that two programs read differently, and such as are cut off.
#[test]
fn archives_that_lie_about_sizes() {
    both(|scene| {
        let good = Builder::new().file("file", vec![b'x'; 5000]).build();
        scene.refuses_layer("cut off", good[..3000].to_vec(), &[]);
        scene.refuses_layer("no archive", vec![b'x'; 10_000], &[]);
        let mut negative = good.clone();
        negative[124..136].copy_from_slice(&[0xff; 12]);
        scene.refuses_layer("negative size", with_check_sum(negative), &[]);
        let mut sum = good.clone();
        sum[148..156].copy_from_slice(b"0000000\0");
        scene.refuses_layer("check sum", sum, &[]);
        // TARmageddon: hidden entries must not appear, whatever else happens.
        let hidden = Builder::new().file("hidden", "x").build();
        let outer = Builder::new().file_with("outer", &hidden, |e| {
            e.pax = vec![(b"size".to_vec(), hidden.len().to_string().into_bytes())];
        });
        scene.contains(outer, "outer");
    });
}

/// Computes the check sum of the first header anew.
fn with_check_sum(mut archive: Vec<u8>) -> Vec<u8> {
    archive[148..156].fill(b' ');
    let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive
}

#[test]
fn bombs() {
    let mut limits = Limits::default();
    (limits.decompress.max_output, limits.decompress.ratio_from) = (8 << 20, 1 << 20);
    limits.decompress.max_ratio = 20;
    limits.tar.sparse_extents = 10;
    for driver in shop::DRIVERS {
        let Some(scene) = Scene::with_limits(driver, limits.clone()) else { return };
        let zeros = Builder::new().file("zeros", vec![0; 4 << 20]).build();
        scene.refuses_compressed("ratio", &zeros, "ratio");
        let mut noise = Vec::new();
        for i in 0..(3_u32 << 20) {
            noise.extend_from_slice(&i.wrapping_mul(2_654_435_761).to_le_bytes());
        }
        scene.refuses_compressed("output", &Builder::new().file("noise", noise).build(), "");
        let extents: Vec<(u64, &[u8])> = (0..20).map(|i| (i * 8192, &b"x"[..])).collect();
        let sparse = Builder::new().sparse("sparse", &extents, 1 << 20).build();
        scene.refuses_layer("sparse map", sparse, &["10"]);
    }
}

impl Scene {
    /// A layer that is compressed in the archive.
    fn refuses_compressed(&self, what: &str, layer: &[u8], word: &str) {
        let mut gzip = archive::tar_split::gzip(Vec::new());
        gzip.write_all(layer).unwrap();
        let compressed = gzip.finish().unwrap();
        let name = digest(&compressed)["sha256:".len()..].to_owned();
        let image =
            Image { diff_ids: Some(vec![digest(layer)]), ..Image::new().layer(compressed).tag("evil:1") };
        self.refuses(what, image.archive(), &[&name, word]);
    }
}

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
