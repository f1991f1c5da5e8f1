//! Inode numbers, devices and link counts: rules 42 to 47.

use std::fs;
use std::os::unix::fs::MetadataExt;

use testkit::tree::{dir, file};

use crate::files::{append, chmod, read, stat};
use crate::stage::{ours, rule};

#[test]
fn an_inode_number_survives_copy_up_and_remount() {
    rule(|s| {
        file(&s.lower(2), "d/f", "2");
        file(&s.lower(1), "d/g", "1");
        s.mount();
        let all = ["d", "d/f", "d/g"];
        let before = all.map(|name| stat(s.at(name)).ino());
        append(s.at("d/f"), "x");
        chmod(s.at("d/g"), 0o600);
        chmod(s.at("d"), 0o700);
        assert_eq!(all.map(|name| stat(s.at(name)).ino()), before);
        if s.knows_origins() {
            s.remount();
            assert_eq!(all.map(|name| stat(s.at(name)).ino()), before);
        }
    });
}

#[test]
fn everything_is_on_one_device_with_numbers_of_its_own() {
    rule(|s| {
        file(&s.lower(2), "a", "2");
        file(&s.lower(1), "b", "1");
        file(&s.upper(""), "c", "u");
        dir(&s.lower(2), "d");
        s.mount();
        let root = stat(s.at(""));
        let mut numbers = vec![root.ino()];
        for name in ["a", "b", "c", "d"] {
            assert_eq!(stat(s.at(name)).dev(), root.dev(), "{name}");
            numbers.push(stat(s.at(name)).ino());
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 5);
    });
}

#[test]
fn a_link_to_a_file_of_a_lower_layer_counts_two() {
    rule(|s| {
        file(&s.lower(2), "low", "2");
        s.mount();
        if !s.knows_origins() {
            return;
        }
        fs::hard_link(s.at("low"), s.at("second")).unwrap();
        append(s.at("second"), "x");
        for _ in 0..2 {
            let (low, second) = (stat(s.at("low")), stat(s.at("second")));
            assert_eq!((low.nlink(), second.nlink()), (2, 2));
            assert_eq!(low.ino(), second.ino());
            assert_eq!(read(s.at("low")), "2x");
            s.remount();
        }
        fs::remove_file(s.at("low")).unwrap();
        assert_eq!(stat(s.at("second")).nlink(), 1);
    });
}

#[test]
fn the_links_of_a_new_directory_are_its_directories() {
    rule(|s| {
        dir(&s.lower(2), "merged/low");
        s.mount();
        fs::create_dir_all(s.at("new/one")).unwrap();
        fs::create_dir(s.at("new/two")).unwrap();
        assert_eq!(stat(s.at("new")).nlink(), 4);
        fs::remove_dir(s.at("new/two")).unwrap();
        assert_eq!(stat(s.at("new")).nlink(), 3);
        // 1 says that nobody knows; find(1) then looks for itself.
        fs::create_dir(s.at("merged/new")).unwrap();
        assert!([1, 4].contains(&stat(s.at("merged")).nlink()));
    });
}

/// A file found through the index had the number of its copy, unless its directory held other copies.
#[test]
fn a_link_that_was_not_copied_up_keeps_its_inode_number() {
    ours(|s| {
        file(&s.lower(2), "a", "2");
        dir(&s.lower(2), "d");
        fs::hard_link(s.lower(2).join("a"), s.lower(2).join("d/b")).unwrap();
        s.mount();
        let before = stat(s.at("d/b")).ino();
        append(s.at("a"), "x");
        s.remount();
        assert_eq!([stat(s.at("d/b")).ino(), stat(s.at("a")).ino()], [before; 2]);
    });
}
