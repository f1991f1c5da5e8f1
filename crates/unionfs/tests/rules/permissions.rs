//! Permissions: rules 62 to 66.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::FileType;
use testkit::tree::{dir, file};

use crate::copy_up::acl;
use crate::files::{USER, append, as_user, chmod, chown, exists, mknod, mode, set_xattr, stat, xattr};
use crate::stage::{is_root, rule};

#[test]
fn the_caller_is_asked_for_what_the_union_shows_before_and_after_a_copy_up() {
    rule(|s| {
        for name in ["private", "shared", "listed"] {
            chmod(file(&s.lower(2), name, "2"), if name == "shared" { 0o666 } else { 0o600 });
        }
        let entries = acl(&[(1, 6, !0), (2, 6, USER), (4, 0, !0), (0x10, 6, !0), (0x20, 0, !0)]);
        set_xattr(s.lower(2).join("listed"), "system.posix_acl_access", &entries);
        s.mount();
        for _ in 0..2 {
            assert!(!as_user("cat $1", s.at("private")));
            assert!(as_user("cat $1", s.at("shared")));
            assert!(as_user("cat $1", s.at("listed")));
            assert!(as_user("echo x >>$1", s.at("shared")));
            assert!(as_user("echo x >>$1", s.at("listed")));
            assert!(!as_user("rm -f $1", s.at("shared")), "the directory is not his");
            append(s.at("private"), "x");
        }
    });
}

#[test]
fn an_entry_belongs_to_the_one_who_made_it() {
    rule(|s| {
        chmod(dir(&s.lower(2), "sticky"), 0o1777);
        s.mount();
        assert!(as_user("cd $1 && echo x >f && mkdir d && ln -s f l && mkfifo p", s.at("sticky")));
        for name in ["f", "d", "l", "p"] {
            assert_eq!(stat(s.at("sticky").join(name)).uid(), USER, "{name}");
            assert_eq!(stat(s.upper("sticky").join(name)).uid(), USER, "{name}");
        }
        fs::write(s.at("sticky/mine"), "").unwrap();
        assert!(!as_user("rm -f $1", s.at("sticky/mine")), "not his in a sticky directory");
        assert!(as_user("rm $1", s.at("sticky/f")));
    });
}

#[test]
fn a_setgid_directory_hands_down_its_group_and_bit() {
    rule(|s| {
        let low = dir(&s.lower(2), "d");
        chown(&low, 0, 77);
        chmod(&low, 0o2777);
        s.mount();
        fs::create_dir(s.at("d/dir")).unwrap();
        fs::write(s.at("d/file"), "").unwrap();
        std::os::unix::fs::symlink("x", s.at("d/link")).unwrap();
        mknod(s.at("d/pipe"), FileType::Fifo, 0).unwrap();
        assert!(as_user("cd $1 && mkdir other && echo >other/f", s.at("d")));
        for name in ["dir", "file", "link", "pipe", "other", "other/f"] {
            assert_eq!(stat(s.at("d").join(name)).gid(), 77, "{name}");
        }
        assert_eq!(mode(s.at("d/dir")) & 0o2000, 0o2000);
        assert_eq!(mode(s.at("d/other")) & 0o2000, 0o2000);
        assert_eq!(mode(s.at("d/file")) & 0o2000, 0);
    });
}

#[test]
fn a_default_list_is_inherited_and_the_umask_then_does_not_count() {
    rule(|s| {
        let low = dir(&s.lower(2), "d");
        chmod(&low, 0o777);
        let entries = acl(&[(1, 7, !0), (2, 7, 9), (4, 7, !0), (0x10, 7, !0), (0x20, 0, !0)]);
        set_xattr(&low, "system.posix_acl_default", &entries);
        chmod(dir(&s.lower(2), "plain"), 0o777);
        s.mount();
        assert!(as_user("umask 077 && cd $1 && mkdir dir && echo >file", s.at("d")));
        assert!(as_user("umask 077 && cd $1 && mkdir dir && echo >file", s.at("plain")));
        assert_eq!(xattr(s.at("d/dir"), "system.posix_acl_default"), Some(entries));
        assert!(xattr(s.at("d/file"), "system.posix_acl_access").is_some());
        assert_eq!((mode(s.at("d/dir")), mode(s.at("d/file"))), (0o770, 0o660));
        assert_eq!((mode(s.at("plain/dir")), mode(s.at("plain/file"))), (0o700, 0o600));
    });
}

#[test]
fn a_write_by_another_user_drops_suid_sgid_and_capabilities() {
    rule(|s| {
        for (n, layer) in [s.lower(2), s.upper("")].into_iter().enumerate() {
            let path = file(&layer, &format!("f{n}"), "2");
            chmod(&path, 0o6777);
            if is_root() {
                set_xattr(&path, "security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
            }
        }
        s.mount();
        for name in ["f0", "f1"] {
            // The kernel knows the mode, as it does when a program was looked at before.
            assert_eq!(mode(s.at(name)), 0o6777);
            assert!(as_user("echo x >>$1", s.at(name)));
            assert_eq!(mode(s.at(name)), 0o777, "{name}");
            assert_eq!(mode(s.upper(name)), 0o777, "{name}");
            if is_root() {
                assert_eq!(xattr(s.at(name), "security.capability"), None, "{name}");
            }
        }
    });
}

#[test]
fn a_change_of_owner_or_size_drops_suid() {
    rule(|s| {
        for name in ["owner", "size"] {
            chmod(file(&s.lower(2), name, "2222"), 0o6777);
        }
        s.mount();
        chown(s.at("owner"), 5, 5);
        assert_eq!(mode(s.at("owner")), 0o777);
        assert!(as_user("truncate -s 1 $1", s.at("size")));
        assert_eq!(mode(s.at("size")), 0o777);
        assert!(exists(s.upper("size")));
    });
}
