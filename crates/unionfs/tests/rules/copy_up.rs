//! Copy-up: rules 19 to 31.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FileType, SeekFrom, XattrFlags, fsetxattr, makedev, seek};
use testkit::tree::{dir, dump, file, symlink};

use crate::files::{
    append, as_user, chmod, chown, exists, mknod, mode, names, python, read, set_times, set_xattr, stat,
    xattr,
};
use crate::stage::{is_root, ours, rule};

#[test]
fn what_changes_a_file_copies_it_up_and_nothing_else_does() {
    rule(|s| {
        let all =
            ["write", "truncate", "chmod", "chown", "times", "xattr", "link", "rename", "read", "point"];
        for name in all {
            file(&s.lower(2), &format!("d/{name}"), "2");
        }
        s.mount();
        assert_eq!(read(s.at("d/read")), "2");
        names(s.at("d"));
        stat(s.at("d/read"));
        assert!(!exists(s.upper("d")), "reading copies nothing up");
        std::os::unix::fs::symlink("d/point", s.at("link")).unwrap();
        assert!(!exists(s.upper("d")), "a symbolic link copies nothing up");
        drop(OpenOptions::new().write(true).open(s.at("d/write")).unwrap());
        python("os.truncate(path, 0)", s.at("d/truncate"));
        chmod(s.at("d/chmod"), 0o600);
        chown(s.at("d/chown"), 1, 1);
        set_times(s.at("d/times"), 1, 2);
        set_xattr(s.at("d/xattr"), "user.a", b"b");
        fs::hard_link(s.at("d/link"), s.at("d/link-2")).unwrap();
        fs::rename(s.at("d/rename"), s.at("d/renamed")).unwrap();
        let up =
            ["chmod", "chown", "link", "link-2", "rename", "renamed", "times", "truncate", "write", "xattr"];
        assert_eq!(names(s.upper("d")), up);
        assert_eq!(read(s.at("d/write")), "2");
        assert_eq!(read(s.at("d/truncate")), "");
    });
}

#[test]
fn a_file_keeps_all_that_it_has() {
    rule(|s| {
        let path = file(&s.lower(2), "f", "content");
        chown(&path, 7, 8);
        chmod(&path, 0o6751);
        set_xattr(&path, "user.own", b"\0binary");
        if is_root() {
            set_xattr(&path, "trusted.own", b"t");
            // cap_net_raw+ep, `vfs_cap_data` of revision 2.
            set_xattr(&path, "security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        }
        // A user's and a mask's entry beside the three of the mode: `posix_acl_xattr_header`.
        let acl = acl(&[(1, 7, !0), (2, 5, 9), (4, 5, !0), (0x10, 5, !0), (0x20, 1, !0)]);
        set_xattr(&path, "system.posix_acl_access", &acl);
        set_times(&path, 1_234_567, 89);
        let before = dump(&s.lower(2)).remove(1);
        set_times(&path, 1_234_567, 89);
        // Reading would change the access time.
        s.verifies = false;
        s.mount();
        drop(OpenOptions::new().write(true).open(s.at("f")).unwrap());
        assert!(exists(s.upper("f")));
        let copy = stat(s.upper("f"));
        assert_eq!((copy.atime(), copy.atime_nsec()), (1_234_567, 89));
        assert_eq!(dump(&s.at("")).remove(1), before);
        assert_eq!(dump(&s.upper("")).remove(1), before);
    });
}

/// An access control list as the kernel takes it: entries of tag, permissions and id (`linux/posix_acl_xattr.h`).
pub fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

#[test]
fn every_kind_of_file_is_copied_up() {
    rule(|s| {
        let low = s.lower(2);
        symlink(&low, "link", "anywhere");
        mknod(low.join("pipe"), FileType::Fifo, 0).unwrap();
        mknod(low.join("socket"), FileType::Socket, 0).unwrap();
        dir(&low, "dir");
        if is_root() {
            mknod(low.join("device"), FileType::CharacterDevice, makedev(1, 3)).unwrap();
        }
        s.mount();
        for name in names(s.at("")) {
            let before = stat(s.at(&name));
            chown(s.at(&name), 5, 6);
            let after = stat(s.upper(&name));
            assert_eq!((after.uid(), after.gid()), (5, 6), "{name}");
            assert_eq!((after.mode(), after.rdev()), (before.mode(), before.rdev()), "{name}");
        }
        assert_eq!(fs::read_link(s.upper("link")).unwrap().to_str(), Some("anywhere"));
    });
}

#[test]
fn directories_are_copied_up_without_content_and_with_their_lists() {
    rule(|s| {
        file(&s.lower(2), "a/b/f", "2");
        chmod(s.lower(2).join("a"), 0o2750);
        chown(s.lower(2).join("a/b"), 3, 4);
        let entries = acl(&[(1, 7, !0), (2, 7, 9), (4, 5, !0), (0x10, 7, !0), (0x20, 5, !0)]);
        set_xattr(s.lower(2).join("a/b"), "system.posix_acl_default", &entries);
        s.mount();
        fs::write(s.at("a/b/new"), "").unwrap();
        assert_eq!(names(s.upper("a/b")), ["new"]);
        assert_eq!(mode(s.upper("a")), 0o2750);
        assert_eq!((stat(s.upper("a/b")).uid(), stat(s.upper("a/b")).gid()), (3, 4));
        assert_eq!(xattr(s.upper("a/b"), "system.posix_acl_default"), Some(entries));
        // It inherits, and so do files made in it.
        assert!(xattr(s.upper("a/b/new"), "system.posix_acl_access").is_some());
    });
}

#[test]
fn holes_stay_holes() {
    rule(|s| {
        let big = File::create(s.lower(2).join("hole")).unwrap();
        big.set_len(256 << 20).unwrap();
        seek(&big, SeekFrom::Start(128 << 20)).unwrap();
        rustix::io::write(&big, b"x").unwrap();
        s.mount();
        append(s.at("hole"), "end");
        let copy = stat(s.upper("hole"));
        assert_eq!(copy.len(), (256 << 20) + 3);
        assert!(copy.blocks() * 512 < 4 << 20, "{} blocks", copy.blocks());
        let file = File::open(s.at("hole")).unwrap();
        seek(&file, SeekFrom::Start(128 << 20)).unwrap();
        let mut byte = [0; 2];
        rustix::io::read(&file, &mut byte).unwrap();
        assert_eq!(&byte, b"x\0");
    });
}

#[test]
fn truncating_leaves_what_stays() {
    rule(|s| {
        let content = "0123456789".repeat(100_000);
        for name in ["open", "shrink", "grow", "ftruncate"] {
            file(&s.lower(2), name, &content);
        }
        s.mount();
        drop(OpenOptions::new().write(true).truncate(true).open(s.at("open")).unwrap());
        python("os.truncate(path, 4097)", s.at("shrink"));
        python("os.truncate(path, 1000001)", s.at("grow"));
        OpenOptions::new().write(true).open(s.at("ftruncate")).unwrap().set_len(3).unwrap();
        for _ in 0..2 {
            assert_eq!(read(s.at("open")), "");
            assert_eq!(read(s.at("shrink")), content[..4097]);
            assert_eq!(read(s.at("grow")), format!("{content}\0"));
            assert_eq!(read(s.at("ftruncate")), "012");
            s.remount();
        }
    });
}

#[test]
fn nothing_is_left_in_the_work_directory() {
    rule(|s| {
        file(&s.lower(2), "d/f", "2");
        file(&s.lower(2), "gone/f", "2");
        s.mount();
        append(s.at("d/f"), "more");
        fs::rename(s.at("d/f"), s.at("d/g")).unwrap();
        fs::remove_dir_all(s.at("gone")).unwrap();
        fs::create_dir(s.at("gone")).unwrap();
        s.unmount();
        assert_eq!(s.left_in_work(), [""; 0]);
    });
}

#[test]
fn hard_links_of_a_lower_layer_stay_one_file() {
    // The kernel's overlay breaks them unless it has an index.
    ours(|s| {
        file(&s.lower(2), "a", "2");
        fs::create_dir(s.lower(2).join("d")).unwrap();
        fs::hard_link(s.lower(2).join("a"), s.lower(2).join("d/b")).unwrap();
        fs::hard_link(s.lower(2).join("a"), s.lower(2).join("c")).unwrap();
        s.mount();
        assert_eq!(stat(s.at("a")).nlink(), 3);
        append(s.at("a"), " more");
        for _ in 0..2 {
            for name in ["a", "d/b", "c"] {
                assert_eq!(read(s.at(name)), "2 more", "{name}");
                assert_eq!(stat(s.at(name)).nlink(), 3, "{name}");
                assert_eq!(stat(s.at(name)).ino(), stat(s.at("a")).ino(), "{name}");
            }
            s.remount();
        }
        fs::remove_file(s.at("a")).unwrap();
        assert_eq!(stat(s.at("c")).nlink(), 2);
        append(s.at("d/b"), "!");
        assert_eq!(read(s.at("c")), "2 more!");
    });
}

#[test]
fn a_change_through_an_open_file_of_a_lower_layer_counts_for_its_name() {
    rule(|s| {
        file(&s.lower(2), "f", "2");
        s.mount();
        let reader = File::open(s.at("f")).unwrap();
        reader.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o604)).unwrap();
        fsetxattr(&reader, "user.a", b"b", XattrFlags::empty()).unwrap();
        assert_eq!(mode(s.at("f")), 0o604);
        assert_eq!(xattr(s.at("f"), "user.a").as_deref(), Some(&b"b"[..]));
        assert_eq!(mode(s.upper("f")), 0o604);
    });
}

#[test]
fn a_caller_who_may_not_change_copies_nothing_up() {
    rule(|s| {
        chmod(file(&s.lower(2), "f", "2"), 0o644);
        s.mount();
        assert!(!as_user("echo x >>$1", s.at("f")));
        assert!(!as_user("chmod 777 $1", s.at("f")));
        assert!(!exists(s.upper("f")));
    });
}
