//! What must hold for every tree.

use changeset::diff::{write_tree, write_tree_diff, write_upper};
use changeset::regenerate::regenerate;
use changeset::verify::verify;
use changeset::{Whiteouts, XattrSpace};
use proptest::prelude::*;
use testkit::{random, require_root, tree};

use crate::regenerate::register;
use crate::support::{OVERLAY, apply, empty, lowers, mount, root};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() }
}

/// Runs a property in a mount namespace of its own, if this is root.
fn as_root(what: &str) -> bool {
    require_root(what)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_tree_comes_out_of_its_archive(steps in random::tree()) {
        if !as_root("random trees") {
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
        if !as_root("random uppers") {
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
    fn both_kinds_of_driver_show_the_same_tree(base in random::tree(), upper in random::upper()) {
        if !as_root("random layers") {
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
        if !as_root("random trees") {
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
        if !as_root("random uppers") {
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
