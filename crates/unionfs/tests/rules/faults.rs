//! Faults of fuse-overlayfs, so that they stay others' (union-fs.md §1.3). Of 2.0.0 unless a name says 1.10. The kernel's
//! overlay has none of them.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{CWD, FileType, RenameFlags, XattrFlags, lsetxattr, renameat_with};
use testkit::tree::{dir, file, symlink};

use crate::files::{
    append, as_user, chmod, chown, exists, mknod, mode, names, python, read, set_times, stat, xattr,
};
use crate::stage::{is_root, rule};

/// More than any file that is read into the cache as a whole: such files are passed through to the kernel.
const LARGE: usize = 1 << 20;

#[test]
fn a_write_lands_in_the_lower_layer_when_the_file_is_open_for_reading() {
    rule(|s| {
        for (name, size) in [("small", 10), ("large", LARGE)] {
            file(&s.lower(2), name, "a".repeat(size));
        }
        s.mount();
        for name in ["small", "large"] {
            let mut reader = File::open(s.at(name)).unwrap();
            let mut first = [0; 1];
            reader.read_exact(&mut first).unwrap();
            let mut writer = OpenOptions::new().write(true).open(s.at(name)).unwrap();
            writer.write_all(b"bbb").unwrap();
            drop(writer);
            assert!(read(s.at(name)).starts_with("bbba"), "{name}");
            assert!(read(s.lower(2).join(name)).starts_with("aaaa"), "{name}");
            assert!(read(s.upper(name)).starts_with("bbba"), "{name}");
            // Others that open it meet the new data too, while the first reader still has it.
            append(s.at(name), "end");
            assert!(read(s.at(name)).ends_with("aend"), "{name}");
            drop(reader);
        }
        // That the layer is as it was, the stage verifies.
    });
}

#[test]
fn a_mapped_writer_beside_a_reader_changes_the_lower_layer() {
    rule(|s| {
        file(&s.lower(2), "large", "a".repeat(LARGE));
        s.mount();
        let script = "r = open(path, 'rb'); r.read(1); n = os.fstat(r.fileno()).st_size\n\
                      reading = mmap.mmap(r.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ); reading[0]\n\
                      w = open(path, 'r+b'); m = mmap.mmap(w.fileno(), 0); m[0:3] = b'map'; m.flush()\n\
                      assert os.pread(w.fileno(), 3, 0) == b'map'\n\
                      assert open(path, 'rb').read(4) == b'mapa'";
        python(script, s.at("large"));
        assert!(read(s.upper("large")).starts_with("mapa"));
    });
}

#[test]
fn a_deleted_directorys_content_is_back_after_a_remount() {
    rule(|s| {
        file(&s.lower(2), "d/sub/deep/f", "2");
        file(&s.lower(1), "d/g", "1");
        s.mount();
        fs::remove_dir_all(s.at("d")).unwrap();
        fs::create_dir_all(s.at("d/sub")).unwrap();
        fs::write(s.at("d/sub/new"), "").unwrap();
        s.remount();
        assert_eq!(names(s.at("d")), ["sub"]);
        assert_eq!(names(s.at("d/sub")), ["new"]);
    });
}

#[test]
fn a_directory_moved_to_a_deleted_name_shows_the_deleted_content() {
    rule(|s| {
        file(&s.lower(2), "m/d/f", "2");
        s.mount();
        fs::create_dir_all(s.at("new/sub")).unwrap();
        fs::remove_dir_all(s.at("m/d")).unwrap();
        fs::rename(s.at("new"), s.at("m/d")).unwrap();
        s.remount();
        assert_eq!(names(s.at("m/d")), ["sub"]);
    });
}

#[test]
fn exchange_fails() {
    rule(|s| {
        file(&s.lower(2), "low", "low");
        s.mount();
        fs::write(s.at("new"), "new").unwrap();
        renameat_with(CWD, s.at("low"), CWD, s.at("new"), RenameFlags::EXCHANGE).unwrap();
        for _ in 0..2 {
            assert_eq!((read(s.at("low")), read(s.at("new"))), ("new".into(), "low".into()));
            s.remount();
        }
    });
}

#[test]
fn link_shows_another_inode_until_a_remount() {
    rule(|s| {
        file(&s.lower(2), "low", "2");
        s.mount();
        let before = stat(s.at("low")).ino();
        fs::hard_link(s.at("low"), s.at("second")).unwrap();
        if s.knows_origins() {
            assert_eq!((stat(s.at("low")).ino(), stat(s.at("second")).ino()), (before, before));
        }
        assert_eq!((stat(s.at("low")).nlink(), stat(s.at("second")).nlink()), (2, 2));
    });
}

#[test]
fn an_inode_number_changes_over_a_remount() {
    rule(|s| {
        file(&s.lower(2), "copied", "2");
        file(&s.lower(2), "read", "2");
        s.mount();
        append(s.at("copied"), "x");
        fs::write(s.at("new"), "").unwrap();
        let numbers = |s: &crate::stage::Stage| ["copied", "read", "new"].map(|name| stat(s.at(name)).ino());
        let before = numbers(s);
        if s.knows_origins() {
            s.remount();
            assert_eq!(numbers(s), before);
        }
    });
}

#[test]
fn fstat_of_an_unlinked_or_copied_up_open_file_is_wrong() {
    rule(|s| {
        for name in ["unlinked", "copied", "large"] {
            file(&s.lower(2), name, "a".repeat(if name == "large" { LARGE } else { 10 }));
        }
        s.mount();
        let unlinked = File::open(s.at("unlinked")).unwrap();
        fs::remove_file(s.at("unlinked")).unwrap();
        assert_eq!(unlinked.metadata().unwrap().len(), 10);
        // The kernel's overlay cannot copy up what has no name, and says so.
        if !s.is_kernel() {
            unlinked.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            assert_eq!(unlinked.metadata().unwrap().mode() & 0o777, 0o600);
        }
        for (name, size) in [("copied", 10), ("large", LARGE as u64)] {
            let copied = File::open(s.at(name)).unwrap();
            append(s.at(name), "more");
            chmod(s.at(name), 0o600);
            let meta = copied.metadata().unwrap();
            assert_eq!((meta.len(), meta.mode() & 0o777), (size + 4, 0o600), "{name}");
        }
    });
}

#[test]
fn suid_stays_after_a_write_by_another_user() {
    rule(|s| {
        let path = file(&s.lower(2), "f", "a".repeat(LARGE));
        chmod(&path, 0o4777);
        s.mount();
        // First the copy-up, then the write to what may be passed through by now.
        append(s.at("f"), "x");
        chmod(s.at("f"), 0o4777);
        assert!(as_user("printf x >>$1; printf y >>$1", s.at("f")));
        assert_eq!(mode(s.at("f")), 0o777);
        assert_eq!(mode(s.upper("f")), 0o777);
    });
}

#[test]
fn setgid_directories_do_not_hand_down_their_group() {
    rule(|s| {
        s.mount();
        fs::create_dir(s.at("d")).unwrap();
        chown(s.at("d"), 0, 77);
        chmod(s.at("d"), 0o2755);
        fs::create_dir(s.at("d/sub")).unwrap();
        fs::write(s.at("d/f"), "").unwrap();
        assert_eq!((stat(s.at("d/sub")).gid(), mode(s.at("d/sub")) & 0o2000), (77, 0o2000));
        assert_eq!(stat(s.at("d/f")).gid(), 77);
    });
}

#[test]
fn a_left_over_in_the_work_directory_makes_removals_fail() {
    rule(|s| {
        for n in 0..20 {
            file(&s.lower(2), &format!("f{n}"), "2");
            file(&s.lower(2), &format!("d{n}/f"), "2");
        }
        // Names that a server might choose, each a directory that is not empty.
        for name in
            (0..50).flat_map(|n| [n.to_string(), format!("#{n:x}"), format!("tmp{n}"), format!("wh{n}")])
        {
            file(&s.work(), &format!("work/{name}/full"), "left over");
            file(&s.work(), &format!("{name}/full"), "left over");
        }
        s.mount();
        for n in 0..20 {
            fs::remove_file(s.at(&format!("f{n}"))).unwrap();
            fs::remove_dir_all(s.at(&format!("d{n}"))).unwrap();
        }
        assert_eq!(names(s.at("")), [""; 0]);
    });
}

#[test]
fn times_are_not_seen_after_a_store_to_a_mapping() {
    rule(|s| {
        file(&s.lower(2), "f", "a".repeat(LARGE));
        s.mount();
        set_times(s.at("f"), 1_000_000, 0);
        let script = "f = open(path, 'r+b'); m = mmap.mmap(f.fileno(), 0); os.stat(path)\n\
                      m[0:1] = b'x'; m.flush(); m.close(); f.close()\n\
                      assert os.stat(path).st_mtime > 2000000, os.stat(path).st_mtime";
        python(script, s.at("f"));
        assert_eq!(stat(s.at("f")).mtime(), stat(s.upper("f")).mtime());
    });
}

#[test]
fn a_new_name_of_255_bytes_is_refused_and_unlinking_one_ends_the_server_of_1_10() {
    rule(|s| {
        let (low, new) = ("l".repeat(255), "n".repeat(255));
        file(&s.lower(2), &low, "2");
        s.mount();
        fs::write(s.at(&new), "").unwrap();
        fs::create_dir(s.at(&"d".repeat(255))).unwrap();
        fs::remove_file(s.at(&low)).unwrap();
        assert_eq!(names(s.at("")), ["d".repeat(255), new]);
    });
}

#[test]
fn suid_is_lost_in_the_copy_up_of_1_10() {
    rule(|s| {
        chmod(file(&s.lower(2), "f", "2"), 0o4755);
        s.mount();
        set_times(s.at("f"), 5, 6);
        assert_eq!((mode(s.at("f")), mode(s.upper("f"))), (0o4755, 0o4755));
    });
}

#[test]
fn a_pipe_cannot_be_copied_up_by_1_10() {
    rule(|s| {
        mknod(s.lower(2).join("pipe"), FileType::Fifo, 0).unwrap();
        s.mount();
        chmod(s.at("pipe"), 0o600);
        assert_eq!(mode(s.upper("pipe")), 0o600);
    });
}

#[test]
fn link_counts_differ_over_a_remount_of_1_10() {
    rule(|s| {
        file(&s.lower(2), "d/a", "2");
        s.mount();
        fs::hard_link(s.at("d/a"), s.at("b")).unwrap();
        fs::hard_link(s.at("b"), s.at("d/c")).unwrap();
        fs::remove_file(s.at("b")).unwrap();
        for _ in 0..2 {
            // One name alone is looked at.
            assert_eq!(stat(s.at("d/c")).nlink(), 2);
            s.remount();
        }
    });
}

#[test]
fn setting_an_attribute_of_a_link_hangs_1_10() {
    rule(|s| {
        dir(&s.lower(2), "d");
        symlink(&s.lower(2), "link", s.at("d").to_str().unwrap());
        s.mount();
        if is_root() {
            lsetxattr(s.at("link"), "trusted.own", b"x", XattrFlags::empty()).unwrap();
            assert!(xattr(s.upper("link"), "trusted.own").is_some());
        } else {
            // The kernel allows no `user.` on links.
            assert!(lsetxattr(s.at("link"), "user.own", b"x", XattrFlags::empty()).is_err());
        }
        assert!(!exists(s.upper("d")), "it went through the link");
    });
}

#[test]
fn rewinding_a_directory_does_not_show_a_new_entry() {
    rule(|s| {
        file(&s.lower(2), "d/a", "");
        s.mount();
        let script = "libc = ctypes.CDLL(None, use_errno=True)\n\
                      fd = os.open(path, os.O_RDONLY); before = sorted(os.listdir(fd))\n\
                      open(path + '/b', 'w').close(); os.lseek(fd, 0, os.SEEK_SET)\n\
                      assert sorted(os.listdir(fd)) == before + ['b'], before";
        python(script, s.at("d"));
    });
}

#[test]
fn an_access_time_of_a_lower_file_changes() {
    rule(|s| {
        let path = file(&s.lower(2), "f", "a".repeat(LARGE));
        set_times(&path, 1_000_000, 0);
        s.verifies = false;
        s.mount();
        let mut file = File::open(s.at("f")).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        file.rewind().unwrap();
        drop(file);
        s.unmount();
        assert_eq!(stat(&path).atime(), 1_000_000);
    });
}
