//! Whiteouts and opaque directories: rules 8 to 18.

use std::fs;

use rustix::fs::FileType;
use rustix::io::Errno;
use testkit::tree::{dir, file};

use crate::files::{exists, is_whiteout, mknod, names, read, set_xattr, whiteout, xattr};
use crate::stage::{ours, rule};

#[test]
fn a_whiteout_hides_the_name_and_itself() {
    rule(|s| {
        file(&s.lower(2), "d/gone", "2");
        file(&s.lower(2), "d/kept", "2");
        dir(&s.lower(1), "d");
        whiteout(s.lower(1).join("d/gone"));
        whiteout(s.lower(1).join("nothing-below"));
        s.mount();
        assert_eq!(names(s.at("")), ["d"]);
        assert_eq!(names(s.at("d")), ["kept"]);
        assert!(!exists(s.at("d/gone")));
        fs::write(s.at("d/gone"), "again").unwrap();
        assert_eq!(names(s.at("d")), ["gone", "kept"]);
    });
}

#[test]
fn an_empty_file_with_the_attribute_is_a_whiteout_in_a_directory_that_is_marked_x() {
    rule(|s| {
        for directory in ["marked", "unmarked"] {
            file(&s.lower(2), &format!("{directory}/name"), "2");
            file(&s.lower(1), &format!("{directory}/name"), "");
            set_xattr(s.lower(1).join(directory).join("name"), &format!("{}whiteout", s.prefix()), b"");
        }
        set_xattr(s.lower(1).join("marked"), &format!("{}opaque", s.prefix()), b"x");
        s.mount();
        assert!(!exists(s.at("marked/name")));
        assert_eq!(names(s.at("marked")), [""; 0]);
        // Nobody is asked to look for it here; what the lookup says without the mark is the kernel's own affair.
        assert_eq!(names(s.at("unmarked")), ["name"]);
    });
}

#[test]
fn an_opaque_directory_hides_what_is_below() {
    rule(|s| {
        file(&s.lower(2), "d/low", "2");
        file(&s.lower(1), "d/high", "1");
        set_xattr(s.lower(1).join("d"), &format!("{}opaque", s.prefix()), b"y");
        s.mount();
        assert_eq!(names(s.at("d")), ["high"]);
        assert!(!exists(s.at("d/low")));
    });
}

#[test]
fn only_the_own_prefix_marks() {
    rule(|s| {
        if !s.has("trusted.overlay. beside user.overlay.") {
            return;
        }
        file(&s.lower(2), "d/low", "2");
        dir(&s.lower(1), "d");
        set_xattr(s.lower(1).join("d"), "user.overlay.opaque", b"y");
        s.mount();
        assert_eq!(names(s.at("d")), ["low"]);
    });
}

#[test]
fn aufs_names_are_deletions() {
    ours(|s| {
        for name in ["d/gone", "d/kept", "o/low"] {
            file(&s.lower(2), name, "2");
        }
        file(&s.lower(1), "d/.wh.gone", "");
        file(&s.lower(1), "o/.wh..wh..opq", "");
        file(&s.lower(1), "o/high", "");
        s.mount();
        assert_eq!(names(s.at("d")), ["kept"]);
        assert_eq!(names(s.at("o")), ["high"]);
        assert!(!exists(s.at("d/gone")) && !exists(s.at("o/low")));
        fs::write(s.at("d/gone"), "again").unwrap();
        assert_eq!(read(s.at("d/gone")), "again");
    });
}

#[test]
fn no_whiteout_is_left_where_no_lower_layer_has_the_name() {
    rule(|s| {
        file(&s.lower(2), "d/low", "2");
        s.mount();
        fs::write(s.at("d/new"), "").unwrap();
        fs::remove_file(s.at("d/new")).unwrap();
        assert_eq!(names(s.upper("d")), [""; 0]);
        fs::remove_file(s.at("d/low")).unwrap();
        assert!(is_whiteout(s.upper("d/low")));
        // In an opaque directory nothing is hidden one by one.
        fs::remove_dir(s.at("d")).unwrap();
        fs::create_dir(s.at("d")).unwrap();
        fs::write(s.at("d/low"), "").unwrap();
        fs::remove_file(s.at("d/low")).unwrap();
        assert_eq!(names(s.upper("d")), [""; 0]);
    });
}

#[test]
fn a_directory_made_again_is_opaque() {
    rule(|s| {
        file(&s.lower(2), "d/sub/low", "2");
        s.mount();
        fs::remove_dir_all(s.at("d")).unwrap();
        assert!(is_whiteout(s.upper("d")));
        fs::create_dir(s.at("d")).unwrap();
        assert_eq!(xattr(s.upper("d"), &format!("{}opaque", s.prefix())).as_deref(), Some(&b"y"[..]));
        s.remount();
        assert_eq!(names(s.at("d")), [""; 0]);
    });
}

#[test]
fn a_directory_moved_onto_a_lower_one_is_opaque() {
    rule(|s| {
        file(&s.lower(2), "m/sub/low", "2");
        s.mount();
        // The name of the whiteout, and a new name below a merged directory.
        fs::remove_dir_all(s.at("m/sub")).unwrap();
        fs::create_dir(s.at("new")).unwrap();
        fs::write(s.at("new/own"), "").unwrap();
        fs::rename(s.at("new"), s.at("m/sub")).unwrap();
        assert_eq!(names(s.at("m/sub")), ["own"]);
        s.remount();
        assert_eq!(names(s.at("m/sub")), ["own"]);
    });
}

#[test]
fn a_merged_directory_that_shows_nothing_can_be_removed() {
    rule(|s| {
        file(&s.lower(2), "d/low", "2");
        s.mount();
        fs::write(s.at("d/new"), "").unwrap();
        fs::remove_file(s.at("d/low")).unwrap();
        assert_eq!(fs::remove_dir(s.at("d")).unwrap_err().kind(), std::io::ErrorKind::DirectoryNotEmpty);
        fs::remove_file(s.at("d/new")).unwrap();
        fs::remove_dir(s.at("d")).unwrap();
        assert!(is_whiteout(s.upper("d")));
        s.remount();
        assert_eq!(names(s.at("")), [""; 0]);
    });
}

#[test]
fn nobody_makes_a_whiteout_through_the_union() {
    rule(|s| {
        s.mount();
        assert_eq!(mknod(s.at("w"), FileType::CharacterDevice, 0), Err(Errno::PERM));
        assert_eq!(names(s.upper("")), [""; 0]);
    });
}
