//! Layers that want out of their directory, or to be taken for something else.

use std::io::Write;
use std::path::Path;

use archive::tar::Kind;
use engine::Limits;
use engine::remove_image::RemoveImage;
use testkit::archive::{Builder, entry};
use testkit::image::{Image, digest};

use super::{Scene, both};
use crate::{shop, sound};

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

/// A header block, as old tar programs write it.
fn block(name: &str, flag: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    with_check_sum(block)
}

/// A block of a PAX header that gives the next entry a size.
fn pax_size(size: u64) -> Vec<u8> {
    let record = format!("{} size={size}\n", format!("00 size={size}\n").len());
    let mut body = record.into_bytes();
    let header = block("pax", b'x', body.len() as u64);
    body.resize(512, 0);
    [header, body].concat()
}

/// CVE-2025-62518, CVE-2026-33055, GHSA-3cv2-h65g-fgmm: what is a file's content to one program is an entry to another.
#[test]
fn entries_in_contents() {
    both(|scene| {
        let hidden = block("hidden", b'0', 0);
        let end = vec![0; 1024];
        for (what, layer) in [
            ("no size", [pax_size(512), block("outer", b'0', 0), hidden.clone(), end.clone()].concat()),
            ("another size", [pax_size(512), block("outer", b'0', 5), hidden.clone(), end.clone()].concat()),
            (
                "long name between",
                [pax_size(512), block("l", b'L', 6), name_block("outer"), block("x", b'0', 0), hidden, end]
                    .concat(),
            ),
        ] {
            scene.load(Image::new().layer(layer).tag("odd:1").archive()).unwrap();
            sound::check(&scene.engine, what);
            assert_eq!(scene.names_in("odd:1"), ["outer"], "{what}");
            scene.engine.remove_image("odd:1", RemoveImage::default()).unwrap();
        }
    });
}

fn name_block(name: &str) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block
}

/// Go's reader lets types without content have a size; so an archive may, and it means nothing.
#[test]
fn directories_with_a_size() {
    both(|scene| {
        let layer = [block("dir", b'5', 512), block("after", b'0', 0), vec![0; 1024]].concat();
        scene.load(Image::new().layer(layer).tag("odd:1").archive()).unwrap();
        sound::check(&scene.engine, "directories with a size");
        assert_eq!(scene.names_in("odd:1"), ["after", "dir"]);
    });
}

/// CVE-2017-14992: padding without end is neither kept in memory nor lost.
#[test]
fn endless_padding() {
    both(|scene| {
        let mut layer = shop::single("padded");
        layer.resize(layer.len() + (16 << 20), 0);
        scene.load(Image::new().layer(layer).tag("odd:1").archive()).unwrap();
        sound::check(&scene.engine, "endless padding");
    });
}

impl Scene {
    /// The names in the topmost layer of an image.
    fn names_in(&self, image: &str) -> Vec<String> {
        let config = self.engine.store().images().get(&self.engine.find_image(image).unwrap()).unwrap();
        let record = self.engine.store().layers().get(&config.chain_id().unwrap()).unwrap();
        let root = self.engine.driver().layer_root(&record.cache_id).unwrap();
        let entries = sys::dir::list_sorted(root.dir(Path::new("")).unwrap()).unwrap();
        entries.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
    }
}
