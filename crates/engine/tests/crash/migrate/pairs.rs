//! Every driver to every other.

use std::path::Path;

use engine::Engine;
use engine::check::CheckOptions;
use model::progress::Silent;
use testkit::disk::Disk;

use super::{assert_same, facts, fill, migrate, open, present, working};
use crate::volume::Volume;
use crate::{shop, sound};

#[test]
fn every_driver_gives_to_every_other_what_it_has() {
    if !testkit::require_root("migrate::pairs") {
        return;
    }
    sys::process::clear_umask();
    let tmp = shop::temp();
    let drivers = working(tmp.path());
    assert!(drivers.len() >= 3, "{drivers:?}");
    let first = tmp.path().join("first");
    let engine = open(&first, Some("overlay2"));
    fill(&engine);
    let expected = facts(&engine);
    drop(engine);
    for from in &drivers {
        let source = tmp.path().join("source");
        std::fs::create_dir(&source).unwrap();
        Disk::read(&first).0.write_to(&source);
        if *from != "overlay2" {
            moved(&source, "overlay2", from, &expected);
        }
        for to in drivers.iter().filter(|to| *to != from) {
            let copy = tmp.path().join("copy");
            std::fs::create_dir(&copy).unwrap();
            Disk::read(&source).0.write_to(&copy);
            moved(&copy, from, to, &expected);
            std::fs::remove_dir_all(&copy).unwrap();
        }
        std::fs::remove_dir_all(&source).unwrap();
    }
}

/// On a file system where there are subvolumes. What is moved shares its blocks there.
#[test]
fn btrfs_gives_and_takes() {
    let Some(volume) = Volume::btrfs("migrate::pairs, btrfs", "1G") else { return };
    let first = volume.path().join("first");
    let engine = open(&first, Some("overlay2"));
    fill(&engine);
    let expected = facts(&engine);
    drop(engine);
    let drivers = working(volume.path());
    assert!(drivers.contains(&"btrfs"), "{drivers:?}");
    for other in drivers.iter().filter(|other| **other != "btrfs") {
        let copy = volume.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        Disk::read(&first).0.write_to(&copy);
        if *other != "overlay2" {
            moved(&copy, "overlay2", other, &expected);
        }
        moved(&copy, other, "btrfs", &expected);
        moved(&copy, "btrfs", other, &expected);
        std::fs::remove_dir_all(&copy).unwrap();
    }
}

/// Migrates, and compares.
fn moved(root: &Path, from: &str, to: &str, expected: &[String]) {
    let context = format!("{from} to {to}");
    let migrated = migrate(open(root, Some(from)), to).unwrap_or_else(|e| panic!("{context}: {e}"));
    assert_eq!((migrated.images, migrated.containers), (3, 2), "{context}");
    assert_eq!(migrated.warnings, [""; 0], "{context}");
    assert_eq!(present(root), to, "{context}");
    assert!(!root.join(from).exists() && !root.join("layercake/migrate").exists(), "{context}");
    let engine = open(root, Some(to));
    assert_same(&facts(&engine), expected, &context);
    examine(&engine, &context);
}

/// Every layer has its DiffID, and nothing lies about. The layers of the build's step are of use to nothing else.
fn examine(engine: &Engine, context: &str) {
    let report = engine.check(CheckOptions::default(), &Silent).unwrap();
    assert!(report.findings.is_empty(), "{context}: {:?}", report.findings);
    sound::check(engine, context);
}

/// The same file system, and drivers that keep a layer's files alike: nothing is written twice.
#[test]
fn files_of_layers_are_shared_not_copied() {
    if !testkit::require_root("migrate::pairs, sharing") {
        return;
    }
    sys::process::clear_umask();
    let tmp = shop::temp();
    let engine = open(tmp.path(), Some("overlay2"));
    fill(&engine);
    let migrated = migrate(engine, "fuse-overlayfs").unwrap();
    let content = migrated.content;
    assert_eq!(content.cloned, 0);
    // Names of links, and files that the container's overlay has marked as its own.
    assert!(content.linked > 4 * content.written, "{content:?}");
}
