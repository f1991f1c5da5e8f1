//! The upper layer as a branch of an AUFS (`aufs_whiteouts=upper`): what shows is what always shows, what is written is
//! what an AUFS would have written.

use std::fs;
use std::path::Path;

use testkit::tree::file;

use crate::files::{errno, exists, is_whiteout, mode, names, read, xattr};
use crate::stage::{Stage, ours};

const UPPER: &str = "aufs_whiteouts=upper";

/// A union on some lower files.
fn aufs(test: impl Fn(&mut Stage)) {
    ours(|s| {
        for path in ["f", "d/gone", "d/kept", "o/low", "o/sub/low", "e/low"] {
            file(&s.lower(2), path, path);
        }
        file(&s.lower(1), "d/high", "1");
        s.mount_with(UPPER);
        test(s);
        let shown = shown(&s.at(""));
        s.remount();
        assert_eq!(self::shown(&s.at("")), shown, "after a remount");
        assert_is_aufs(s, &s.upper(""));
    });
}

/// All paths below a directory.
fn shown(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for name in names(dir) {
        let path = dir.join(&name);
        if path.is_dir() && !path.is_symlink() {
            all.extend(shown(&path).into_iter().map(|below| format!("{name}/{below}")));
        }
        all.push(name);
    }
    all
}

/// An AUFS takes a whiteout for one of everything of that name, in the same branch, too; and knows no other mark.
fn assert_is_aufs(s: &Stage, dir: &Path) {
    let all = names(dir);
    for name in &all {
        let path = dir.join(name);
        assert!(!is_whiteout(&path), "{} is a whiteout of the kernel's", path.display());
        if let Some(hidden) = name.strip_prefix(".wh.") {
            assert!(!all.iter().any(|name| name == hidden), "{} hides its neighbour", path.display());
        }
        if path.is_dir() && !path.is_symlink() {
            assert_eq!(xattr(&path, &format!("{}opaque", s.prefix())), None, "{}", path.display());
            assert_is_aufs(s, &path);
        }
    }
}

#[test]
fn a_deletion_is_a_file_and_goes_with_what_comes_in_its_place() {
    aufs(|s| {
        fs::remove_file(s.at("d/gone")).unwrap();
        fs::remove_file(s.at("f")).unwrap();
        assert_eq!(names(s.at("d")), ["high", "kept"]);
        assert_eq!(names(s.upper("d")), [".wh.gone"]);
        assert_eq!(mode(s.upper("d/.wh.gone")), 0o444);
        assert_eq!(errno(fs::read(s.at("d/gone"))), Some(rustix::io::Errno::NOENT));
        for made in 0..3 {
            match made {
                0 => fs::write(s.at("f"), "again").unwrap(),
                1 => std::os::unix::fs::symlink("x", s.at("f")).unwrap(),
                _ => fs::hard_link(s.at("d/kept"), s.at("f")).unwrap(),
            }
            assert!(exists(s.at("f")) && !exists(s.upper(".wh.f")));
            fs::remove_file(s.at("f")).unwrap();
            assert!(!exists(s.at("f")) && exists(s.upper(".wh.f")));
        }
        fs::write(s.at("d/gone"), "again").unwrap();
        assert_eq!(read(s.at("d/gone")), "again");
        assert!(!exists(s.upper("d/.wh.gone")));
    });
}

#[test]
fn a_directory_in_the_place_of_a_deleted_one_is_opaque() {
    aufs(|s| {
        fs::remove_dir_all(s.at("o")).unwrap();
        assert!(exists(s.upper(".wh.o")) && !exists(s.upper("o")));
        fs::create_dir(s.at("o")).unwrap();
        assert_eq!(names(s.at("o")), [""; 0]);
        assert_eq!(names(s.upper("o")), [".wh..wh..opq"]);
        assert!(!exists(s.upper(".wh.o")));
        fs::write(s.at("o/new"), "").unwrap();
        fs::remove_file(s.at("o/new")).unwrap();
        // Nothing is hidden one by one where nothing shows.
        assert_eq!(names(s.upper("o")), [".wh..wh..opq"]);
        fs::remove_dir(s.at("o")).unwrap();
        assert!(exists(s.upper(".wh.o")) && !exists(s.upper("o")));
    });
}

#[test]
fn a_rename_leaves_a_whiteout_and_takes_one_away() {
    aufs(|s| {
        fs::rename(s.at("d/kept"), s.at("moved")).unwrap();
        assert!(exists(s.upper("d/.wh.kept")) && read(s.at("moved")) == "d/kept");
        fs::rename(s.at("moved"), s.at("d/kept")).unwrap();
        assert!(!exists(s.upper("d/.wh.kept")) && read(s.at("d/kept")) == "d/kept");
        // Over a file that only the lower layer has.
        fs::rename(s.at("d/gone"), s.at("d/high")).unwrap();
        assert_eq!(read(s.at("d/high")), "d/gone");
        assert_eq!(names(s.at("d")), ["high", "kept"]);
    });
}

#[test]
fn a_new_directory_moves_to_a_hidden_name_and_over_an_emptied_one() {
    aufs(|s| {
        fs::create_dir(s.at("new")).unwrap();
        fs::write(s.at("new/in"), "").unwrap();
        fs::remove_dir_all(s.at("o")).unwrap();
        fs::rename(s.at("new"), s.at("o")).unwrap();
        assert_eq!(names(s.at("o")), ["in"]);
        fs::remove_file(s.at("e/low")).unwrap();
        fs::rename(s.at("o"), s.at("e")).unwrap();
        assert_eq!(names(s.at("e")), ["in"]);
        assert!(!exists(s.at("o")) && exists(s.upper(".wh.o")));
    });
}

#[test]
fn what_an_aufs_keeps_for_itself_does_not_show() {
    ours(|s| {
        for (layer, name) in [(1, ".wh..wh.aufs"), (1, ".wh..wh.plnk/12.34"), (2, ".wh..wh.orph/x")] {
            file(&s.lower(layer), name, "");
        }
        file(&s.lower(1), "linked", "x");
        fs::hard_link(s.lower(1).join("linked"), s.lower(1).join(".wh..wh.plnk/56.78")).unwrap();
        s.mount_with(UPPER);
        assert_eq!(names(s.at("")), ["linked"]);
        assert!(!exists(s.at(".wh..wh.plnk")));
        fs::write(s.at("linked"), "y").unwrap();
        assert_eq!(read(s.at("linked")), "y");
    });
}
