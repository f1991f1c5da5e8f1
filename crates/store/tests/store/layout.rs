//! Opening a data root.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use store::{DataRoot, Error, Mode};

use crate::world::{self, DRIVER, World, listing, mode};

#[test]
fn a_new_root_has_dockers_directories_and_modes() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("above/store");
    DataRoot::create(&path, DRIVER).unwrap();
    assert_eq!(mode(&path), 0o710);
    for (below, expected) in [
        ("containers", 0o710),
        ("image", 0o700),
        ("image/overlay2", 0o700),
        ("image/overlay2/distribution", 0o700),
        ("image/overlay2/imagedb/content/sha256", 0o700),
        ("image/overlay2/imagedb/metadata/sha256", 0o700),
        ("image/overlay2/layerdb", 0o700),
        ("image/overlay2/layerdb/sha256", 0o755),
        ("image/overlay2/layerdb/mounts", 0o755),
        ("image/overlay2/layerdb/tmp", 0o755),
        ("image/overlay2/repositories.json", 0o600),
        ("layercake", 0o700),
        ("tmp", 0o700),
        ("volumes", 0o701),
    ] {
        assert_eq!(mode(&path.join(below)), expected, "{below}");
    }
    let names = std::fs::read(path.join("image/overlay2/repositories.json")).unwrap();
    assert_eq!(names, br#"{"Repositories":{}}"#);
    assert_eq!(DataRoot::drivers(&path).unwrap(), [DRIVER]);
}

#[test]
fn opening_again_changes_nothing() {
    let world = World::new();
    std::fs::set_permissions(world.path().join("containers"), PermissionsExt::from_mode(0o755)).unwrap();
    drop(world.root.commit().unwrap());
    let before = listing(world.path());
    world.reopen(Mode::Write);
    world.reopen(Mode::Read);
    assert_eq!(listing(world.path()), before);
}

#[test]
fn reading_a_strangers_directory_creates_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let root = DataRoot::open(tmp.path(), DRIVER, Mode::Read).unwrap();
    assert!(root.layers().list().unwrap().is_empty());
    assert!(root.images().list().unwrap().is_empty());
    assert!(root.containers().list().unwrap().is_empty());
    assert!(root.mounts().list().unwrap().is_empty());
    assert_eq!(root.references().read().unwrap().iter().count(), 0);
    assert_eq!(root.containers().resolve("x").unwrap(), None);
    assert_eq!(root.images().find_by_prefix("ab").unwrap(), None);
    assert!(world::problems(&root).is_empty());
    assert!(matches!(root.commit().unwrap_err(), Error::ReadOnly(_)));
    assert!(matches!(root.begin().unwrap_err(), Error::ReadOnly(_)));
    assert!(listing(tmp.path()).is_empty());
}

#[test]
fn what_is_no_root_is_refused() {
    let absent = DataRoot::open(Path::new("/nonexistent/root"), DRIVER, Mode::Read);
    assert!(matches!(absent.unwrap_err(), Error::NoDataRoot(_)));
    let tmp = tempfile::tempdir().unwrap();
    for name in ["", "..", "a/b", "x y"] {
        let opened = DataRoot::open(tmp.path(), name, Mode::Write);
        assert!(matches!(opened.unwrap_err(), Error::DriverName(_)), "{name:?}");
    }
    assert!(listing(tmp.path()).is_empty());
}

#[test]
fn stores_of_different_owners_never_mix() {
    let world = World::new();
    std::fs::write(world.path().join("layercake/store"), "layercake-1 somebody\n").unwrap();
    for mode in [Mode::Read, Mode::Write] {
        let refused = DataRoot::open(world.path(), DRIVER, mode).unwrap_err();
        assert!(matches!(refused, Error::Ownership { .. }), "{refused}");
    }
    if sys::process::euid() != 0 {
        println!("skipped: giving a directory to another user needs root");
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(tmp.path(), Some(12345), None).unwrap();
    let refused = DataRoot::create(tmp.path(), DRIVER).unwrap_err().to_string();
    assert!(refused.contains("belongs to user 12345") && refused.contains("opened as root"), "{refused}");
    assert!(listing(tmp.path()).is_empty());
}

#[test]
fn a_live_daemon_leaves_reading_and_refuses_writing() {
    let world = World::new();
    std::fs::write(world.path().join("volumes/metadata.db"), "").unwrap();
    let before = world.reopen(Mode::Write);
    let volumes = sys::dir::open_path(&world.path().join("volumes")).unwrap();
    let daemon = sys::lock::take(&volumes, "metadata.db".as_ref(), sys::lock::Mutual::Exclusive).unwrap();
    let refused = DataRoot::open(world.path(), DRIVER, Mode::Write).unwrap_err();
    assert!(matches!(&refused, Error::DaemonRunning { file, .. } if file.ends_with("volumes/metadata.db")));
    assert!(matches!(before.commit().unwrap_err(), Error::DaemonRunning { .. }));
    assert!(world.reopen(Mode::Read).live_daemon().unwrap().is_some());
    drop(daemon);
    drop(before.commit().unwrap());
}
