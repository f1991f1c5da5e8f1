//! Without root: a user namespace with one id, attributes of OverlayFS in `user.*`, no devices.

use changeset::diff::write_upper;
use changeset::{ApplyOptions, Owners, Whiteouts, XattrSpace};
use testkit::archive::Builder;
use testkit::{in_user_namespace, tree};

use crate::support::{apply_with, empty, names, root};

fn options(whiteouts: Whiteouts) -> ApplyOptions {
    ApplyOptions { owners: Owners::Squash, devices: false, ..ApplyOptions::new(whiteouts) }
}

#[test]
fn a_layer_is_applied_by_an_ordinary_user() {
    if !in_user_namespace("namespace::a_layer_is_applied_by_an_ordinary_user") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let target = empty(tmp.path(), "t");
    let layer = Builder::new()
        .dir_with("closed/", |e| (e.mode, e.uid) = (0o500, 33))
        .file_with("closed/f", "x", |e| (e.mode, e.uid, e.gid) = (0o000, 1000, 1000))
        .file_with("t", "x", |e| e.xattrs = vec![(b"trusted.a".to_vec(), b"b".to_vec())])
        .char_device("null", 1, 3)
        .file("d/.wh.gone", "")
        .file("o/.wh..wh..opq", "")
        .build();
    let applied = apply_with(&target, &layer, options(Whiteouts::Overlay(XattrSpace::User))).unwrap();
    assert_eq!(applied.skipped_devices, 1);
    assert_eq!(applied.unsupported_xattrs.into_keys().collect::<Vec<_>>(), ["trusted.a"]);
    let dump = tree::dump(&target);
    assert_eq!(names(&dump), ["closed", "closed/f", "d", "d/gone", "o", "t"]);
    assert!(dump[1].starts_with("\"closed\" Dir 0500 0:0 1000000000."), "{dump:#?}");
    assert!(dump[5].ends_with("user.overlay.opaque=79"), "{dump:#?}");
    let mut out = Vec::new();
    write_upper(&root(&target), XattrSpace::User, &mut out).unwrap();
    let again = empty(tmp.path(), "again");
    apply_with(&again, &out, options(Whiteouts::Overlay(XattrSpace::User))).unwrap();
    assert_eq!(tree::dump(&again)[1..], dump[1..]);
}

#[test]
fn owners_that_must_be_exact_are_an_error() {
    if !in_user_namespace("namespace::owners_that_must_be_exact_are_an_error") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let layer = Builder::new().file_with("f", "x", |e| e.uid = 1000).build();
    let exact = ApplyOptions { owners: Owners::Exact, ..options(Whiteouts::Delete) };
    let error = apply_with(&empty(tmp.path(), "t"), &layer, exact).unwrap_err();
    assert!(error.to_string().starts_with("chown "), "{error}");
}

#[test]
fn a_layer_deletes_in_a_tree_of_an_ordinary_user() {
    if !in_user_namespace("namespace::a_layer_deletes_in_a_tree_of_an_ordinary_user") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let target = empty(tmp.path(), "t");
    let base = Builder::new().dir_with("d/", |e| e.mode = 0o555).file("d/a", "").file("d/b", "").build();
    apply_with(&target, &base, options(Whiteouts::Delete)).unwrap();
    let layer = Builder::new().file("d/.wh.a", "").file("d/c", "").build();
    apply_with(&target, &layer, options(Whiteouts::Delete)).unwrap();
    let dump = tree::dump(&target);
    assert_eq!(names(&dump), ["d", "d/b", "d/c"]);
    assert!(dump[1].contains("Dir 0555"), "{dump:#?}");
}
