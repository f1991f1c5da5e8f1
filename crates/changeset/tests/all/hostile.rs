//! Archives that try to reach out of the layer. Each test looks at a victim beside it: nothing there may change, and
//! nothing of it may come in.

use std::path::PathBuf;

use archive::tar::Kind;
use testkit::archive::{Builder, entry};
use testkit::tree;

use crate::support::{BOTH, apply, empty, refused};

/// What came of an archive next to a victim that it tried to reach.
struct Outcome {
    target: PathBuf,
    result: Result<(), String>,
    _tmp: tempfile::TempDir,
}

/// Applies the archive that `build` makes for the path of the victim, both ways, and checks the victim.
fn attack(build: impl Fn(&str) -> Builder) -> Vec<Outcome> {
    BOTH.map(|whiteouts| {
        let tmp = tempfile::tempdir().unwrap();
        let victim = tree::dir(tmp.path(), "victim");
        tree::file(&victim, "secret", "a secret");
        tree::dir(&victim, "dir");
        tree::settle_times(&victim);
        let before = tree::dump(&victim);
        let target = empty(tmp.path(), "target");
        let archive = build(victim.to_str().unwrap()).build();
        let result = apply(&target, &archive, whiteouts).map(drop).map_err(|e| e.to_string());
        assert_eq!(tree::dump(&victim), before, "the victim was changed");
        for line in tree::dump(&target) {
            // The hash of "a secret".
            assert!(!line.contains("8 bytes"), "the victim was read: {line}");
        }
        Outcome { target, result, _tmp: tmp }
    })
    .into()
}

fn is_contained(build: impl Fn(&str) -> Builder, inside: &str) {
    for outcome in attack(build) {
        assert_eq!(outcome.result, Ok(()));
        assert!(outcome.target.join(inside).symlink_metadata().is_ok(), "{inside} is missing");
    }
}

fn is_refused(build: impl Fn(&str) -> Builder, message: &str) {
    for outcome in attack(build) {
        let error = outcome.result.expect_err("was taken");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn dots_and_absolute_paths_stay_inside() {
    is_contained(|_| Builder::new().file("../victim/secret", "x"), "victim/secret");
    is_contained(|_| Builder::new().file("/../victim/secret", "x"), "victim/secret");
    is_contained(|_| Builder::new().file("a/../../victim/secret", "x"), "victim/secret");
    is_contained(|victim| Builder::new().file(format!("{victim}/new"), "x"), "tmp");
    is_contained(|_| Builder::new().dir("../victim").dir("../victim/dir"), "victim/dir");
    is_contained(|_| Builder::new().symlink("../victim/secret", "x"), "victim/secret");
    is_contained(|_| Builder::new().file("../victim/.wh.secret", "").file("x", ""), "x");
}

#[test]
fn links_out_are_not_written_through() {
    let leads_nowhere = "leads to no directory of this layer";
    is_refused(|victim| Builder::new().symlink("s", victim).file("s/new", "x"), leads_nowhere);
    is_refused(|_| Builder::new().symlink("s", "../victim").file("s/new", "x"), leads_nowhere);
    is_refused(|_| Builder::new().symlink("s", "../victim").dir("s/dir/"), leads_nowhere);
    is_refused(|_| Builder::new().symlink("s", "../victim").file("s/.wh.secret", ""), leads_nowhere);
    is_refused(|_| Builder::new().symlink("s", "../victim").file("s/.wh..wh..opq", ""), leads_nowhere);
    is_refused(|_| Builder::new().symlink("s", "../victim").symlink("s/l", "x"), leads_nowhere);
    // Above the root there is only the root.
    is_contained(
        |_| Builder::new().symlink("a", "b").symlink("b", "..").file("a/victim/new", "x"),
        "victim/new",
    );
}

#[test]
fn links_to_the_process_file_system_lead_nowhere() {
    is_refused(|_| Builder::new().symlink("s", "/proc/self/root").file("s/x", ""), "leads to no directory");
    is_refused(|_| Builder::new().symlink("s", "/proc/self/cwd").file("s/x", ""), "leads to no directory");
}

#[test]
fn links_in_a_circle_end() {
    is_refused(
        |_| Builder::new().symlink("a", "b").symlink("b", "a").file("a/x", ""),
        "leads to no directory",
    );
    is_refused(|_| Builder::new().symlink("a", "a").file("a/x", ""), "leads to no directory");
}

#[test]
fn a_link_is_replaced_not_followed() {
    // Over a link of a lower layer; of the same layer it is a duplicate.
    for whiteouts in BOTH {
        let tmp = tempfile::tempdir().unwrap();
        tree::file(tmp.path(), "secret", "a secret");
        let target = empty(tmp.path(), "target");
        tree::symlink(&target, "s", "../secret");
        tree::symlink(&target, "d", "..");
        let layer = Builder::new().file_with("s", "x", |e| e.mode = 0o666).dir_with("d/", |e| e.mode = 0o777);
        apply(&target, &layer.file("d/secret", "y").build(), whiteouts).unwrap();
        assert_eq!(std::fs::read(tmp.path().join("secret")).unwrap(), b"a secret");
        assert_eq!(std::fs::read(target.join("s")).unwrap(), b"x");
        assert_eq!(std::fs::read(target.join("d/secret")).unwrap(), b"y");
    }
}

#[test]
fn modes_and_owners_are_not_set_through_links() {
    let open = |e: &mut archive::tar::Entry| (e.mode, e.uid) = (0o777, 1000);
    is_refused(|victim| Builder::new().symlink("s", victim).dir_with("s/", open), "has this path already");
    is_refused(|victim| Builder::new().symlink("s", victim).dir_with("s/.", open), "has this path already");
    is_contained(|_| Builder::new().symlink("s", "..").dir_with("s/victim", open), "victim");
}

#[test]
fn hard_links_do_not_lead_out() {
    let outside = "which is outside of the layer";
    is_refused(|_| Builder::new().hardlink("h", "../victim/secret"), outside);
    is_refused(|_| Builder::new().hardlink("h", "/../victim/secret"), outside);
    is_refused(|_| Builder::new().hardlink("h", "a/../../victim/secret"), outside);
    is_refused(|_| Builder::new().hardlink("h", "."), outside);
    let link = |victim: &str| Builder::new().symlink("s", victim).hardlink("h", "s/secret");
    is_refused(link, "leads to no directory of this layer");
    let link = |victim: &str| Builder::new().symlink("s", format!("{victim}/secret")).hardlink("h", "s");
    is_contained(link, "h");
    for outcome in attack(|victim| Builder::new().symlink("s", format!("{victim}/secret")).hardlink("h", "s"))
    {
        assert!(outcome.target.join("h").symlink_metadata().unwrap().is_symlink(), "the link was followed");
    }
}

#[test]
fn a_file_that_is_linked_out_is_not_written() {
    // The link's name is taken: writing to it again would write to what it leads to.
    let again = "the layer has this path already";
    is_refused(|victim| Builder::new().symlink("s", format!("{victim}/secret")).file("./s", "x"), again);
    is_refused(|victim| Builder::new().symlink("s", format!("{victim}/secret")).file("../s", "x"), again);
}

#[test]
fn hard_links_to_what_is_no_earlier_file_are_refused() {
    for (layer, message) in [
        (Builder::new().hardlink("h", "later").file("later", ""), "comes later in the archive"),
        (Builder::new().dir("d/").hardlink("h", "d"), "is a directory"),
        (Builder::new().file("d/x", "").hardlink("h", "d"), "is a directory"),
        (Builder::new().hardlink("h", "h"), "comes later in the archive"),
        (Builder::new().hardlink("h", "nothing"), "neither in this layer nor in a lower one"),
        (Builder::new().hardlink("h", "no/thing"), "neither in this layer nor in a lower one"),
        (
            Builder::new().file(".wh.gone", "").hardlink("h", "gone"),
            "neither in this layer nor in a lower one",
        ),
        (
            Builder::new().file(".wh.gone", "").hardlink("h", ".wh.gone"),
            "neither in this layer nor in a lower one",
        ),
        (
            Builder::new().file("d/.wh..wh..opq", "").hardlink("h", "d/.wh..wh..opq"),
            "neither in this layer nor in a lower one",
        ),
    ] {
        let error = refused(&[layer.build()]);
        assert!(error.starts_with("layer entry h: ") && error.contains(message), "{error}");
    }
}

#[test]
fn duplicate_entries_are_refused() {
    for layer in [
        Builder::new().file("a", "1").file("a", "2"),
        Builder::new().file("a", "1").file("./a", "2"),
        Builder::new().file("a", "1").file("../a", "2"),
        Builder::new().dir("a/").dir("a/"),
        Builder::new().dir("a/").file("a", ""),
        Builder::new().file("a/b", "").file("a", ""),
        Builder::new().file("a", "").dir("a/"),
        Builder::new().dir("./").dir("/"),
        Builder::new().dir("d/").symlink("s", "d").file("d/x", "1").file("s/x", "2"),
        Builder::new().file("a", "").hardlink("b", "a").hardlink("b", "a"),
    ] {
        let error = refused(&[layer.build()]);
        assert!(error.ends_with("the layer has this path already"), "{error}");
    }
}

#[test]
fn a_file_is_no_parent() {
    let error = refused(&[Builder::new().file("a", "").file("a/b", "").build()]);
    assert_eq!(error, "layer entry a/b: \"a\" is not a directory");
    let error = refused(&[Builder::new().char_device("a", 1, 3).file("a/b/c", "").build()]);
    assert_eq!(error, "layer entry a/b/c: \"a\" is not a directory");
}

#[test]
fn types_that_layers_do_not_have_are_refused() {
    for kind in [Kind::Contiguous, Kind::Other(b'Z')] {
        let error = refused(&[Builder::new().entry(entry("x", kind, 0o644), b"").build()]);
        assert!(error.contains("unsupported type of entry"), "{error}");
    }
    for layer in [Builder::new().symlink(".", "x"), Builder::new().file("a/..", "")] {
        let error = refused(&[layer.build()]);
        assert!(error.contains("the root of a layer can only be a directory"), "{error}");
    }
}

#[test]
fn overlong_and_impossible_names_are_refused() {
    let error = refused(&[Builder::new().file(vec!["d"; 2100].join("/"), "").build()]);
    assert!(error.contains("the path is longer than 4095 bytes"), "{error}");
    for whiteouts in BOTH {
        let tmp = tempfile::tempdir().unwrap();
        let long = Builder::new().file("n".repeat(256), "").build();
        let error = apply(&empty(tmp.path(), "t"), &long, whiteouts).unwrap_err().to_string();
        assert!(error.contains("name too long"), "{error}");
    }
}

#[test]
fn a_deep_tree_holds_few_directories_open() {
    let tmp = tempfile::tempdir().unwrap();
    let mut layer = Builder::new();
    for depth in 1..=2000 {
        layer = layer.dir(vec!["d"; depth].join("/"));
    }
    let applied = apply(&empty(tmp.path(), "t"), &layer.build(), crate::support::OVERLAY).unwrap();
    assert_eq!(applied.entries, 2000);
    sys::tree::remove(sys::dir::open_path(tmp.path()).unwrap(), "t".as_ref()).unwrap();
}

#[test]
fn a_global_header_makes_nothing() {
    let mut global = entry("pax_global_header", Kind::GlobalHeader, 0o644);
    global.pax = vec![(b"comment".to_vec(), b"x".to_vec())];
    for whiteouts in BOTH {
        let tmp = tempfile::tempdir().unwrap();
        let target = empty(tmp.path(), "t");
        apply(&target, &Builder::new().entry(global.clone(), b"").build(), whiteouts).unwrap();
        assert_eq!(tree::dump(&target).len(), 1);
    }
}
