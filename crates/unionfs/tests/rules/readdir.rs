//! Listing directories: rules 37 to 41.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Dir, FileType, Mode, OFlags, open};
use testkit::tree::{dir, file, symlink};

use crate::files::{exists, mknod, stat, whiteout};
use crate::stage::{Stage, rule};

/// One of everything, above and below.
fn layers(s: &Stage) {
    for layer in [s.lower(1), s.lower(2), s.upper("")] {
        let own = layer.file_name().map_or("upper", |name| name.to_str().unwrap()).to_owned();
        file(&layer, "d/everywhere", "");
        file(&layer, &format!("d/file-{own}"), "");
        dir(&layer, &format!("d/dir-{own}"));
        dir(&layer, "d/dir-merged");
        symlink(&layer, &format!("d/link-{own}"), "x");
        mknod(layer.join(format!("d/pipe-{own}")), FileType::Fifo, 0).unwrap();
    }
    file(&s.lower(2), "d/gone", "");
    whiteout(s.upper("d/gone"));
}

fn listing(path: &std::path::Path) -> Vec<(String, u64, FileType)> {
    let fd = open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    entries(&mut Dir::read_from(fd).unwrap())
}

fn entries(dir: &mut Dir) -> Vec<(String, u64, FileType)> {
    let entry = |entry: rustix::fs::DirEntry| {
        (entry.file_name().to_str().unwrap().to_owned(), entry.ino(), entry.file_type())
    };
    dir.map(|found| entry(found.unwrap())).collect()
}

#[test]
fn each_name_is_listed_once_with_its_type_and_its_inode_number() {
    rule(|s| {
        layers(s);
        s.mount();
        let before = listing(&s.at("d"));
        let mut names: Vec<&str> = before.iter().map(|(name, ..)| name.as_str()).collect();
        names.sort_unstable();
        let unique = names.len();
        names.dedup();
        assert_eq!(unique, names.len(), "{names:?}");
        assert_eq!(names.len(), 2 + 2 + 4 * 3, "{names:?}");
        for (name, ino, kind) in &before {
            let meta = stat(s.at("d").join(name));
            assert_eq!(*kind, FileType::from_raw_mode(meta.mode()), "{name}");
            // The kernel's overlay looks numbers up where a mark says that it is needed; these layers have none.
            if name != ".." && (name != "dir-merged" || !s.is_kernel()) {
                assert_eq!(*ino, meta.ino(), "{name}");
            }
        }
        // And again, now that the kernel knows them.
        let known = listing(&s.at("d"));
        assert!(known.iter().map(|(name, ..)| name).eq(before.iter().map(|(name, ..)| name)));
    });
}

#[test]
fn rewinding_shows_what_changed() {
    rule(|s| {
        file(&s.lower(2), "d/a", "");
        s.mount();
        let fd = open(s.at("d"), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut dir = Dir::read_from(fd).unwrap();
        assert_eq!(entries(&mut dir).len(), 3);
        fs::write(s.at("d/b"), "").unwrap();
        fs::remove_file(s.at("d/a")).unwrap();
        dir.rewind();
        let names: Vec<String> = entries(&mut dir).into_iter().map(|(name, ..)| name).collect();
        assert!(names.contains(&"b".to_owned()) && !names.contains(&"a".to_owned()), "{names:?}");
    });
}

#[test]
fn removing_while_listing_misses_nothing() {
    rule(|s| {
        for n in 0..2000 {
            let layer = if n % 2 == 0 { s.lower(2) } else { s.upper("") };
            file(&layer, &format!("d/{n}"), "");
        }
        s.mount();
        let mut removed = 0;
        for entry in fs::read_dir(s.at("d")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
            removed += 1;
        }
        assert_eq!(removed, 2000);
        fs::remove_dir(s.at("d")).unwrap();
        assert!(!exists(s.at("d")));
    });
}

#[test]
fn a_listing_continues_where_it_was_told_to() {
    rule(|s| {
        for n in 0..300 {
            let layer = if n % 2 == 0 { s.lower(1) } else { s.lower(2) };
            file(&layer, &format!("d/{n:03}"), "");
        }
        s.mount();
        let fd = open(s.at("d"), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let all = entries(&mut Dir::read_from(fd).unwrap());
        let fd = open(s.at("d"), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut dir = Dir::read_from(fd).unwrap();
        let middle = dir.by_ref().nth(100).unwrap().unwrap();
        dir.seek(middle.offset()).unwrap();
        assert_eq!(entries(&mut dir), all[101..]);
    });
}
