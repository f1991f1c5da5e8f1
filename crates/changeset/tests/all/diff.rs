//! Archives of directories.

use archive::tar::{self, Entry, Kind};
use changeset::diff::{write_tree, write_tree_diff, write_upper};
use changeset::{Error, XattrSpace};
use testkit::archive::Builder;
use testkit::{require_root, tree};

use crate::support::{OVERLAY, apply, empty, root};

const SPACE: XattrSpace = XattrSpace::Trusted;

/// The entries of an archive with their payloads.
fn entries(archive: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = tar::Reader::new(archive, tar::Limits::default());
    let mut all = Vec::new();
    while let Some(member) = reader.next_member().unwrap() {
        let mut payload = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut payload).unwrap();
        all.push((member.entry, payload));
    }
    all
}

fn paths(archive: &[u8]) -> Vec<String> {
    entries(archive).iter().map(|(entry, _)| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

#[test]
fn an_upper_as_docker_writes_it() {
    if !require_root("whiteouts") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let upper = tmp.path();
    tree::file(upper, "b/z", "first");
    tree::file(upper, "b.txt", "x");
    tree::dir(upper, "b/empty");
    tree::opaque(upper, "b/o");
    tree::file(upper, "b/o/in", "");
    tree::whiteout(upper, "b/gone");
    std::fs::hard_link(upper.join("b/z"), upper.join("c")).unwrap();
    tree::symlink(upper, "a", "b");
    let _socket = std::os::unix::net::UnixListener::bind(upper.join("socket")).unwrap();
    tree::settle_times(upper);
    let mut out = Vec::new();
    let stats = write_upper(&root(upper), SPACE, &mut out).unwrap();
    assert_eq!(
        paths(&out),
        ["a", "b/", "b/empty/", "b/.wh.gone", "b/o/", "b/o/.wh..wh..opq", "b/o/in", "b/z", "b.txt", "c"]
    );
    assert_eq!((stats.size, stats.entries, stats.sockets), (1 + 5 + 1, 10, 1));
    let all = entries(&out);
    let (gone, payload) = &all[3];
    assert_eq!((gone.kind, gone.mode, payload.len()), (Kind::Regular, 0o600, 0));
    assert_eq!(gone.mtime, testkit::archive::TIME);
    let (opaque, _) = &all[5];
    assert_eq!((opaque.kind, opaque.mode, opaque.mtime.secs), (Kind::Regular, 0o755, 0));
    let (link, payload) = &all[9];
    assert_eq!((link.kind, &link.link[..], payload.len()), (Kind::HardLink, &b"b/z"[..], 0));
    assert!(all.iter().all(|(entry, _)| entry.uname.is_empty() && entry.gname.is_empty()));
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let write = |order: &[&str]| {
        let tmp = tempfile::tempdir().unwrap();
        for path in order {
            tree::file(tmp.path(), path, path);
        }
        tree::settle_times(tmp.path());
        let mut out = Vec::new();
        write_upper(&root(tmp.path()), SPACE, &mut out).unwrap();
        out
    };
    assert!(write(&["a/b", "c", "a/d"]) == write(&["c", "a/d", "a/b"]));
}

#[test]
fn a_file_named_like_a_marker_is_refused() {
    // Docker commits it as a deletion (moby.md §11.3).
    let tmp = tempfile::tempdir().unwrap();
    tree::file(tmp.path(), "d/.wh.foo", "");
    let error = write_upper(&root(tmp.path()), SPACE, &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, Error::ReservedName { path } if path.to_str() == Some("/d/.wh.foo")), "{error}");
    let old = tempfile::tempdir().unwrap();
    let error = write_tree_diff(&root(tmp.path()), root(old.path()), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::ReservedName { .. }), "{error}");
}

#[test]
fn overlayfs_notes_stay_here_and_all_else_goes_along() {
    if !require_root("trusted attributes") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let file = tree::file(tmp.path(), "f", "x");
    for key in ["user.a", "trusted.b", "trusted.overlay.origin", "user.overlay.origin"] {
        tree::set_xattr(&file, key, b"v");
    }
    tree::set_xattr(
        &file,
        "security.capability",
        &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    let mut out = Vec::new();
    write_upper(&root(tmp.path()), SPACE, &mut out).unwrap();
    let (entry, _) = &entries(&out)[0];
    let keys: Vec<_> = entry.xattrs.iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
    assert_eq!(keys, ["security.capability", "trusted.b", "user.a"]);
}

#[test]
fn large_holes_are_not_written() {
    let tmp = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(tmp.path().join("f")).unwrap();
    file.set_len(1 << 36).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (1 << 36) - 3).unwrap();
    let small = std::fs::File::create(tmp.path().join("small")).unwrap();
    small.set_len(100_000).unwrap();
    let mut out = Vec::new();
    let stats = write_upper(&root(tmp.path()), SPACE, &mut out).unwrap();
    assert_eq!(stats.size, (1 << 36) + 100_000);
    assert!(out.len() < 1 << 20);
    assert_eq!(
        entries(&out).iter().map(|(entry, _)| entry.sparse.is_some()).collect::<Vec<_>>(),
        [true, false]
    );
    let target = empty(tmp.path(), "again");
    apply(&target, &out, OVERLAY).unwrap();
    let meta = sys::meta::of_path(&target.join("f")).unwrap();
    assert_eq!(meta.size, 1 << 36);
    assert!(meta.allocated < 1 << 20);
}

#[test]
fn the_difference_of_two_trees() {
    if !require_root("owners") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let base = Builder::new()
        .dir("d/")
        .file("d/kept", "k")
        .file("d/gone", "g")
        .dir("dir-gone/")
        .file("dir-gone/f", "")
        .file("changed", "old")
        .build();
    let layer = Builder::new()
        .file("d/.wh.gone", "")
        .file(".wh.dir-gone", "")
        .file("changed", "newer")
        .dir("new/")
        .file("new/f", "n")
        .hardlink("new/g", "new/f")
        .build();
    let new = crate::support::whole_tree(tmp.path(), &[base.clone(), layer]).unwrap();
    let old = empty(tmp.path(), "old");
    apply(&old, &base, changeset::Whiteouts::Delete).unwrap();
    let mut out = Vec::new();
    write_tree_diff(&root(&new), root(&old), &mut out).unwrap();
    assert_eq!(paths(&out), ["changed", "d/", "d/.wh.gone", ".wh.dir-gone", "new/", "new/f", "new/g"]);
    // What is the difference makes the one of the other.
    apply(&old, &out, changeset::Whiteouts::Delete).unwrap();
    assert_eq!(tree::dump(&old), tree::dump(&new));
}

#[test]
fn an_export_has_every_file() {
    if !require_root("devices") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    tree::file(tmp.path(), ".wh.literal", "");
    tree::whiteout(tmp.path(), "device");
    let mut out = Vec::new();
    write_tree(&root(tmp.path()), &mut out).unwrap();
    assert_eq!(paths(&out), [".wh.literal", "device"]);
    assert_eq!(entries(&out)[1].0.kind, Kind::CharDevice);
}

#[test]
fn a_deep_tree_is_written_with_few_directories_open() {
    let tmp = tempfile::tempdir().unwrap();
    let depth = 1200;
    tree::dir(tmp.path(), &vec!["d"; depth].join("/"));
    let stats = write_upper(&root(tmp.path()), SPACE, &mut std::io::sink()).unwrap();
    assert_eq!(stats.entries, depth as u64);
    let changes =
        changeset::changes::upper_changes(&root(tmp.path()), &changeset::Lowers::default(), SPACE).unwrap();
    assert_eq!(changes.len(), depth);
}
