//! What a mount reads, refuses and leaves: rules 71 to 86.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, CWD, StatxFlags, statfs, statx};
use testkit::tree::{dir, file};

use crate::files::{append, names, read, set_xattr, stat};
use crate::stage::{On, is_root, ours, rule};

#[test]
fn what_was_left_in_the_work_directory_is_cleared() {
    rule(|s| {
        file(&s.lower(2), "d/f", "2");
        file(&s.work(), "work/#1", "left over");
        file(&s.work(), "work/dir/full", "left over");
        s.mount();
        fs::remove_dir_all(s.at("d")).unwrap();
        s.unmount();
        assert_eq!(s.left_in_work(), [""; 0]);
    });
}

#[test]
fn data_only_layers_show_through_redirects_alone() {
    rule(|s| {
        if matches!(s.on, On::Helper(_)) {
            return testkit::machine::skip("data-only layers", "its options are not known");
        }
        // The second layer becomes one for data; the first holds the inode.
        file(&s.lower(2), "blobs/1", "the data");
        let inode = file(&s.lower(1), "f", "");
        set_xattr(&inode, &format!("{}metacopy", s.prefix()), b"");
        set_xattr(&inode, &format!("{}redirect", s.prefix()), b"/blobs/1");
        fs::OpenOptions::new().write(true).open(&inode).unwrap().set_len(8).unwrap();
        let (one, two) = (s.lower(1), s.lower(2));
        // Needs no more than the layer; the kernel refuses the option for an ordinary user.
        let metacopy = if is_root() { "metacopy=on," } else { "" };
        let layers = format!("{metacopy}lowerdir={}::{}", one.display(), two.display());
        // The last one counts.
        s.mount_with(&layers);
        assert_eq!(names(s.at("")), ["f"]);
        assert_eq!(read(s.at("f")), "the data");
        append(s.at("f"), "!");
        s.remount();
        assert_eq!(read(s.at("f")), "the data!");
    });
}

#[test]
fn an_inode_without_data_gets_it_from_the_layer_below() {
    rule(|s| {
        if !s.has("trusted.overlay.metacopy") {
            return;
        }
        file(&s.lower(2), "f", "the data");
        let inode = file(&s.lower(1), "f", "");
        set_xattr(&inode, "trusted.overlay.metacopy", b"");
        fs::OpenOptions::new().write(true).open(&inode).unwrap().set_len(8).unwrap();
        crate::files::chmod(&inode, 0o611);
        s.mount_with("redirect_dir=on,metacopy=on");
        assert_eq!(read(s.at("f")), "the data");
        assert_eq!(crate::files::mode(s.at("f")), 0o611);
        assert_eq!(stat(s.at("f")).len(), 8);
    });
}

/// Marks in `user.` attributes are anybody's: they lead to nothing that its directory keeps from him (`userxattr` in the
/// kernel's `overlayfs.rst`).
#[test]
fn with_userxattr_marks_lead_nowhere() {
    rule(|s| {
        file(&s.lower(2), "secret/f", "2");
        set_xattr(dir(&s.lower(1), "d"), "user.overlay.redirect", b"/secret");
        file(&s.lower(2), "same", "2");
        for name in ["same", "other"] {
            let inode = file(&s.lower(1), name, "");
            fs::OpenOptions::new().write(true).open(&inode).unwrap().set_len(1).unwrap();
            set_xattr(&inode, "user.overlay.metacopy", b"");
        }
        set_xattr(s.lower(1).join("other"), "user.overlay.redirect", b"/secret/f");
        s.mount_with("userxattr");
        for name in ["d", "same", "other"] {
            let error = fs::symlink_metadata(s.at(name)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::PERM.raw_os_error()), "{name}");
        }
    });
}

#[test]
fn free_space_is_that_of_the_upper() {
    rule(|s| {
        s.mount();
        let (union, upper) = (statfs(s.at("")).unwrap(), statfs(s.upper("")).unwrap());
        assert_eq!((union.f_blocks, union.f_bsize), (upper.f_blocks, upper.f_bsize));
        assert_eq!(union.f_namelen, upper.f_namelen);
    });
}

#[test]
fn the_time_of_birth_is_known() {
    rule(|s| {
        file(&s.lower(2), "f", "2");
        s.mount();
        let birth = |path| statx(CWD, path, AtFlags::empty(), StatxFlags::BTIME).unwrap();
        if statx(CWD, s.lower(2).join("f"), AtFlags::empty(), StatxFlags::BTIME).unwrap().stx_mask
            & StatxFlags::BTIME.bits()
            != 0
        {
            assert_ne!(birth(s.at("f")).stx_mask & StatxFlags::BTIME.bits(), 0);
            assert_eq!(birth(s.at("f")).stx_btime.tv_sec, birth(s.lower(2).join("f")).stx_btime.tv_sec);
        }
    });
}

#[test]
fn times_before_1970_are_kept() {
    rule(|s| {
        file(&s.lower(2), "f", "2");
        s.mount();
        crate::files::set_times(s.at("f"), -5, 123);
        s.remount();
        assert_eq!((stat(s.at("f")).mtime(), stat(s.at("f")).mtime_nsec()), (-5, 123));
    });
}

#[test]
fn the_kernels_overlay_reads_what_ours_has_written() {
    ours(|s| {
        if s.on != On::Ours {
            return testkit::machine::skip("the kernel's overlay on it", "its format is not known");
        }
        // Both refuse it for `user.` attributes.
        let options = if is_root() { "redirect_dir=on" } else { "" };
        for name in ["file", "gone", "dir/low", "again/low", "kept/low", "renamed/f"] {
            file(&s.lower(2), name, "2");
        }
        s.mount_with(options);
        append(s.at("file"), " changed");
        fs::remove_file(s.at("gone")).unwrap();
        fs::remove_dir_all(s.at("again")).unwrap();
        fs::create_dir(s.at("again")).unwrap();
        fs::write(s.at("kept/new"), "new").unwrap();
        if is_root() {
            fs::rename(s.at("renamed"), s.at("dir/renamed")).unwrap();
        }
        fs::hard_link(s.at("file"), s.at("dir/link")).unwrap();
        fs::create_dir_all(s.at("new/deep")).unwrap();
        let mut seen = testkit::tree::dump(&s.at(""));
        s.unmount();
        s.on = On::Kernel;
        s.mount_with(options);
        let mut kernel = testkit::tree::dump(&s.at(""));
        seen.sort();
        kernel.sort();
        assert_eq!(seen, kernel);
    });
}

#[test]
fn ours_reads_what_the_kernels_overlay_has_written() {
    ours(|s| {
        if s.on != On::Ours {
            return testkit::machine::skip("the kernel's overlay below it", "its format is not known");
        }
        let [of_kernel, of_ours] =
            if is_root() { ["redirect_dir=on,metacopy=on,index=on", "redirect_dir=on"] } else { ["", ""] };
        for name in ["file", "gone", "dir/low", "again/low", "opaque/low", "renamed/f"] {
            file(&s.lower(2), name, "2");
        }
        set_xattr(dir(&s.lower(1), "opaque"), &format!("{}opaque", s.prefix()), b"y");
        dir(&s.lower(1), "dir");
        s.on = On::Kernel;
        s.mount_with(of_kernel);
        append(s.at("file"), " changed");
        fs::remove_file(s.at("gone")).unwrap();
        fs::remove_dir_all(s.at("again")).unwrap();
        fs::create_dir(s.at("again")).unwrap();
        if is_root() {
            fs::rename(s.at("renamed"), s.at("dir/renamed")).unwrap();
        }
        crate::files::chmod(s.at("dir/low"), 0o600);
        let (mut kernel, ino) = (testkit::tree::dump(&s.at("")), stat(s.at("file")).ino());
        s.unmount();
        s.on = On::Ours;
        s.mount_with(of_ours);
        let mut seen = testkit::tree::dump(&s.at(""));
        seen.sort();
        kernel.sort();
        assert_eq!(seen, kernel);
        // As an ordinary user the kernel's overlay itself shows another number after a remount.
        assert!(stat(s.at("file")).ino() == ino || !is_root());
    });
}
