//! What needs the lower layers.

use testkit::archive::{Builder, entry};
use testkit::{require_root, tree};

use crate::support::{OVERLAY, apply, empty, lowers, names, overlay_layers, refused, root, same_tree};

#[test]
fn hard_links_to_lower_files() {
    // Docker's overlay2 refuses such layers (moby.md §11.2).
    if !require_root("overlay mounts") {
        return;
    }
    let base = Builder::new()
        .dir_with("d/", |e| (e.mode, e.uid) = (0o711, 4))
        .file_with("d/x", "content", |e| (e.mode, e.uid, e.mtime.secs) = (0o4711, 5, 77))
        .symlink("d/s", "x")
        .build();
    let layer = Builder::new()
        .hardlink("one", "d/x")
        .hardlink("two", "d/x")
        .hardlink("three", "one")
        .hardlink("to-link", "/d/s")
        .build();
    let dump = same_tree(&[base, layer]);
    assert_eq!(names(&dump), ["d", "d/s", "d/x", "one", "three", "to-link", "two"]);
    assert_eq!(dump[1], "\"d\" Dir 0711 4:0 1000000000.123456789");
    for line in [&dump[3], &dump[4], &dump[5], &dump[7]] {
        assert!(line.contains("File 4711 5:0 77.123456789 7 bytes") && line.ends_with("= \"d/x\""), "{line}");
    }
}

#[test]
fn settling_twice_does_no_harm_and_counts_the_copies() {
    if !require_root("owners") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let dirs = overlay_layers(tmp.path(), &[Builder::new().file("d/x", "content").build()]).unwrap();
    let target = empty(tmp.path(), "top");
    let layer = Builder::new().hardlink("l", "d/x").file("d/y", "").build();
    let applied = apply(&target, &layer, OVERLAY).unwrap();
    assert_eq!(applied.size, 0);
    assert_eq!(applied.pending.settle(&root(&target), &lowers(&dirs)).unwrap(), 7);
    let once = tree::dump(&target);
    applied.pending.settle(&root(&target), &lowers(&dirs)).unwrap();
    assert_eq!(tree::dump(&target), once);
}

#[test]
fn hard_links_to_what_lower_layers_do_not_show_are_refused() {
    if !require_root("whiteouts") {
        return;
    }
    let base = Builder::new().file("d/x", "").file("keep", "").build();
    let nothing = "neither in this layer nor in a lower one";
    let link = || Builder::new().hardlink("h", "d/x");
    for layers in [
        vec![base.clone(), link().file("d/.wh.x", "").build()],
        vec![base.clone(), link().file("d/.wh..wh..opq", "").build()],
        vec![base.clone(), link().file(".wh.d", "").build()],
        vec![base.clone(), Builder::new().file(".wh..wh..opq", "").hardlink("h", "keep").build()],
        vec![base.clone(), Builder::new().file(".wh.d", "").build(), link().build()],
        vec![base.clone(), Builder::new().file("d", "").build(), link().build()],
        vec![
            Builder::new().dir("usr/").file("usr/f", "").symlink("l", "usr").build(),
            Builder::new().hardlink("h", "l/f").build(),
        ],
    ] {
        let error = refused(&layers);
        assert!(error.contains(nothing), "{error}");
    }
    let error = refused(&[base, Builder::new().hardlink("h", "d").build()]);
    assert!(error.contains("is a directory"), "{error}");
}

#[test]
fn implied_directories_take_attributes_of_the_layer_that_shows_them() {
    if !require_root("overlay mounts") {
        return;
    }
    let attributes = |e: &mut archive::tar::Entry| {
        (e.mode, e.uid, e.gid) = (0o1733, 8, 9);
        e.xattrs = vec![(b"user.a".to_vec(), b"1".to_vec()), (b"trusted.b".to_vec(), b"2".to_vec())];
    };
    let base = Builder::new().dir("a/").dir("a/b/").build();
    let middle = Builder::new().dir_with("a/b/", attributes).build();
    let top = Builder::new().file("a/b/c", "").build();
    let dump = same_tree(&[base, middle, top]);
    assert_eq!(dump[2], "\"a/b\" Dir 1733 8:9 1000000000.123456789 trusted.b=32 user.a=31");
}

#[test]
fn devices_can_be_left_out() {
    let tmp = tempfile::tempdir().unwrap();
    let options = changeset::ApplyOptions { devices: false, ..changeset::ApplyOptions::new(OVERLAY) };
    let layer = Builder::new()
        .char_device("null", 1, 3)
        .hardlink("null-too", "null")
        .entry(entry("pipe", archive::tar::Kind::Fifo, 0o600), b"")
        .build();
    let target = empty(tmp.path(), "t");
    let applied = crate::support::apply_with(&target, &layer, options).unwrap();
    assert_eq!(applied.skipped_devices, 1);
    assert_eq!(names(&tree::dump(&target)), ["pipe"]);
}

#[test]
fn deletions_of_nothing_are_dropped() {
    // In a directory of one layer only, the kernel lists them, and says ENOENT when they are looked at.
    if !require_root("overlay mounts") {
        return;
    }
    let base = Builder::new().dir("d/").file("d/x", "").build();
    let layer = Builder::new()
        .file("only-here/.wh.x", "")
        .file("d/.wh.x", "")
        .file("d/.wh.y", "")
        .file("d/.wh..wh..opq", "")
        .build();
    assert_eq!(names(&same_tree(&[base, layer])), ["d", "only-here"]);
}
