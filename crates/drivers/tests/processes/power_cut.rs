//! The driver `btrfs` and a power cut: what the disk has at the moment when a call returns. The file behind the loop
//! device is copied then, and the copy mounted: btrfs shows the last state that was whole.

use std::fs;
use std::path::Path;
use std::process::Command;

use drivers::suite::{Bench, btrfs, new_id, run_at};
use drivers::{Config, Driver, LayerKind};
use model::CacheId;

#[test]
fn what_was_published_is_there_and_what_was_discarded_is_gone() {
    let name = "what_was_published_is_there_and_what_was_discarded_is_gone";
    run_at(
        name,
        |config| drivers::open("btrfs", config),
        btrfs,
        |bench: &Bench| {
            let driver = &bench.driver;
            let stage = driver.stage().unwrap();
            let [base, top, container] = [new_id(), new_id(), new_id()];
            driver.prepare(&stage, &base, None, LayerKind::ReadOnly).unwrap();
            testkit::tree::file(driver.staged_root(&stage, &base).unwrap().path(), "dir/file", "below");
            driver.prepare(&stage, &top, Some(&base), LayerKind::ReadOnly).unwrap();
            testkit::tree::file(driver.staged_root(&stage, &top).unwrap().path(), "dir/file", "above");
            let limited = LayerKind::Writable { size: Some(1 << 30) };
            driver.prepare(&stage, &container, Some(&top), limited).unwrap();
            driver.sync_stage(&stage).unwrap();
            driver.publish(&stage, &[base.clone(), top.clone(), container.clone()]).unwrap();
            after_a_cut(bench, |driver, home| {
                assert_eq!(sorted(driver), ids([&base, &top, &container]));
                for (id, content) in [(&base, "below"), (&top, "above"), (&container, "above")] {
                    assert_eq!(driver.check(id, None).unwrap(), []);
                    let root = driver.layer_root(id).unwrap();
                    assert_eq!(fs::read_to_string(root.path().join("dir/file")).unwrap(), content);
                }
                let limit = fs::read_to_string(home.join("quotas").join(container.as_str())).unwrap();
                assert_eq!(limit, (1u64 << 30).to_string());
                let root = driver.layer_root(&container).unwrap();
                let subvolume = sys::btrfs::subvolume_id(&root).unwrap();
                assert_eq!(sys::btrfs::limit(&root, subvolume).unwrap(), Some(1 << 30));
            });

            for id in [&container, &top] {
                driver.discard(id).unwrap();
            }
            driver.sync().unwrap();
            after_a_cut(bench, |driver, home| {
                assert_eq!(sorted(driver), ids([&base]));
                assert_eq!(fs::read_dir(home.join("quotas")).unwrap().count(), 0);
                driver.sweep().unwrap();
                assert!(!driver.has_trash().unwrap());
            });
        },
    );
}

fn ids<const N: usize>(ids: [&CacheId; N]) -> Vec<String> {
    let mut ids = ids.map(ToString::to_string).to_vec();
    ids.sort();
    ids
}

fn sorted(driver: &dyn Driver) -> Vec<String> {
    let mut ids: Vec<String> = driver.list().unwrap().iter().map(ToString::to_string).collect();
    ids.sort();
    ids
}

/// Opens the driver on the disk as it is now.
fn after_a_cut(bench: &Bench, look: impl FnOnce(&dyn Driver, &Path)) {
    let top = bench.config.root.parent().unwrap();
    let image = top.with_file_name("image");
    let (copy, place) = (image.with_file_name("copy"), image.with_file_name("after"));
    fs::create_dir(&place).unwrap();
    let run = |program: &str, args: &[&Path]| {
        let output = Command::new(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run("cp", &["--sparse=always".as_ref(), &image, &copy]);
    // Two file systems of one identity cannot be mounted at the same time.
    run("btrfstune", &["-f".as_ref(), "-u".as_ref(), &copy]);
    run("mount", &["-o".as_ref(), "loop".as_ref(), &copy, &place]);
    let root = place.join(bench.config.root.file_name().unwrap());
    let driver = drivers::open("btrfs", &Config::new(&root)).unwrap();
    look(&*driver, driver.home());
    drop(driver);
    run("umount", &[&place]);
    fs::remove_dir(&place).unwrap();
    fs::remove_file(&copy).unwrap();
}
