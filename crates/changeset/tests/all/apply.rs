//! What an entry becomes.

use archive::tar::Kind;
use changeset::{ApplyLimits, ApplyOptions, Error, Whiteouts};
use testkit::archive::{Builder, entry};
use testkit::{require_root, tree};

use crate::support::{BOTH, OVERLAY, apply, apply_with, empty, names, refused, same_tree};

fn xattr(key: &str, value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (key.as_bytes().to_vec(), value.to_vec())
}

/// cap_net_raw+ep, revision 2.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// user::rwx group::r-x user:5:rwx mask::rwx other::---
const ACL: &[u8] = &[
    2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 5, 0, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16,
    0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];

#[test]
fn every_kind_with_every_attribute() {
    if !require_root("owners and devices") {
        return;
    }
    let mut fifo = entry("fifo", Kind::Fifo, 0o620);
    fifo.gid = 5;
    let mut block = entry("block", Kind::BlockDevice, 0o660);
    (block.devmajor, block.devminor) = (8, 1);
    let mut link = entry("link", Kind::Symlink, 0o777);
    (link.link, link.uid) = (b"nowhere/at all".to_vec(), 9);
    let layer = Builder::new()
        .dir_with("sticky/", |e| (e.mode, e.uid, e.gid) = (0o1705, 1, 2))
        .dir_with("setgid/", |e| (e.mode, e.gid) = (0o2755, 44))
        .file("setgid/inherits-nothing", "x")
        .dir("setgid/sub")
        .file_with("setuid", "x", |e| (e.mode, e.uid, e.gid) = (0o4222, 3, 4))
        .file_with("far", "x", |e| (e.uid, e.gid) = (3_000_000_000, 3_000_000_001))
        .file_with("old", "", |e| (e.mtime.secs, e.mtime.nanos) = (-5, 250))
        .file_with("cap", "x", |e| (e.uid, e.xattrs) = (7, vec![xattr("security.capability", CAPABILITY)]))
        .file_with("acl", "x", |e| (e.mode, e.xattrs) = (0o770, vec![xattr("system.posix_acl_access", ACL)]))
        .file_with("user", "x", |e| e.xattrs = vec![xattr("user.a", b"\x00\xff"), xattr("user.empty", b"")])
        .entry(fifo, b"")
        .entry(block, b"")
        .entry(link, b"")
        .char_device("char", 1, 3)
        .hardlink("setuid-too", "setuid")
        .hardlink("link-too", "link")
        .file(b"\xff\xfe", "raw name")
        .file(vec![b'n'; 255], "long name")
        .build();
    let dump = same_tree(&[layer]);
    let t = "1000000000.123456789";
    for expected in [
        format!("\"sticky\" Dir 1705 1:2 {t}"),
        format!("\"setgid\" Dir 2755 0:44 {t}"),
        format!("\"setgid/inherits-nothing\" File 0644 0:0 {t} 1 bytes 2d711642b726b044"),
        format!("\"setgid/sub\" Dir 0755 0:0 {t}"),
        format!("\"setuid\" File 4222 3:4 {t} 1 bytes 2d711642b726b044 = \"setuid\""),
        format!("\"setuid-too\" File 4222 3:4 {t} 1 bytes 2d711642b726b044 = \"setuid\""),
        format!("\"far\" File 0644 3000000000:3000000001 {t} 1 bytes 2d711642b726b044"),
        "\"old\" File 0644 0:0 -5.000000250 0 bytes e3b0c44298fc1c14".to_owned(),
        format!("\"fifo\" Fifo 0620 0:5 {t}"),
        format!("\"block\" BlockDevice 0660 0:0 {t} 8:1"),
        format!("\"char\" CharDevice 0640 0:0 {t} 1:3"),
        format!("\"link\" Symlink 0777 9:0 {t} -> \"nowhere/at all\" = \"link\""),
        format!("\"link-too\" Symlink 0777 9:0 {t} -> \"nowhere/at all\" = \"link\""),
    ] {
        assert!(dump.contains(&expected), "{expected} is not in\n{dump:#?}");
    }
    for start in ["\"cap\" File 0644 7:0", "\"acl\" File 0770 0:0", "\"user\" File 0644"] {
        assert!(dump.iter().any(|line| line.starts_with(start) && line.contains('=')), "{start}: {dump:#?}");
    }
    assert!(dump.iter().any(|line| line.ends_with("user.a=00ff user.empty=")), "{dump:#?}");
}

#[test]
fn a_default_acl_is_not_handed_on_while_unpacking() {
    if !require_root("ACLs") {
        return;
    }
    let acl = |e: &mut archive::tar::Entry| e.xattrs = vec![xattr("system.posix_acl_default", ACL)];
    let base = Builder::new().dir_with("d/", acl).file("d/f", "").dir("d/sub").build();
    let dump = same_tree(&[base, Builder::new().file("d/g", "").build()]);
    let with: Vec<_> = dump.iter().filter(|line| line.contains("posix_acl")).collect();
    assert_eq!(with.len(), 1, "{dump:#?}");
    assert!(with[0].starts_with("\"d\" Dir"), "{dump:#?}");
}

#[test]
fn attributes_of_overlayfs_are_never_set() {
    let keys = [
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "user.overlay.metacopy",
        "trusted.overlay.origin",
    ];
    let xattrs: Vec<_> = keys.iter().map(|key| xattr(key, b"y")).collect();
    for whiteouts in BOTH {
        let tmp = tempfile::tempdir().unwrap();
        let target = empty(tmp.path(), "t");
        let set = |e: &mut archive::tar::Entry| e.xattrs = xattrs.clone();
        let layer = Builder::new().dir_with("./", set).dir_with("d/", set).file_with("d/f", "", set).build();
        let applied = apply(&target, &layer, whiteouts).unwrap();
        assert!(applied.unsupported_xattrs.is_empty());
        assert!(!tree::dump(&target).concat().contains("overlay"));
    }
}

#[test]
fn an_attribute_that_cannot_be_held_is_counted_or_refused() {
    let tmp = tempfile::tempdir().unwrap();
    // user.* is for regular files and directories only.
    let mut link = entry("link", Kind::Symlink, 0o777);
    (link.link, link.xattrs) = (b"x".to_vec(), vec![xattr("user.a", b"b")]);
    let layer = Builder::new().entry(link, b"").build();
    let applied = apply(&empty(tmp.path(), "a"), &layer, OVERLAY).unwrap();
    assert_eq!(applied.unsupported_xattrs.into_iter().collect::<Vec<_>>(), [("user.a".to_owned(), 1)]);
    let options = ApplyOptions { strict_xattrs: true, ..ApplyOptions::new(OVERLAY) };
    let error = apply_with(&empty(tmp.path(), "b"), &layer, options).unwrap_err();
    assert_eq!(error.to_string(), "layer entry link: extended attribute \"user.a\" cannot be kept here");
}

#[test]
fn an_entry_replaces_what_is_below_it() {
    if !require_root("overlay mounts") {
        return;
    }
    let base = Builder::new()
        .dir_with("dir-to-file/", |e| e.mode = 0o700)
        .file("dir-to-file/in", "")
        .file("file-to-dir", "")
        .symlink("link-to-dir", "elsewhere")
        .dir("elsewhere/")
        .file("file", "long old content")
        .symlink("link-to-file", "file")
        .dir_with("dir/", |e| e.xattrs = vec![xattr("user.old", b"1")])
        .file("dir/kept", "")
        .build();
    let layer = Builder::new()
        .file("dir-to-file", "f")
        .dir("file-to-dir/")
        .file("file-to-dir/in", "")
        .dir("link-to-dir/")
        .file("link-to-dir/in", "")
        .file("file", "new")
        .file("link-to-file", "not through the link")
        .dir_with("dir/", |e| (e.mode, e.uid, e.xattrs) = (0o711, 6, vec![xattr("user.new", b"2")]))
        .build();
    let dump = same_tree(&[base, layer]);
    assert_eq!(
        names(&dump),
        [
            "dir",
            "dir/kept",
            "dir-to-file",
            "elsewhere",
            "file",
            "file-to-dir",
            "file-to-dir/in",
            "link-to-dir",
            "link-to-dir/in",
            "link-to-file"
        ]
    );
    assert_eq!(dump[1], "\"dir\" Dir 0711 6:0 1000000000.123456789 user.new=32");
}

#[test]
fn the_roots_entry_sets_the_root() {
    if !require_root("overlay mounts") {
        return;
    }
    let base = Builder::new().dir_with("./", |e| (e.mode, e.uid) = (0o750, 3)).file("./f", "").build();
    // A later layer without such an entry leaves the root alone.
    let dump = same_tree(&[base, Builder::new().file("g", "").build()]);
    assert_eq!(dump[0], "\".\" Dir 0750 3:0 1000000000.123456789");
    assert_eq!(names(&dump), ["f", "g"]);
}

#[test]
fn parents_without_an_entry() {
    if !require_root("overlay mounts") {
        return;
    }
    let base = Builder::new().dir_with("a/", |e| (e.mode, e.uid, e.gid) = (0o2700, 5, 6)).build();
    let layer = Builder::new().file("a/x", "").file("new/b/y", "").build();
    let dump = same_tree(&[base, layer]);
    let t = "1000000000.123456789";
    assert_eq!(dump[1], format!("\"a\" Dir 2700 5:6 {t}"));
    assert_eq!(dump[2], format!("\"a/x\" File 0644 0:0 {t} 0 bytes e3b0c44298fc1c14"));
    assert_eq!(dump[3], format!("\"new\" Dir 0755 0:0 {t}"));
    assert_eq!(dump[4], format!("\"new/b\" Dir 0755 0:0 {t}"));
}

#[test]
fn a_parent_that_a_lower_layer_has_as_a_link_becomes_a_directory() {
    if !require_root("overlay mounts") {
        return;
    }
    let base =
        Builder::new().dir("usr/").dir("usr/lib/").file("usr/lib/old", "").symlink("lib", "usr/lib").build();
    let dump = same_tree(&[base, Builder::new().file("lib/new", "").build()]);
    assert_eq!(names(&dump), ["lib", "lib/new", "usr", "usr/lib", "usr/lib/old"]);
}

#[test]
fn below_its_own_links_a_layer_writes_where_they_lead() {
    if !require_root("overlay mounts") {
        return;
    }
    let layer = Builder::new()
        .dir("real/")
        .dir("real/d/")
        .symlink("abs", "/real")
        .symlink("up", "../../real")
        .file("abs/a", "1")
        .file("up/d/b", "2")
        .file("abs/implied/c", "3")
        .hardlink("hard", "abs/a")
        .build();
    let dump = same_tree(&[layer]);
    assert_eq!(
        names(&dump),
        ["abs", "hard", "real", "real/a", "real/d", "real/d/b", "real/implied", "real/implied/c", "up"]
    );
    // Where the link leads is the layer's own, whatever a lower one has.
    let base = Builder::new().dir("etc/").build();
    let error = refused(&[base, Builder::new().symlink("s", "/etc").file("s/x", "").build()]);
    assert_eq!(error, "layer entry s/x: the link \"s\" leads to no directory of this layer");
}

#[test]
fn directories_get_their_time_after_their_content() {
    let tmp = tempfile::tempdir().unwrap();
    let target = empty(tmp.path(), "t");
    let mut b = Builder::new();
    for depth in 1..60 {
        let path = vec!["d"; depth].join("/");
        b = b.dir_with(&path, |e| e.mtime.secs = depth as i64).file(format!("{path}/f"), "");
    }
    apply(&target, &b.build(), OVERLAY).unwrap();
    for (depth, dir) in tree::dirs(&target).iter().enumerate().skip(1) {
        assert_eq!(sys::meta::of_path(dir).unwrap().mtime.secs, depth as i64);
    }
}

#[test]
fn sparse_files_stay_sparse() {
    let tmp = tempfile::tempdir().unwrap();
    for (name, whiteouts) in ["a", "b"].into_iter().zip(BOTH) {
        let target = empty(tmp.path(), name);
        let hole = 64 << 20;
        let layer = Builder::new().sparse("s", &[(hole, b"data"), (2 * hole, b"more")], 3 * hole).build();
        let applied = apply(&target, &layer, whiteouts).unwrap();
        let meta = sys::meta::of_path(&target.join("s")).unwrap();
        assert_eq!((meta.size, applied.size), (3 * hole, 3 * hole));
        assert!(meta.allocated < 1 << 20, "{} bytes are allocated", meta.allocated);
        let content = std::fs::File::open(target.join("s")).unwrap();
        let mut found = [0; 6];
        std::os::unix::fs::FileExt::read_exact_at(&content, &mut found, hole - 1).unwrap();
        assert_eq!(&found, b"\0data\0");
    }
}

#[test]
fn sizes_are_dockers() {
    let layer = Builder::new().file("f", "12345").hardlink("g", "f").symlink("s", "abc").dir("d/").build();
    let tmp = tempfile::tempdir().unwrap();
    assert_eq!(apply(&empty(tmp.path(), "o"), &layer, OVERLAY).unwrap().size, 8);
    assert_eq!(sys::tree::size(sys::dir::open_path(&tmp.path().join("o")).unwrap()).unwrap(), 8);
    assert_eq!(apply(&empty(tmp.path(), "v"), &layer, Whiteouts::Delete).unwrap().size, 5);
}

#[test]
fn limits_are_the_callers() {
    let layer = Builder::new().file("f", "12345").file("g", "67890").build();
    let tmp = tempfile::tempdir().unwrap();
    let with = |entries, bytes| ApplyOptions {
        limits: ApplyLimits { entries, bytes },
        ..ApplyOptions::new(OVERLAY)
    };
    for options in [with(1, 100), with(2, 9)] {
        let target = tempfile::tempdir_in(tmp.path()).unwrap();
        let error = apply_with(target.path(), &layer, options).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
    apply_with(&empty(tmp.path(), "fits"), &layer, with(2, 10)).unwrap();
}

#[test]
fn an_applier_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<changeset::Applier>();
}
