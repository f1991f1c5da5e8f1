//! The rules of selection, one test each.

use std::path::Path;

use super::*;
use crate::Prerequisite;

fn root(dirs: &[&str]) -> (tempfile::TempDir, Config) {
    let tmp = tempfile::tempdir().unwrap();
    for dir in dirs {
        std::fs::create_dir_all(tmp.path().join(dir)).unwrap();
    }
    let config = Config::new(tmp.path());
    (tmp, config)
}

fn chosen(name: Option<&str>, config: &Config) -> (&'static str, Why) {
    let selected = select(name, config).map_err(|e| e.to_string()).unwrap();
    assert_eq!(selected.driver.name(), selected.choice.driver);
    (selected.choice.driver, selected.choice.why)
}

fn refused(name: Option<&str>, config: &Config) -> String {
    select(name, config).err().unwrap().to_string()
}

#[test]
fn the_order_is_docker_23_s() {
    let docker = ["overlay2", "fuse-overlayfs", "btrfs", "zfs", "aufs", "overlay", "devicemapper", "vfs"];
    let expected: Vec<&str> = docker.into_iter().filter(|name| is_known(name)).collect();
    assert_eq!(names().collect::<Vec<_>>(), expected);
    let tried: Vec<&str> = KNOWN.iter().filter(|known| known.tried).map(|known| known.name).collect();
    assert!(tried.iter().all(|name| !["aufs", "overlay", "devicemapper"].contains(name)), "{tried:?}");
    assert_eq!(tried.last(), Some(&"vfs"));
}

#[test]
fn a_name_decides_whatever_is_there() {
    let (_tmp, config) = root(&["overlay2/x", "fuse-overlayfs/x"]);
    assert_eq!(chosen(Some("vfs"), &config), ("vfs", Why::Asked));
}

#[test]
fn an_unknown_name_has_docker_s_message() {
    let (_tmp, config) = root(&["overlay2/x"]);
    assert_eq!(refused(Some("qcow"), &config), "driver not supported: qcow");
}

/// moby.md §10.1, "verified cases".
#[test]
fn layers_that_are_there_decide() {
    let (_tmp, config) = root(&["overlay2/x"]);
    assert_eq!(chosen(None, &config), ("overlay2", Why::Prior));
    let (_tmp, config) = root(&["overlay2", "fuse-overlayfs/x"]);
    assert_eq!(chosen(None, &config), ("fuse-overlayfs", Why::Prior));
}

#[test]
fn empty_directories_and_layers_of_vfs_decide_nothing() {
    let (_tmp, config) = root(&["overlay2", "vfs/dir/x"]);
    assert_eq!(prior_states(&config).unwrap(), Vec::<&str>::new());
    let (_tmp, config) = root(&["overlay2/x", "vfs/dir/x"]);
    assert_eq!(prior_states(&config).unwrap(), ["overlay2"]);
    assert_eq!(chosen(None, &config), ("overlay2", Why::Prior));
}

/// Docker 20.10: `prerequisites not satisfied`, and no other driver is taken.
#[test]
fn layers_of_a_driver_that_does_not_work_here_are_an_error() {
    let (_tmp, config) = root(&["btrfs/subvolumes"]);
    if probe("btrfs", &config).unwrap().is_ok() {
        return println!("skipped: the temporary directory is on btrfs");
    }
    let text = refused(None, &config);
    assert!(
        text.starts_with(
            "prerequisites for driver btrfs not satisfied: it needs a data root on btrfs; found: "
        )
    );
    // With others there too, Docker tells of the one that comes first in its order.
    let (_tmp, config) = root(&["btrfs/subvolumes", "overlay2/x"]);
    assert!(refused(None, &config).contains("several valid graphdrivers: overlay2, btrfs;"));
}

#[test]
fn a_file_in_a_driver_s_place_is_no_layer() {
    let (tmp, config) = root(&[]);
    std::fs::write(tmp.path().join("overlay2"), "x").unwrap();
    assert_eq!(prior_states(&config).unwrap(), Vec::<&str>::new());
}

#[test]
fn layers_of_several_drivers_are_refused_by_name() {
    let (tmp, config) = root(&["overlay2/x", "fuse-overlayfs/x"]);
    assert_eq!(
        refused(None, &config),
        format!(
            "{} contains several valid graphdrivers: overlay2, fuse-overlayfs; please cleanup or explicitly choose \
             storage driver (--storage-driver <DRIVER>)",
            tmp.path().display()
        )
    );
}

#[test]
fn without_layers_the_first_that_works_is_taken_and_the_others_say_why_not() {
    let (_tmp, config) = root(&[]);
    let Selected { driver, choice } = select(None, &config).map_err(|e| e.to_string()).unwrap();
    assert_eq!(choice.why, Why::First);
    let before: Vec<&str> =
        KNOWN.iter().filter(|k| k.tried).map(|k| k.name).take_while(|name| *name != driver.name()).collect();
    assert_eq!(choice.refused.iter().map(|r| r.driver).collect::<Vec<_>>(), before);
}

#[test]
fn a_driver_that_does_not_work_here_is_refused_when_it_is_asked_for_and_makes_nothing() {
    let (tmp, config) = root(&[]);
    // There is no program that serves unions.
    let error = select(Some("fuse-overlayfs"), &config).err().unwrap();
    assert!(
        matches!(&error, Error::Prerequisite { driver: "fuse-overlayfs", unmet }
            if matches!(unmet.what, Prerequisite::Program(_))),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
}

#[test]
fn probes_leave_nothing_behind() {
    let (tmp, config) = root(&[]);
    for name in names() {
        let _ = probe(name, &config).unwrap();
        let left: Vec<_> = std::fs::read_dir(tmp.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new(), "{name}");
    }
    assert!(matches!(probe("qcow", &config), Err(Error::UnknownDriver(_))));
}

#[test]
fn opening_a_root_for_the_second_time_changes_nothing() {
    let (tmp, config) = root(&[]);
    let always = ["overlay2", "fuse-overlayfs", "aufs", "overlay", "vfs"];
    always.iter().for_each(|name| drop(open(name, &config).unwrap()));
    let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let before = modified(tmp.path());
    always.iter().for_each(|name| drop(open(name, &config).unwrap()));
    assert_eq!(modified(tmp.path()), before);
}

/// What each driver says to options, in Docker's words (moby.md §10.2).
#[test]
fn options_have_docker_s_error_texts() {
    let (_tmp, mut config) = root(&[]);
    let mut open_with = |driver: &str, option: &str| {
        config.options = vec![option.to_owned()];
        open(driver, &config).err().map(|e| e.to_string())
    };
    for (driver, option, text) in [
        ("overlay2", "nonsense", "unable to parse key/value option: nonsense"),
        ("overlay2", "dm.fs=xfs", "overlay2: unknown option dm.fs"),
        ("overlay2", "overlay2.size=1x", "invalid suffix: 'x'"),
        (
            "overlay2",
            "overlay2.override_kernel_check=yes",
            "strconv.ParseBool: parsing \"yes\": invalid syntax",
        ),
        ("fuse-overlayfs", "overlay2.size=1", "fuse-overlayfs: unknown option overlay2.size"),
        ("aufs", "overlay2.size=1", "aufs: unknown option overlay2.size"),
        ("overlay", "Overlay.Size=1", "overlay: unknown option overlay.size"),
        ("vfs", "overlay2.size=1", "unknown option overlay2.size for vfs"),
        ("vfs", "Size=0", "unknown option Size for vfs"),
        ("vfs", "vfs.xattrs=yes", "vfs.xattrs=yes: the only value is i_want_broken_containers"),
    ] {
        assert_eq!(open_with(driver, option).as_deref(), Some(text), "{driver} {option}");
    }
    // Where the temporary directory has no project quotas.
    if let Some(text) = open_with("vfs", "size=1G") {
        assert!(
            text.starts_with("Filesystem does not support, or has not enabled quotas: it needs "),
            "{text}"
        );
    }
    assert_eq!(open_with("vfs", "size=0"), None);
    for option in
        ["Overlay2.Size = 0", "overlay2.override_kernel_check=true", "overlay2.override_kernel_check=F"]
    {
        assert_eq!(open_with("overlay2", option), None, "{option}");
    }
}
