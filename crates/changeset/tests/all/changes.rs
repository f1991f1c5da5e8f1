//! `docker diff`, from an upper directory and from two trees.

use std::path::Path;

use changeset::changes::{tree_changes, upper_changes};
use changeset::{Change, Error, Lowers, XattrSpace};
use testkit::archive::Builder;
use testkit::{require_root, tree};

use crate::support::{empty, lowers, mount, overlay_layers, root};

fn shown(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| format!("{} {}", change.kind, change.path.display())).collect()
}

/// Does `work` in a container on these layers; returns what its upper says, and what two whole trees say.
fn of_container(layers: &[Vec<u8>], work: impl Fn(&Path)) -> Vec<String> {
    let tmp = tempfile::tempdir().unwrap();
    let dirs = overlay_layers(tmp.path(), layers).unwrap();
    let upper = empty(tmp.path(), "upper");
    let before = tempfile::tempdir().unwrap();
    let merged = mount(tmp.path(), &dirs, Some(&upper));
    copy(&merged, before.path());
    work(&merged);
    let of_upper = shown(&upper_changes(&root(&upper), &lowers(&dirs), XattrSpace::Trusted).unwrap());
    let of_trees = shown(&tree_changes(&root(&merged), root(before.path())).unwrap());
    assert_eq!(of_upper, of_trees, "the upper (left) and whole trees (right) differ");
    of_upper
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success());
}

fn base() -> Vec<Vec<u8>> {
    let lower = Builder::new()
        .dir("d/")
        .file("d/a", "a")
        .file("d/b", "b")
        .dir("d/sub/")
        .file("d/sub/x", "x")
        .dir("other/")
        .file("other/f", "f")
        .file("file", "content")
        .symlink("link", "file")
        .build();
    let upper = Builder::new().file("d/c", "c").file("d/.wh.b", "").build();
    vec![lower, upper]
}

fn sh(script: &'static str) -> impl Fn(&Path) {
    move |dir| {
        let output =
            std::process::Command::new("sh").args(["-ec", script]).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn additions_changes_and_deletions() {
    if !require_root("overlay mounts") {
        return;
    }
    let changes = of_container(
        &base(),
        sh("echo more >>d/a; rm d/c; rm -r other; echo n >new; mkdir -p n/m; touch n/m/f"),
    );
    assert_eq!(changes, ["C /d", "C /d/a", "D /d/c", "A /n", "A /n/m", "A /n/m/f", "A /new", "D /other"]);
}

#[test]
fn an_untouched_container_has_none() {
    if !require_root("overlay mounts") {
        return;
    }
    assert!(of_container(&base(), |_| {}).is_empty());
}

#[test]
fn a_copy_up_without_a_change_is_none() {
    if !require_root("overlay mounts") {
        return;
    }
    assert!(of_container(&base(), sh("chown 0:0 d/a d/sub; chmod 0644 d/a; chmod 0755 d")).is_empty());
}

#[test]
fn a_changed_directory_is_shown_without_its_content() {
    if !require_root("overlay mounts") {
        return;
    }
    assert_eq!(of_container(&base(), sh("chmod 0700 d/sub")), ["C /d", "C /d/sub"]);
    assert_eq!(of_container(&base(), sh("chown 5 d")), ["C /d"]);
}

#[test]
fn a_directory_made_anew_shows_what_it_lost() {
    if !require_root("overlay mounts") {
        return;
    }
    let changes = of_container(&base(), sh("rm -r d; mkdir d d/sub; echo new >d/sub/y"));
    assert_eq!(changes, ["C /d", "D /d/a", "D /d/c", "C /d/sub", "D /d/sub/x", "A /d/sub/y"]);
}

#[test]
fn kinds_that_replace_each_other() {
    if !require_root("overlay mounts") {
        return;
    }
    assert_eq!(of_container(&base(), sh("rm -r d; echo f >d")), ["C /d"]);
    assert_eq!(of_container(&base(), sh("rm file; mkdir file; touch file/in")), ["C /file", "A /file/in"]);
    assert_eq!(
        of_container(&base(), sh("rm link; ln -s d link; rm file; mkfifo file")),
        ["C /file", "C /link"]
    );
}

#[test]
fn a_capability_counts_and_another_attribute_does_not() {
    if !require_root("overlay mounts") {
        return;
    }
    let set = |key: &'static str, value: &'static [u8]| {
        move |dir: &Path| tree::set_xattr(&dir.join("file"), key, value)
    };
    let capability = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(of_container(&base(), set("security.capability", capability)), ["C /file"]);
    assert!(of_container(&base(), set("user.a", b"b")).is_empty());
}

#[test]
fn times_of_whole_seconds_match_any_fraction() {
    let tmp = tempfile::tempdir().unwrap();
    for (name, nanos) in [("old", 5), ("same", 0), ("other", 6)] {
        let dir = tree::dir(tmp.path(), name);
        tree::file(&dir, "f", "x");
        let time = sys::Time { secs: 1000, nanos };
        sys::meta::set_times(sys::dir::open_path(&dir).unwrap(), "f".as_ref(), time, time).unwrap();
    }
    let of = |name: &str| {
        shown(&tree_changes(&root(&tmp.path().join(name)), root(&tmp.path().join("old"))).unwrap())
    };
    assert!(of("same").is_empty());
    assert_eq!(of("other"), ["C /f"]);
}

#[test]
fn an_upper_without_lowers_is_all_new() {
    let tmp = tempfile::tempdir().unwrap();
    let upper = tree::dir(tmp.path(), "upper");
    tree::file(&upper, "a/b", "");
    let changes = upper_changes(&root(&upper), &Lowers::default(), XattrSpace::Trusted).unwrap();
    assert_eq!(shown(&changes), ["A /a", "A /a/b"]);
}

#[test]
fn links_in_the_upper_or_below_are_not_followed() {
    let tmp = tempfile::tempdir().unwrap();
    tree::file(tmp.path(), "outside/f", "");
    let (upper, lower) = (tree::dir(tmp.path(), "upper"), tree::dir(tmp.path(), "lower"));
    tree::symlink(&lower, "d", "../outside");
    tree::file(&upper, "d/f", "");
    let changes =
        upper_changes(&root(&upper), &lowers(std::slice::from_ref(&lower)), XattrSpace::Trusted).unwrap();
    assert_eq!(shown(&changes), ["C /d", "A /d/f"]);
    assert_eq!(lowers(&[lower]).lookup(Path::new("d/f")).unwrap(), None);
}

#[test]
fn a_redirected_directory_is_refused() {
    if !require_root("trusted attributes") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    tree::set_xattr(&tree::dir(tmp.path(), "d"), "trusted.overlay.redirect", b"/e");
    let changes = upper_changes(&root(tmp.path()), &Lowers::default(), XattrSpace::Trusted);
    assert!(matches!(changes, Err(Error::NeedsMergedView { .. })));
    let written = changeset::diff::write_upper(&root(tmp.path()), XattrSpace::Trusted, &mut Vec::new());
    assert!(matches!(written, Err(Error::NeedsMergedView { .. })));
}
