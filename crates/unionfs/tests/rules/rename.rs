//! Rename: rules 32 to 36.

use std::fs;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use testkit::tree::{dir, file};

use crate::files::{errno, exists, is_whiteout, names, read, xattr};
use crate::stage::rule;

#[test]
fn a_file_leaves_a_whiteout_only_where_a_lower_layer_has_it() {
    rule(|s| {
        file(&s.lower(2), "low", "2");
        s.mount();
        fs::write(s.at("new"), "u").unwrap();
        fs::rename(s.at("low"), s.at("moved")).unwrap();
        fs::rename(s.at("new"), s.at("newer")).unwrap();
        assert!(is_whiteout(s.upper("low")));
        for _ in 0..2 {
            assert_eq!(names(s.at("")), ["moved", "newer"]);
            assert_eq!(read(s.at("moved")), "2");
            s.remount();
        }
        assert_eq!(names(s.upper("")), ["low", "moved", "newer"]);
    });
}

#[test]
fn a_directory_of_a_lower_layer_is_on_another_device() {
    rule(|s| {
        file(&s.lower(2), "low/f", "2");
        file(&s.lower(2), "merged/f", "2");
        file(&s.upper(""), "merged/g", "u");
        s.mount();
        for name in ["low", "merged"] {
            assert_eq!(errno(fs::rename(s.at(name), s.at("moved"))), Some(Errno::XDEV), "{name}");
        }
        assert_eq!(names(s.at("")), ["low", "merged"]);
    });
}

#[test]
fn with_redirect_dir_it_is_renamed_and_remembers_where_it_was() {
    rule(|s| {
        // Redirects in `user.` attributes could be forged by anybody who may write a layer: refused by both.
        if !s.has("redirect_dir=on") {
            return;
        }
        file(&s.lower(2), "low/sub/f", "2");
        file(&s.lower(2), "other/f", "2");
        file(&s.lower(1), "low/g", "1");
        s.mount_with("redirect_dir=on");
        fs::rename(s.at("low"), s.at("moved")).unwrap();
        fs::rename(s.at("other"), s.at("moved/in")).unwrap();
        fs::rename(s.at("moved/sub"), s.at("moved/renamed")).unwrap();
        for _ in 0..2 {
            assert_eq!(names(s.at("")), ["moved"]);
            assert_eq!(names(s.at("moved")), ["g", "in", "renamed"]);
            assert_eq!(read(s.at("moved/renamed/f")), "2");
            assert_eq!(names(s.at("moved/in")), ["f"]);
            s.remount();
        }
        let redirect = |path| xattr(s.upper(path), &format!("{}redirect", s.prefix()));
        // In one directory the name is enough.
        assert!([Some(b"low".to_vec()), Some(b"/low".to_vec())].contains(&redirect("moved")));
        assert_eq!(redirect("moved/in").as_deref(), Some(&b"/other"[..]));
        fs::create_dir(s.at("low")).unwrap();
        s.remount();
        assert_eq!(names(s.at("low")), [""; 0]);
    });
}

#[test]
fn a_directory_of_the_upper_alone_is_renamed_with_all_that_is_in_it() {
    rule(|s| {
        file(&s.lower(2), "merged/f", "2");
        s.mount();
        fs::create_dir_all(s.at("new/sub")).unwrap();
        fs::write(s.at("new/sub/f"), "u").unwrap();
        fs::rename(s.at("new"), s.at("merged/new")).unwrap();
        s.remount();
        assert_eq!(read(s.at("merged/new/sub/f")), "u");
        assert_eq!(names(s.at("merged")), ["f", "new"]);
    });
}

#[test]
fn noreplace_exchange_and_whiteout_are_what_they_are_elsewhere() {
    rule(|s| {
        file(&s.lower(2), "a", "a");
        file(&s.lower(2), "b", "b");
        dir(&s.lower(2), "low");
        s.mount();
        let with = |from: &str, to: &str, flags| renameat_with(CWD, s.at(from), CWD, s.at(to), flags);
        assert_eq!(with("a", "b", RenameFlags::NOREPLACE), Err(Errno::EXIST));
        assert_eq!(with("a", "b", RenameFlags::WHITEOUT), Err(Errno::INVAL));
        assert_eq!(with("a", "low", RenameFlags::EXCHANGE), Err(Errno::XDEV));
        assert_eq!(with("a", "none", RenameFlags::EXCHANGE), Err(Errno::NOENT));
        assert_eq!(with("a", "b", RenameFlags::EXCHANGE), Ok(()));
        assert_eq!((read(s.at("a")), read(s.at("b"))), ("b".into(), "a".into()));
        assert_eq!(with("a", "c", RenameFlags::NOREPLACE), Ok(()));
        fs::create_dir(s.at("new")).unwrap();
        assert_eq!(with("new", "b", RenameFlags::EXCHANGE), Ok(()));
    });
}

#[test]
fn things_are_renamed_onto_what_is_or_was_below() {
    rule(|s| {
        file(&s.lower(2), "low", "2");
        file(&s.lower(2), "gone", "2");
        file(&s.lower(2), "emptied/f", "2");
        file(&s.lower(2), "full/f", "2");
        s.mount();
        for (content, onto) in [("one", "low"), ("two", "gone")] {
            if onto == "gone" {
                fs::remove_file(s.at(onto)).unwrap();
            }
            fs::write(s.at("new"), content).unwrap();
            fs::rename(s.at("new"), s.at(onto)).unwrap();
            assert_eq!(read(s.at(onto)), content);
        }
        fs::create_dir(s.at("dir")).unwrap();
        fs::write(s.at("dir/own"), "").unwrap();
        assert_eq!(errno(fs::rename(s.at("dir"), s.at("full"))), Some(Errno::NOTEMPTY));
        fs::remove_file(s.at("emptied/f")).unwrap();
        fs::rename(s.at("dir"), s.at("emptied")).unwrap();
        s.remount();
        assert_eq!(names(s.at("")), ["emptied", "full", "gone", "low"]);
        assert_eq!(names(s.at("emptied")), ["own"]);
        assert!(!exists(s.at("new")));
    });
}

/// It said `ENOTEMPTY`, which makes programs give up that would have copied on `EXDEV`.
#[test]
fn a_directory_of_a_lower_layer_is_on_another_device_even_from_a_full_one() {
    rule(|s| {
        dir(&s.lower(2), "low");
        file(&s.lower(2), "full/f", "2");
        s.mount();
        assert_eq!(errno(fs::rename(s.at("low"), s.at("full"))), Some(Errno::XDEV));
    });
}
