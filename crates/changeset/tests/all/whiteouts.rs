//! Deletions: one meaning, whatever the driver and the order.

use testkit::archive::Builder;
use testkit::{require_root, tree};

use crate::support::{OVERLAY, apply, empty, names, refused, same_tree};

fn base() -> Vec<u8> {
    Builder::new()
        .dir("d/")
        .file("d/x", "lower x")
        .file("d/y", "lower y")
        .dir("d/sub/")
        .file("d/sub/deep", "lower deep")
        .file("top", "lower top")
        .build()
}

fn listing(layer: Builder) -> Vec<String> {
    names(&same_tree(&[base(), layer.build()]))
}

#[test]
fn a_whiteout_removes_a_file_and_a_tree() {
    if !require_root("whiteouts") {
        return;
    }
    assert_eq!(listing(Builder::new().file("d/.wh.x", "").file("d/.wh.sub", "")), ["d", "d/y", "top"]);
    assert_eq!(listing(Builder::new().file(".wh.d", "").file(".wh.nothing", "")), ["top"]);
}

#[test]
fn an_opaque_directory_is_empty_but_for_its_own_layer_in_any_order() {
    if !require_root("opaque directories") {
        return;
    }
    let expected = ["d", "d/new", "d/sub", "d/sub/own", "top"];
    let entries = |b: Builder| b.dir("d/sub/").file("d/sub/own", "o").file("d/new", "n");
    assert_eq!(listing(entries(Builder::new().dir("d/").file("d/.wh..wh..opq", ""))), expected);
    assert_eq!(listing(entries(Builder::new().dir("d/")).file("d/.wh..wh..opq", "")), expected);
    assert_eq!(listing(entries(Builder::new()).file("d/.wh..wh..opq", "")), expected);
}

/// The device that stood for the deletion stayed in the link's place.
#[test]
fn a_hard_link_in_the_place_of_what_is_deleted() {
    if !require_root("whiteouts") {
        return;
    }
    let layer = Builder::new().file(".wh.top", "").hardlink("top", "d/x");
    assert_eq!(listing(layer), ["d", "d/sub", "d/sub/deep", "d/x", "d/y", "top"]);
}

#[test]
fn an_opaque_root_hides_all() {
    // OverlayFS merges roots whatever their marks; each name has to be deleted.
    if !require_root("an opaque root") {
        return;
    }
    let layer = Builder::new().file(".wh..wh..opq", "").dir("d/").file("d/new", "n");
    assert_eq!(listing(layer), ["d", "d/new"]);
}

#[test]
fn what_the_layer_has_itself_stays_in_any_order() {
    if !require_root("whiteouts") {
        return;
    }
    let stays = |layer: Builder| {
        let dump = same_tree(&[base(), layer.build()]);
        assert!(
            dump.iter().any(|line| line.starts_with("\"d/x\" File 0644 0:0 1000000000.123456789 3 bytes"))
        );
    };
    stays(Builder::new().file("d/x", "new").file("d/.wh.x", ""));
    stays(Builder::new().file("d/.wh.x", "").file("d/x", "new"));
}

#[test]
fn a_directory_that_replaces_a_deleted_one_starts_empty() {
    // Docker's overlay2 shows the lower directory's content again (moby.md §11.2).
    if !require_root("whiteouts") {
        return;
    }
    let expected = ["d", "d/new", "top"];
    assert_eq!(listing(Builder::new().file(".wh.d", "").dir("d/").file("d/new", "")), expected);
    assert_eq!(listing(Builder::new().dir("d/").file("d/new", "").file(".wh.d", "")), expected);
    assert_eq!(listing(Builder::new().file(".wh.d", "").file("d/new", "")), expected);
    assert_eq!(listing(Builder::new().file("d/new", "").file(".wh.d", "")), expected);
    assert_eq!(listing(Builder::new().file("d/new", "").file(".wh.d", "").dir("d")), expected);
}

#[test]
fn a_deleted_parent_leaves_no_attributes_behind() {
    if !require_root("whiteouts") {
        return;
    }
    let attributes = |d: &mut archive::tar::Entry| (d.mode, d.uid, d.mtime.secs) = (0o700, 5, 5);
    let base = Builder::new().dir_with("d/", attributes).file("d/x", "").build();
    for layer in [
        Builder::new().file(".wh.d", "").file("d/new", ""),
        Builder::new().file("d/new", "").file(".wh.d", ""),
        Builder::new().file("d/new", "").file(".wh..wh..opq", ""),
    ] {
        let dump = same_tree(&[base.clone(), layer.build()]);
        assert_eq!(dump[1], "\"d\" Dir 0755 0:0 1000000000.123456789");
    }
}

#[test]
fn an_opaque_marker_alone_leaves_the_directory_as_it_is() {
    if !require_root("whiteouts") {
        return;
    }
    let base = Builder::new().dir_with("d/", |d| (d.mode, d.uid) = (0o700, 5)).file("d/x", "").build();
    let dump = same_tree(&[base, Builder::new().file("d/.wh..wh..opq", "").build()]);
    assert!(dump[1].starts_with("\"d\" Dir 0700 5:0"), "{}", dump[1]);
    assert_eq!(names(&dump), ["d"]);
}

#[test]
fn dotfiles_can_be_deleted() {
    if !require_root("whiteouts") {
        return;
    }
    let base = Builder::new().file(".hidden", "").file("...", "").file("kept", "").build();
    let layer = Builder::new().file(".wh..hidden", "").file(".wh....", "").build();
    assert_eq!(names(&same_tree(&[base, layer])), ["kept"]);
}

#[test]
fn a_layer_deletes_what_is_put_back_later() {
    if !require_root("whiteouts") {
        return;
    }
    let gone = Builder::new().file(".wh.d", "").build();
    let again = Builder::new().dir("d/").file("d/z", "z").build();
    assert_eq!(names(&same_tree(&[base(), gone, again])), ["d", "d/z", "top"]);
}

#[test]
fn markers_of_aufs_mean_nothing() {
    if !require_root("whiteouts") {
        return;
    }
    let layer = Builder::new()
        .file(".wh..wh.aufs", "")
        .dir(".wh..wh.orph/")
        .dir(".wh..wh.plnk/")
        .file(".wh..wh.plnk/1.2", "")
        .file("new", "");
    assert_eq!(listing(layer), ["d", "d/sub", "d/sub/deep", "d/x", "d/y", "new", "top"]);
}

#[test]
fn names_that_are_no_markers_are_refused() {
    for name in [".wh.", "d/.wh..", ".wh...", ".wh.x/y", "d/.wh..wh..opq/y"] {
        let error = refused(&[Builder::new().file(name, "").build()]);
        assert!(error.contains("reserved for deletions"), "{error}");
    }
}

#[test]
fn a_deletion_with_content_is_refused() {
    // It could not be brought back: nothing on disk has the content.
    for name in [".wh.x", ".wh..wh..opq", ".wh..wh.plnk/1.2"] {
        let error = refused(&[Builder::new().file(name, "content").build()]);
        assert_eq!(error, format!("layer entry {name}: a whiteout with content"));
    }
}

#[test]
fn the_device_of_a_whiteout_is_refused() {
    let error = refused(&[Builder::new().char_device("x", 0, 0).build()]);
    assert!(error.contains("character device 0:0"), "{error}");
}

#[test]
fn an_overlay_keeps_deletions_as_the_kernel_reads_them() {
    if !require_root("whiteouts") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let target = empty(tmp.path(), "layer");
    let layer =
        Builder::new().file_with("d/.wh.x", "", |e| (e.uid, e.gid) = (7, 8)).file("o/.wh..wh..opq", "");
    apply(&target, &layer.build(), OVERLAY).unwrap();
    let dump = tree::dump(&target);
    assert!(dump.contains(&"\"d/x\" CharDevice 0000 7:8 1000000000.123456789 0:0".to_owned()), "{dump:#?}");
    assert!(
        dump.iter().any(|l| l.starts_with("\"o\" Dir") && l.ends_with(" trusted.overlay.opaque=79")),
        "{dump:#?}"
    );
}

/// The second mark was in the way of itself, where marks are files.
#[test]
fn a_root_that_hides_all_and_a_whiteout_may_delete_the_same_name() {
    if !require_root("whiteouts") {
        return;
    }
    assert_eq!(
        listing(Builder::new().file(".wh..wh..opq", "").file(".wh.top", "").file("new", "n")),
        ["new"]
    );
}
