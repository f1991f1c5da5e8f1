//! What must hold for every tree.

use archive::tar::{Entry, Kind};
use changeset::changes::upper_changes;
use changeset::diff::{write_tree, write_tree_diff, write_upper};
use changeset::regenerate::regenerate;
use changeset::verify::verify;
use changeset::{Lowers, Whiteouts, XattrSpace};
use proptest::prelude::*;
use testkit::archive::{Builder, entry};
use testkit::{random, require_root, tree};

use crate::regenerate::register;
use crate::support::{FILES, OVERLAY, apply, empty, listing, lowers, lowers_with, mount, root};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() }
}

/// Names that meet often, and lead around.
fn any_path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "a",
        "b",
        "b",
        "c",
        "d",
        ".",
        "..",
        "",
        ".wh.a",
        ".wh.b",
        ".wh.c",
        ".wh..wh..opq",
        ".wh..wh.aufs",
    ]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

/// Entries of an archive, most of which make no sense.
#[derive(Clone)]
struct Entries(Vec<Entry>);

impl Entries {
    fn build(&self) -> Vec<u8> {
        let writable = self.0.iter().filter(|entry| !entry.path.is_empty());
        writable.fold(Builder::new(), |builder, entry| builder.entry(entry.clone(), b"")).build()
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let lines = self.0.iter().map(|e| (e.kind, e.uid, text(&e.path), text(&e.link)));
        f.debug_list().entries(lines.map(|line| format!("{line:?}"))).finish()
    }
}

fn any_archive() -> impl Strategy<Value = Entries> {
    let kind = prop::sample::select(vec![
        Kind::Regular,
        Kind::Regular,
        Kind::Directory,
        Kind::Directory,
        Kind::Symlink,
        Kind::HardLink,
        Kind::Fifo,
    ]);
    let target = prop_oneof![any_path(), Just("/".to_owned()), Just("../../victim".to_owned())];
    let one = (any_path(), kind, target, 0..4_u32).prop_map(|(path, kind, target, uid)| {
        let mut one = entry(path.trim_end_matches('/'), kind, 0o750);
        one.uid = uid;
        if matches!(kind, Kind::Symlink | Kind::HardLink) {
            one.link = target.into_bytes();
        }
        one
    });
    prop::collection::vec(one, 0..7).prop_map(Entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..config() })]

    #[test]
    fn any_archive_means_the_same_to_both_kinds_of_driver(
        base in random::tree(),
        archive in any_archive(),
        top in any_archive(),
    ) {
        if !require_root("random archives") {
            return Ok(());
        }
        let tmp = tempfile::tempdir().unwrap();
        let victim = tree::dir(tmp.path(), "victim");
        tree::file(&victim, "a", "a secret");
        let before = tree::dump(&victim);
        let lower = tree::dir(tmp.path(), "lower");
        random::make(&lower, &base);
        let mut layers = vec![Vec::new(), archive.build(), top.build()];
        write_tree(&root(&lower), &mut layers[0]).unwrap();
        let overlay = crate::support::overlay_layers(tmp.path(), &layers);
        let files = crate::support::file_layers(tmp.path(), &layers);
        let whole = crate::support::whole_tree(tmp.path(), &layers);
        prop_assert_eq!(tree::dump(&victim), before);
        match (overlay, files, whole) {
            (Ok(dirs), Ok(files), Ok(whole)) => {
                let merged = mount(tmp.path(), &dirs, None);
                prop_assert_eq!(tree::dump(&merged), tree::dump(&whole));
                prop_assert_eq!(listing(&lowers_with(&files, FILES)), listing(&Lowers::tree(root(&whole))));
            }
            (Err(_), Err(_), Err(_)) => {}
            (overlay, files, whole) => {
                prop_assert!(false, "overlay: {overlay:?}, files: {files:?}, whole tree: {whole:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_tree_comes_out_of_its_archive(steps in random::tree()) {
        if !require_root("random trees") {
            return Ok(());
        }
        let tmp = tempfile::tempdir().unwrap();
        let tree = tree::dir(tmp.path(), "tree");
        random::make(&tree, &steps);
        let mut archive = Vec::new();
        write_tree(&root(&tree), &mut archive).unwrap();
        for (name, whiteouts) in [("o", OVERLAY), ("v", Whiteouts::Delete)] {
            let target = empty(tmp.path(), name);
            let records = register(&target, &archive, whiteouts);
            prop_assert_eq!(&tree::dump(&target)[1..], &tree::dump(&tree)[1..]);
            let mut again = Vec::new();
            regenerate(&records[..], &root(&target), &mut again).unwrap();
            prop_assert!(again == archive);
            prop_assert_eq!(verify(&records[..], &root(&target), true).unwrap(), vec![]);
        }
    }

    #[test]
    fn an_upper_comes_out_of_its_layer(steps in random::upper()) {
        if !require_root("random uppers") {
            return Ok(());
        }
        let tmp = tempfile::tempdir().unwrap();
        let upper = tree::dir(tmp.path(), "upper");
        random::make(&upper, &steps);
        let mut layer = Vec::new();
        let stats = write_upper(&root(&upper), XattrSpace::Trusted, &mut layer).unwrap();
        let target = empty(tmp.path(), "target");
        let applied = apply(&target, &layer, OVERLAY).unwrap();
        prop_assert_eq!(&tree::dump(&target)[1..], &tree::dump(&upper)[1..]);
        prop_assert_eq!(applied.size, stats.size);
        prop_assert_eq!(applied.size, sys::tree::size(root(&target)).unwrap());
        let mut again = Vec::new();
        write_upper(&root(&target), XattrSpace::Trusted, &mut again).unwrap();
        prop_assert!(again == layer);
    }

    #[test]
    fn a_layer_of_files_comes_out_of_its_archive(base in random::tree(), steps in random::upper()) {
        if !require_root("random layers") {
            return Ok(());
        }
        let tmp = tempfile::tempdir().unwrap();
        let (lower, upper) = (tree::dir(tmp.path(), "lower"), tree::dir(tmp.path(), "upper"));
        random::make(&lower, &base);
        random::make(&upper, &steps);
        let mut layer = Vec::new();
        write_upper(&root(&upper), XattrSpace::Trusted, &mut layer).unwrap();
        let target = empty(tmp.path(), "target");
        let applied = apply(&target, &layer, Whiteouts::Files).unwrap();
        prop_assert_eq!(applied.size, sys::tree::size(root(&target)).unwrap());
        let mut again = Vec::new();
        write_upper(&root(&target), FILES, &mut again).unwrap();
        // Marks are sorted by other names, so the order is another one.
        let copy = empty(tmp.path(), "copy");
        apply(&copy, &again, OVERLAY).unwrap();
        prop_assert_eq!(&tree::dump(&copy)[1..], &tree::dump(&upper)[1..]);
        let changes = |dir: &std::path::Path, marks: changeset::Marks| {
            upper_changes(&root(dir), &lowers_with(std::slice::from_ref(&lower), marks), marks).unwrap()
        };
        prop_assert_eq!(changes(&target, FILES), changes(&upper, XattrSpace::Trusted.into()));
    }

    #[test]
    fn both_kinds_of_driver_show_the_same_tree(base in random::tree(), upper in random::upper()) {
        if !require_root("random layers") {
            return Ok(());
        }
        let tmp = tempfile::tempdir().unwrap();
        let (lower, top) = (tree::dir(tmp.path(), "lower"), tree::dir(tmp.path(), "top"));
        random::make(&lower, &base);
        random::make(&top, &upper);
        let mut layers = [Vec::new(), Vec::new()];
        write_tree(&root(&lower), &mut layers[0]).unwrap();
        write_upper(&root(&top), XattrSpace::Trusted, &mut layers[1]).unwrap();
        crate::support::same_tree(&layers);
    }

    #[test]
    fn the_difference_of_two_trees_turns_one_into_the_other(old in random::tree(), new in random::tree()) {
        if !require_root("random trees") {
            return Ok(());
        }
        let tmp = tempfile::tempdir().unwrap();
        let (before, after) = (tree::dir(tmp.path(), "before"), tree::dir(tmp.path(), "after"));
        random::make(&before, &old);
        random::make(&after, &new);
        let mut layer = Vec::new();
        write_tree_diff(&root(&after), root(&before), &mut layer).unwrap();
        apply(&before, &layer, Whiteouts::Delete).unwrap();
        let listing = |path| tree::dump_without(path, tree::Without { dir_times: true, ..Default::default() });
        // Links between a changed and an unchanged file are not part of a difference, nor are attributes alone.
        let comparable = |path| -> Vec<String> {
            listing(path).into_iter().skip(1).map(|line| line.split(" = ").next().unwrap().to_owned())
                .map(|line| line.split(" user.").next().unwrap().split(" trusted.").next().unwrap().to_owned())
                .collect()
        };
        prop_assert_eq!(comparable(&before), comparable(&after));
    }

    #[test]
    fn an_upper_says_what_two_trees_say(base in random::tree(), upper in random::upper()) {
        if !require_root("random uppers") {
            return Ok(());
        }
        let tmp = tempfile::tempdir().unwrap();
        let (lower, top) = (tree::dir(tmp.path(), "lower"), tree::dir(tmp.path(), "top"));
        random::make(&lower, &base);
        random::make(&top, &upper);
        let merged = mount(tmp.path(), &[top.clone(), lower.clone()], None);
        let of_upper =
            changeset::changes::upper_changes(&root(&top), &lowers(std::slice::from_ref(&lower)), XattrSpace::Trusted)
                .unwrap();
        let of_trees = changeset::changes::tree_changes(&root(&merged), root(&lower)).unwrap();
        prop_assert_eq!(of_upper, of_trees);
    }
}
