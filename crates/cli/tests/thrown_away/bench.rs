//! `layercake bench`, the real one, in small: as root, as an ordinary user, and ended before its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::archive::Builder;
use testkit::machine;

use crate::world::{SOMEBODY, World, is_root};

/// What is measured of every driver that works, without a runtime too.
const ALWAYS: &[(&str, &str)] = &[
    ("copy-up", "first-write"),
    ("copy-up", "second-write"),
    ("copy-up", "space"),
    ("small-writes", "new"),
    ("small-writes", "changed"),
    ("deep-layers", "load"),
    ("deep-layers", "mount"),
    ("deep-layers", "read"),
    ("walk", "first"),
    ("walk", "again"),
    ("delete", "tree"),
    ("delete", "container"),
    ("page-cache", "memory"),
];

/// The document of `bench --quick` with these arguments.
fn bench(world: &World, before: &[&str], args: &[&str]) -> Value {
    let tmp = world.tmp();
    let usual = ["bench", "--quick", "--format", "json", "--dir", tmp.to_str().unwrap()];
    let text = world.succeeds(before, &[&usual[..], args].concat());
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "something is left");
    serde_json::from_str(&text).unwrap()
}

/// The median of a driver's measure.
fn median(document: &Value, driver: &str, workload: &str, measure: &str) -> Option<f64> {
    let is = |figure: &&Value| {
        figure["Driver"] == driver && figure["Workload"] == workload && figure["Measure"] == measure
    };
    document["Figures"].as_array().unwrap().iter().find(is)?["Median"].as_f64()
}

#[test]
fn all_workloads_are_measured_with_each_driver() {
    if !is_root() {
        return;
    }
    // Who may open the device is the machine's business.
    let of_root = match sys::fuse::open_device() {
        Ok(_) => &["overlay2", "vfs", "fuse-overlayfs"][..],
        Err(why) => {
            machine::skip("measuring fuse-overlayfs", &why.to_string());
            &["overlay2", "vfs"][..]
        }
    };
    for (before, drivers) in [(&[][..], of_root), (SOMEBODY, &["overlay2", "vfs"])] {
        let world = World::new();
        let document = bench(&world, before, &["--drivers", &drivers.join(",")]);
        for driver in drivers {
            for (workload, measure) in ALWAYS {
                let figure = median(&document, driver, workload, measure);
                assert!(figure.is_some(), "{driver} {workload} {measure} {before:?}: {document:#}");
            }
        }
        assert!(median(&document, "volume", "small-writes", "new").is_some());
        // What the pages say, in figures that do not depend on the machine's speed: `--quick` has a file of 4 MiB, and
        // two containers.
        let memory = |driver| median(&document, driver, "page-cache", "memory").unwrap();
        let big = f64::from(4 << 20);
        assert_eq!(memory("overlay2"), big, "one page cache for all containers");
        assert!(memory("vfs") >= 2.0 * big, "one for each");
        if let Some(inodes) = median(&document, "vfs", "inodes", "container") {
            assert!(inodes > document["Entries"].as_f64().unwrap(), "a copy of the image");
            assert!(median(&document, "overlay2", "inodes", "container").unwrap() < 60.0);
        }
    }
}

#[test]
fn all_drivers_that_work_are_compared_and_the_others_named() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let chart = world.dir.path().join("chart.svg");
    let document = bench(&world, &[], &["--svg", chart.to_str().unwrap(), "walk"]);
    let skipped = document["Skipped"].as_array().unwrap();
    for driver in engine::bench::drivers() {
        let measured = median(&document, driver, "walk", "first").is_some();
        let named = skipped.iter().any(|skipped| skipped["Driver"] == driver);
        assert!(measured != named, "{driver}: {document:#}");
    }
    assert!(median(&document, "vfs", "walk", "first").is_some());
    assert!(median(&document, "vfs", "delete", "tree").is_none(), "nobody asked for it");
    assert!(fs::read_to_string(chart).unwrap().contains(">vfs</text>"));
}

#[test]
fn the_users_own_command_runs_in_the_users_image() {
    let name = "the_users_own_command_runs_in_the_users_image";
    const BUSYBOX: &str = "/bin/busybox";
    let runtime = ["crun", "runc"].iter().any(|name| Path::new("/usr/bin").join(name).exists());
    if !is_root() || !fs::exists(BUSYBOX).unwrap() || !runtime {
        return machine::skip(name, "needs root, busybox-static, and crun or runc");
    }
    let world = World::new();
    let tree = Builder::new()
        .dir("bin")
        .file_with("bin/busybox", fs::read(BUSYBOX).unwrap(), |entry| entry.mode = 0o755)
        .symlink("bin/sh", "busybox");
    let archive = world.dir.path().join("tree.tar");
    fs::write(&archive, tree.build()).unwrap();
    let root = world.dir.path().join("root");
    let root = ["--root", root.to_str().unwrap()];
    let on_root = |args: &[&str]| world.succeeds(&[], &[&root[..], args].concat());
    on_root(&["import", archive.to_str().unwrap(), "busybox"]);
    let tmp = world.tmp();
    let dir = ["--dir", tmp.to_str().unwrap()];
    let usual = [&["bench", "--quick", "--image", "busybox", "--drivers", "vfs,overlay2"][..], &dir].concat();
    let text =
        on_root(&[&usual[..], &["--format", "json", "start-up", "--", "/bin/sh", "-c", "true"]].concat());
    let document: Value = serde_json::from_str(&text).unwrap();
    for driver in ["vfs", "overlay2"] {
        for (workload, measure) in [("start-up", "create"), ("start-up", "run"), ("command", "time")] {
            assert!(
                median(&document, driver, workload, measure).is_some(),
                "{driver} {workload} {document:#}"
            );
        }
    }
    let text = on_root(&[&usual[..], &["command", "--", "/bin/sh", "-c", "echo no >&2; exit 3"]].concat());
    assert!(text.contains("Not measured: vfs, command: the command ended with exit code 3: no"), "{text}");
}

#[test]
fn mistakes_are_refused_before_anything_is_made() {
    let world = World::new();
    let tmp = world.tmp();
    for (args, expected) in [
        (&["walks"][..], "unknown workload \"walks\": there are start-up, copy-up,"),
        (&["--drivers", "vfs,ext4"], "Error: driver not supported: ext4"),
        (&["--", "true"], "a command needs an image to run in: give --image"),
        (&["command"], "the workload command needs a command"),
        (&["--dir", "/no/such/dir"], "open /no/such/dir: no such file or directory"),
    ] {
        let dir = ["bench", "--dir", tmp.to_str().unwrap()];
        let output = world.command(&[], &[&dir[..], args].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{args:?}: {said}");
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn nothing_is_left_when_it_is_killed() {
    for before in [&[][..], SOMEBODY] {
        if !is_root() {
            return;
        }
        let world = World::new();
        let tmp = world.tmp();
        let args = ["bench", "--rounds", "50", "--dir", tmp.to_str().unwrap(), "walk", "copy-up"];
        let mut bench = world.command(before, &args).spawn().unwrap();
        let dir = mounted_below(&tmp);
        bench.kill().unwrap();
        bench.wait().unwrap();
        world.assert_nothing_left(&dir);
    }
}

/// Waits until a data root is there; answers with the directory of the command.
fn mounted_below(tmp: &Path) -> PathBuf {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let made = fs::read_dir(tmp).unwrap().flatten().map(|entry| entry.path()).next();
        if let Some(dir) = made.filter(|dir| dir.join("store/overlay2/image").exists()) {
            return dir;
        }
        assert!(Instant::now() < deadline, "no data root is made");
        std::thread::sleep(Duration::from_millis(5));
    }
}
