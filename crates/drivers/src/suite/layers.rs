//! What layers can hold, and what is in the way of it (moby.md §11, §15).

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use archive::tar::Kind;
use model::CacheId;
use testkit::archive::{TIME, entry};
use testkit::tree::dump;

use super::{Bench, Builder};
use crate::LayerKind;

/// Asserts that a layer, a container on it, and a copy made from that container's difference show the same tree.
fn survives(bench: &Bench, archive: Builder) {
    let base = bench.layer(None, Builder::new().file("base", "x"));
    let layer = bench.layer(Some(&base), archive);
    // The first line is the root, which has no entry in a difference.
    let tree = |id: &CacheId| bench.look(id, |root| dump(root).split_off(1));
    let (container, copy) = (bench.container(Some(&layer)), bench.commit(&layer, Some(&base)));
    assert_eq!(tree(&container), tree(&layer));
    assert_eq!(tree(&copy), tree(&layer));
}

/// A whiteout hides one name, an opaque directory all names below; what the layer itself brings stays.
pub fn whiteouts_and_opaque_directories(bench: &Bench) {
    let lower = bench.layer(
        None,
        Builder::new()
            .file("gone", "x")
            .dir("dir")
            .file("dir/gone", "x")
            .file("dir/kept", "x")
            .dir("replaced")
            .file("replaced/old", "x")
            .dir("file")
            .file("file/in", "x"),
    );
    let upper = bench.layer(
        Some(&lower),
        Builder::new()
            .file(".wh.gone", "")
            .file("dir/.wh.gone", "")
            .dir("replaced")
            .file("replaced/new", "")
            .file("replaced/.wh..wh..opq", "")
            .file("file", "now a file")
            .file(".wh.never", ""),
    );
    bench.look(&upper, |root| {
        for path in ["gone", "dir/gone", "replaced/old", "never"] {
            assert!(fs::symlink_metadata(root.join(path)).is_err(), "{path}");
        }
        for path in ["dir/kept", "replaced/new"] {
            assert!(root.join(path).exists(), "{path}");
        }
        assert_eq!(fs::read(root.join("file")).unwrap(), b"now a file");
    });
}

/// An opaque root hides everything below.
pub fn opaque_root(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().file("old", "x").dir("dir").file("dir/old", "x"));
    let upper =
        bench.layer(Some(&lower), Builder::new().file(".wh..wh..opq", "").dir("dir").file("dir/new", "x"));
    bench.look(&bench.container(Some(&upper)), |root| {
        assert!(!root.join("old").exists() && !root.join("dir/old").exists());
        assert!(root.join("dir/new").exists());
    });
}

/// Owners, setuid, sticky, capabilities and other attributes.
pub fn attributes_survive(bench: &Bench) {
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = Builder::new()
        .dir_with("sticky", |e| e.mode = 0o1777)
        .dir_with("setgid", |e| (e.mode, e.gid) = (0o2755, 7))
        .file_with("setuid", "x", |e| (e.mode, e.uid, e.gid) = (0o4711, 1000, 1001))
        .file_with("capable", "x", |e| {
            e.uid = 5;
            e.xattrs = vec![(b"security.capability".to_vec(), capability.to_vec())];
        })
        .file_with("no-mode", "x", |e| e.mode = 0)
        .file_with("big", "x", |e| (e.uid, e.gid) = (4_000_000_000, 3_000_000_000))
        .file_with(vec![0xff, 0xfe], "not UTF-8", |_| {})
        .file("n".repeat(255), "long");
    survives(bench, archive);
}

/// Times to the nanosecond, before 1970 too.
pub fn nanoseconds(bench: &Bench) {
    let archive = Builder::new()
        .dir("dir")
        .file("dir/file", "x")
        .file_with("old", "x", |e| (e.mtime.secs, e.mtime.nanos) = (-5, 999_999_999))
        .symlink("link", "dir/file");
    let layer = bench.layer(None, archive);
    bench.look(&bench.container(Some(&layer)), |root| {
        let time =
            |path: &str| fs::symlink_metadata(root.join(path)).map(|m| (m.mtime(), m.mtime_nsec())).unwrap();
        for path in ["dir", "dir/file", "link"] {
            assert_eq!(time(path), (TIME.secs, TIME.nanos.into()), "{path}");
        }
        assert_eq!(time("old"), (-5, 999_999_999));
    });
}

/// Holes are holes on the disk too, and in the copy.
pub fn sparse_files_stay_sparse(bench: &Bench) {
    let size = 64 << 20;
    let layer =
        bench.layer(None, Builder::new().sparse("sparse", &[(1 << 20, b"data"), (size - 4, b"tail")], size));
    let container = bench.container(Some(&layer));
    for id in [&layer, &container, &bench.commit(&layer, None)] {
        bench.look(id, |root| {
            let meta = fs::metadata(root.join("sparse")).unwrap();
            assert_eq!(meta.len(), size);
            assert!(meta.blocks() * 512 < 1 << 20, "{} blocks", meta.blocks());
        });
    }
}

/// Device nodes and FIFOs.
pub fn devices_and_fifos(bench: &Bench) {
    let archive = Builder::new().char_device("null", 1, 3).entry(
        {
            let mut disk = entry("disk", Kind::BlockDevice, 0o660);
            (disk.devmajor, disk.devminor) = (259, 1_000_000);
            disk
        },
        b"",
    );
    let archive = archive.entry(entry("pipe", Kind::Fifo, 0o622), b"");
    let layer = bench.layer(None, archive);
    bench.look(&bench.container(Some(&layer)), |root| {
        let of = |path: &str| fs::metadata(root.join(path)).unwrap();
        assert!(of("null").file_type().is_char_device() && of("disk").file_type().is_block_device());
        assert!(of("pipe").file_type().is_fifo());
        assert_eq!(of("pipe").mode() & 0o7777, 0o622);
        assert_eq!(of("null").rdev(), 1 << 8 | 3);
    });
}

/// Names of one file, in the layer and to a file of a lower layer; Docker's overlay2 cannot do the latter.
pub fn hard_links_within_and_to_a_lower_layer(bench: &Bench) {
    let lower =
        bench.layer(None, Builder::new().dir("dir").file_with("dir/lower", "low", |e| e.mode = 0o4755));
    let upper = bench.layer(
        Some(&lower),
        Builder::new().file("one", "1").hardlink("two", "one").hardlink("linked", "dir/lower"),
    );
    bench.look(&bench.container(Some(&upper)), |root| {
        let ino = |path: &str| fs::metadata(root.join(path)).unwrap().ino();
        assert_eq!(ino("one"), ino("two"));
        assert_eq!(ino("linked"), ino("dir/lower"));
        let meta = fs::metadata(root.join("linked")).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o4755);
        let capabilities = bench.driver.capabilities();
        if capabilities.page_cache_sharing && capabilities.whole_trees {
            // Whole trees that share pages have their files in common: the links of all of them are counted.
            assert!(meta.nlink() >= 2);
        } else {
            assert_eq!(meta.nlink(), 2);
        }
    });
    let error =
        bench.try_layer(Some(&lower), &Builder::new().hardlink("linked", "nowhere").build()).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// A directory that the archive does not name keeps what it is below; a new one is 0755.
pub fn implied_directories(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().dir_with("private", |e| (e.mode, e.uid) = (0o700, 42)));
    let upper =
        bench.layer(Some(&lower), Builder::new().file("private/file", "x").file("new/deep/file", "x"));
    bench.look(&bench.container(Some(&upper)), |root| {
        let of = |path: &str| fs::metadata(root.join(path)).map(|m| (m.mode() & 0o7777, m.uid())).unwrap();
        assert_eq!((of("private"), of("new"), of("new/deep")), ((0o700, 42), (0o755, 0), (0o755, 0)));
    });
}

/// Neither names nor links of an archive lead out of the layer.
pub fn symlinks_do_not_lead_out(bench: &Bench) {
    let victim = tempfile::tempdir().unwrap();
    fs::write(victim.path().join("file"), "untouched").unwrap();
    let before = dump(victim.path());
    let to = victim.path().to_str().unwrap();
    let hostile = [
        Builder::new().symlink("out", to).file("out/file", "x"),
        Builder::new().symlink("out", "../../../../../../../../..").file(format!("out{to}/file"), "x"),
        Builder::new().file(format!("../../../../../../../../../..{to}/file"), "x"),
        Builder::new()
            .hardlink("linked", format!("../../../../../../../../../..{to}/file"))
            .file("linked", "x"),
        Builder::new().symlink("out", format!("{to}/file")).hardlink("linked", "out").file("linked", "x"),
        Builder::new().symlink("out", to).file("out/.wh.file", ""),
        Builder::new().symlink("out", to).file("out/.wh..wh..opq", ""),
        Builder::new().symlink("out", to).dir_with("out", |e| e.mode = 0o777),
    ];
    let base = bench.layer(None, Builder::new().symlink("lower-out", to));
    for archive in hostile {
        let archive = archive.build();
        for parent in [None, Some(&base)] {
            let _ = bench.try_layer(parent, &archive);
            assert_eq!(dump(victim.path()), before);
        }
    }
    let _ = bench.try_layer(Some(&base), &Builder::new().file("lower-out/file", "x").build());
    assert_eq!(dump(victim.path()), before);
}

/// A layer does not write through a link that a lower layer made: the link is replaced by a directory.
pub fn an_entry_through_a_link_of_a_lower_layer(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().dir("real").symlink("link", "real"));
    let upper = bench.layer(Some(&lower), Builder::new().file("link/file", "x"));
    bench.look(&bench.container(Some(&upper)), |root| {
        assert!(fs::symlink_metadata(root.join("link")).unwrap().is_dir());
        assert!(root.join("link/file").exists() && !root.join("real/file").exists());
    });
}

/// What is wrong with a layer is said, nobody sees any of it, and its space comes back.
pub fn a_bad_layer_is_never_published(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("base", "x"));
    let good = Builder::new().file("file", vec![1; 10_000]);
    let mut truncated = good.build();
    truncated.truncate(5000);
    for archive in [
        truncated,
        Builder::new().char_device("hidden", 0, 0).build(),
        Builder::new().file("twice", "x").file("twice", "y").build(),
        Builder::new().hardlink("a", "b").file("b", "x").build(),
        Builder::new().file("dir/.wh..", "").build(),
    ] {
        bench.try_layer(Some(&base), &archive).unwrap_err();
        assert_eq!(bench.driver.list().unwrap(), std::slice::from_ref(&base));
    }
    bench.driver.sweep().unwrap();
    assert!(leftovers(bench).is_empty());
}

/// What a driver's `.layercake` holds beside its empty directories.
pub(super) fn leftovers(bench: &Bench) -> Vec<std::path::PathBuf> {
    let aside = bench.driver.home().join(crate::aside::NAME);
    let list =
        |path: &Path| fs::read_dir(path).map_or_else(|_| vec![], |d| d.map(|e| e.unwrap().path()).collect());
    ["staging", "trash"].iter().flat_map(|name| list(&aside.join(name))).collect::<Vec<_>>()
}

/// The size that `finish` gives is Docker's (moby.md §11.5): files once, and where layers are not whole trees the
/// lengths of links.
pub fn sizes(bench: &Bench) {
    let stage = bench.driver.stage().unwrap();
    let id = super::new_id();
    bench.driver.prepare(&stage, &id, None, LayerKind::ReadOnly).unwrap();
    let archive = Builder::new().file("a", "12345").hardlink("b", "a").symlink("l", "abc").dir("d").build();
    let applied = bench.apply(&stage, &id, &archive).unwrap();
    let size = bench.driver.finish(&stage, &id, applied).unwrap();
    assert_eq!(size, if bench.driver.capabilities().whole_trees { 5 } else { 8 });
    bench.driver.publish(&stage, std::slice::from_ref(&id)).unwrap();
    assert_eq!(bench.driver.usage(&id, None).unwrap(), 8);
    let above = bench.layer(Some(&id), Builder::new().file("c", "123"));
    assert_eq!(bench.driver.usage(&above, Some(&id)).unwrap(), 3);
}
