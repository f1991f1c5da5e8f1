//! Real mounts, each test in a mount namespace of its own. They need the right to mount.

use super::*;
use crate::dir;
use std::fs;

/// A directory on tmpfs with layers `1`, `2`, … (1 at the bottom), `up`, `work` and `on`; `None` without the right to
/// mount.
fn layers(count: usize) -> Option<tempfile::TempDir> {
    if let Err(e) = private_namespace() {
        eprintln!("SKIPPED, no right to mount: {e}");
        return None;
    }
    let tmp = tempfile::tempdir().unwrap();
    for name in ["up", "work", "on"] {
        fs::create_dir(tmp.path().join(name)).unwrap();
    }
    for n in 1..=count {
        fs::create_dir(tmp.path().join(n.to_string())).unwrap();
        fs::write(tmp.path().join(format!("{n}/file{n}")), n.to_string()).unwrap();
        fs::write(tmp.path().join(format!("{n}/top")), n.to_string()).unwrap();
    }
    Some(tmp)
}

fn branch(home: &Path, path: &str) -> Branch {
    let fd = open_layer(dir::open_path(home).unwrap(), Path::new(path)).unwrap();
    Branch { fd, path: path.into() }
}

fn overlay(home: &Path, lowers: usize, writable: bool) -> Overlay<'_> {
    Overlay {
        lowers: (1..=lowers).rev().map(|n| branch(home, &n.to_string())).collect(),
        upper: writable.then(|| (branch(home, "up"), branch(home, "work"))),
        options: vec![],
        home,
    }
}

fn mounted(home: &Path) -> Option<Mounted> {
    at(dir::open_path(home).unwrap(), OsStr::new("on")).unwrap()
}

#[test]
fn both_ways_mount_the_nearest_layer_on_top() {
    let Some(tmp) = layers(3) else { return };
    let on = tmp.path().join("on");
    for way in [Overlay::mount_new, Overlay::mount_classic] {
        way(&overlay(tmp.path(), 3, true), &on).unwrap();
        assert_eq!(fs::read_to_string(on.join("top")).unwrap(), "3");
        assert_eq!(fs::read_to_string(on.join("file1")).unwrap(), "1");
        fs::write(on.join("new"), "").unwrap();
        assert_eq!(mounted(tmp.path()), Some(Mounted { magic: OVERLAY_MAGIC, read_only: false }));
        assert_eq!(table(tmp.path()).unwrap()[0].fs_type, "overlay");
        unmount(&on).unwrap();
        assert_eq!(mounted(tmp.path()), None);
        fs::remove_file(tmp.path().join("up/new")).unwrap();
    }
}

#[test]
fn without_an_upper_nothing_can_be_written() {
    let Some(tmp) = layers(2) else { return };
    let on = tmp.path().join("on");
    for way in [Overlay::mount_new, Overlay::mount_classic] {
        way(&overlay(tmp.path(), 2, false), &on).unwrap();
        assert!(fs::write(on.join("new"), "").is_err());
        assert!(mounted(tmp.path()).unwrap().read_only);
        detach(&on).unwrap();
    }
}

#[test]
fn five_hundred_layers_mount_by_the_new_api_and_are_refused_clearly_by_the_old() {
    let Some(tmp) = layers(500) else { return };
    let on = tmp.path().join("on");
    match overlay(tmp.path(), 500, true).mount(&on) {
        Ok(by) => assert_eq!(by, MountedBy::NewApi),
        Err(e) => return eprintln!("SKIPPED, this kernel has no lowerdir+: {e}"),
    }
    assert_eq!(fs::read_to_string(on.join("file1")).unwrap(), "1");
    unmount(&on).unwrap();
    // The directories have short names here: 500 × 9 bytes do not fit, 128 × 29 do.
    let mut wide = overlay(tmp.path(), 500, true);
    for (n, lower) in wide.lowers.iter_mut().enumerate() {
        lower.path = format!("../{}/{}", tmp.path().file_name().unwrap().to_str().unwrap(), 500 - n).into();
    }
    assert_eq!(wide.mount_classic(&on).unwrap_err().errno, Errno::TOOBIG);
}

#[test]
fn names_that_mean_something_to_the_option_parser() {
    let Some(tmp) = layers(0) else { return };
    let on = tmp.path().join("on");
    let home = tmp.path().join(r"a,b:c\d");
    for name in [r"lo,w:er\1", r"up,p:er\1", r"wo,r:k\1"] {
        fs::create_dir_all(home.join(name)).unwrap();
    }
    fs::write(home.join(r"lo,w:er\1/file"), "x").unwrap();
    for way in [Overlay::mount_new, Overlay::mount_classic] {
        let overlay = Overlay {
            lowers: vec![branch(&home, r"lo,w:er\1")],
            upper: Some((branch(&home, r"up,p:er\1"), branch(&home, r"wo,r:k\1"))),
            options: vec![],
            home: &home,
        };
        way(&overlay, &on).unwrap();
        assert_eq!(fs::read_to_string(on.join("file")).unwrap(), "x");
        unmount(&on).unwrap();
    }
}

#[test]
fn a_path_that_is_too_long_for_fsconfig() {
    let Some(tmp) = layers(0) else { return };
    let on = tmp.path().join("on");
    let home = tmp.path().join("n".repeat(200)).join("m".repeat(200));
    fs::create_dir_all(home.join("1")).unwrap();
    fs::create_dir_all(home.join("2")).unwrap();
    fs::write(home.join("1/file"), "x").unwrap();
    overlay(&home, 2, false).mount(&on).unwrap();
    assert_eq!(fs::read_to_string(on.join("file")).unwrap(), "x");
    unmount(&on).unwrap();
}

#[test]
fn a_busy_mount_can_only_be_detached() {
    let Some(tmp) = layers(1) else { return };
    let on = tmp.path().join("on");
    overlay(tmp.path(), 1, true).mount(&on).unwrap();
    let open = fs::File::create(on.join("held")).unwrap();
    assert_eq!(unmount(&on).unwrap_err().errno, Errno::BUSY);
    detach(&on).unwrap();
    assert_eq!(mounted(tmp.path()), None);
    drop(open);
}

#[test]
fn a_read_only_bind_protects_the_view_and_not_the_source() {
    let Some(tmp) = layers(1) else { return };
    let on = tmp.path().join("on");
    bind(dir::open_path(&tmp.path().join("1")).unwrap(), &on, true).unwrap();
    assert!(fs::write(on.join("new"), "").is_err());
    assert!(mounted(tmp.path()).unwrap().read_only);
    fs::write(tmp.path().join("1/new"), "x").unwrap();
    assert_eq!(fs::read_to_string(on.join("new")).unwrap(), "x");
    unmount(&on).unwrap();
    assert_eq!(mounted(tmp.path()), None);
}

#[test]
fn a_name_that_is_not_there_has_nothing_mounted_on_it() {
    let tmp = tempfile::tempdir().unwrap();
    let fd = dir::open_path(tmp.path()).unwrap();
    assert_eq!(at(&fd, OsStr::new("none")).unwrap(), None);
    assert_eq!(at(&fd, OsStr::new("..")).unwrap_err().errno, Errno::INVAL);
}
