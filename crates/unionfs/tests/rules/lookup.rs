//! Lookup and merge: rules 1 to 7.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use testkit::tree::{dir, file};

use crate::files::{append, chmod, errno, exists, mode, names, read, set_times, stat, whiteout};
use crate::stage::rule;

#[test]
fn a_name_is_that_of_the_topmost_layer() {
    rule(|s| {
        file(&s.lower(2), "both", "below");
        file(&s.lower(1), "both", "above");
        file(&s.lower(2), "one", "below");
        file(&s.lower(2), "kind/file", "below");
        file(&s.lower(1), "kind", "a file hides a directory");
        s.mount();
        assert_eq!(read(s.at("both")), "above");
        assert_eq!(read(s.at("one")), "below");
        assert_eq!(read(s.at("kind")), "a file hides a directory");
        assert_eq!(names(s.at("")), ["both", "kind", "one"]);
    });
}

#[test]
fn directories_merge_and_layers_without_the_name_are_passed_over() {
    rule(|s| {
        file(&s.lower(2), "d/low", "2");
        file(&s.lower(2), "deep/d/low", "2");
        dir(&s.lower(1), "deep");
        file(&s.upper(""), "deep/d/high", "u");
        file(&s.upper(""), "d/high", "u");
        s.mount();
        assert_eq!(names(s.at("d")), ["high", "low"]);
        assert_eq!(names(s.at("deep/d")), ["high", "low"]);
        assert_eq!(read(s.at("deep/d/low")), "2");
    });
}

#[test]
fn a_file_or_a_whiteout_between_directories_ends_the_merge() {
    rule(|s| {
        file(&s.lower(2), "d/low", "2");
        file(&s.lower(1), "d", "between");
        file(&s.upper(""), "d/high", "u");
        file(&s.lower(2), "w/low", "2");
        whiteout(s.lower(1).join("w"));
        file(&s.upper(""), "w/high", "u");
        s.mount();
        assert_eq!(names(s.at("d")), ["high"]);
        assert_eq!(names(s.at("w")), ["high"]);
        assert!(!exists(s.at("w/low")));
    });
}

#[test]
fn a_merged_directory_has_the_attributes_of_its_topmost_layer() {
    rule(|s| {
        chmod(dir(&s.lower(2), "d"), 0o700);
        chmod(dir(&s.lower(1), "d"), 0o751);
        set_times(s.lower(1).join("d"), 1_000_000, 5);
        s.mount();
        assert_eq!(mode(s.at("d")), 0o751);
        assert_eq!((stat(s.at("d")).mtime(), stat(s.at("d")).mtime_nsec()), (1_000_000, 5));
    });
}

#[test]
fn names_of_255_bytes_work_and_longer_ones_are_too_long() {
    rule(|s| {
        let (long, low) = ("n".repeat(255), "l".repeat(255));
        file(&s.lower(2), &low, "low");
        s.mount();
        fs::write(s.at(&long), "new").unwrap();
        fs::rename(s.at(&long), s.at("short")).unwrap();
        fs::rename(s.at("short"), s.at(&long)).unwrap();
        append(s.at(&low), "er");
        assert_eq!(read(s.at(&low)), "lower");
        fs::remove_file(s.at(&low)).unwrap();
        let all = [long.clone()];
        assert_eq!(names(s.at("")), all);
        assert_eq!(errno(fs::write(s.at(&"n".repeat(256)), "")), Some(Errno::NAMETOOLONG));
        assert_eq!(errno(fs::metadata(s.at(&"n".repeat(256)))), Some(Errno::NAMETOOLONG));
        s.remount();
        assert_eq!(names(s.at("")), all);
    });
}

#[test]
fn links_of_layers_are_followed_in_the_union_not_in_the_layer() {
    rule(|s| {
        file(&s.lower(2), "target/f", "2");
        file(&s.lower(1), "target/g", "1");
        testkit::tree::symlink(&s.lower(2), "link", "target");
        testkit::tree::symlink(&s.lower(2), "up", "../../../../../../../../etc");
        s.mount();
        assert_eq!(names(s.at("link")), ["f", "g"]);
        fs::write(s.at("link/new"), "").unwrap();
        assert_eq!(names(s.upper("target")), ["new"]);
    });
}
