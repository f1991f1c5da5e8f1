//! The driver `btrfs`, on a file system of its own in a file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use drivers::suite::{Bench, Builder, btrfs, new_id, run_at};
use drivers::{Access, Btrfs, Config, Driver, LayerKind, Result};
use model::CacheId;

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(Btrfs::open(config)?))
}

drivers::conformance!(super::open, drivers::suite::btrfs);

/// A container's layer of at most so many bytes.
fn limited(bench: &Bench, parent: Option<&CacheId>, size: u64) -> Result<CacheId> {
    let (stage, id) = (bench.driver.stage()?, new_id());
    bench.driver.prepare(&stage, &id, parent, LayerKind::Writable { size: Some(size) })?;
    bench.driver.publish(&stage, std::slice::from_ref(&id))?;
    Ok(id)
}

/// moby.md §9.3.
#[test]
fn directories_are_docker_s() {
    run_at("directories_are_docker_s", open, btrfs, |bench: &Bench| {
        let id = bench.layer(None, Builder::new().file("file", "x"));
        let small = limited(bench, Some(&id), 100 << 20).unwrap();
        let path = |path: &str| bench.config.root.join(path);
        let of = |name: &str| fs::metadata(path(name)).unwrap();
        let mode = |name: &str| of(name).permissions().mode() & 0o7777;
        assert_eq!(mode("btrfs"), 0o710);
        assert_eq!(mode("btrfs/subvolumes"), 0o710);
        assert_eq!(mode("btrfs/quotas"), 0o700);
        assert_eq!(mode(&format!("btrfs/quotas/{small}")), 0o644);
        assert_eq!(fs::read_to_string(path(&format!("btrfs/quotas/{small}"))).unwrap(), "104857600");
        for id in [&id, &small] {
            let layer = format!("btrfs/subvolumes/{id}");
            assert_eq!(bench.driver.directory(id), path(&layer));
            assert_eq!((mode(&layer), of(&layer).ino()), (0o755, 256), "a subvolume");
        }
        assert_eq!(bench.driver.status().unwrap(), [("Btrfs".to_owned(), String::new())]);
        assert_eq!(bench.driver.metadata(&id).unwrap(), []);
        bench.driver.discard(&small).unwrap();
        assert_eq!(fs::read_dir(path("btrfs/quotas")).unwrap().count(), 0);
    });
}

/// Docker's SetQuota (moby.md §14): half of it goes, more does not, and others are not harmed.
#[test]
fn a_full_layer_harms_no_other() {
    run_at("a_full_layer_harms_no_other", open, btrfs, |bench: &Bench| {
        let image = bench.layer(None, Builder::new().file("file", vec![1; 1 << 20]));
        let small = limited(bench, Some(&image), 50 << 20).unwrap();
        let other = bench.container(Some(&image));
        let (small_root, other_root) = (
            bench.driver.mount(&small, Access::Write).unwrap(),
            bench.driver.mount(&other, Access::Write).unwrap(),
        );
        fs::write(small_root.join("half"), vec![2; 25 << 20]).unwrap();
        let refused = fs::write(small_root.join("more"), vec![3; 50 << 20]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::QuotaExceeded, "{refused}");
        fs::write(other_root.join("much"), vec![4; 80 << 20]).unwrap();
        assert_eq!(fs::read(small_root.join("half")).unwrap(), vec![2; 25 << 20]);
        // The counter tells the size; where there is no limit, the trees.
        let counted = bench.driver.counted(&small).unwrap().unwrap();
        assert!(((25 << 20)..(51 << 20)).contains(&counted), "{counted}");
        assert_eq!(bench.driver.counted(&other).unwrap(), None);
        assert_eq!(bench.driver.usage(&other, Some(&image)).unwrap(), 80 << 20);
    });
}

/// After a copy of the data root, the file system knows no limits; a mount tells it again, as Docker's does.
#[test]
fn a_mount_applies_a_lost_limit_again() {
    run_at("a_mount_applies_a_lost_limit_again", open, btrfs, |bench: &Bench| {
        let id = bench.container(None);
        let quotas = bench.driver.home().join("quotas");
        fs::create_dir(&quotas).unwrap();
        fs::write(quotas.join(id.as_str()), "20000000").unwrap();
        let root = bench.driver.mount(&id, Access::Write).unwrap();
        let refused = fs::write(root.join("much"), vec![1; 40 << 20]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::QuotaExceeded, "{refused}");
    });
}

#[test]
fn limits_are_checked() {
    run_at("limits_are_checked", open, btrfs, |bench: &Bench| {
        let options = |text: &str| Config { options: vec![text.to_owned()], ..bench.config.clone() };
        for (option, error) in [
            ("btrfs.size=1G", "Unknown option btrfs.size"),
            ("nonsense", "unable to parse key/value option: nonsense"),
            ("btrfs.min_space=1x", "invalid suffix: 'x'"),
        ] {
            assert_eq!(open(&options(option)).err().unwrap().to_string(), error);
        }
        let driver = open(&options("BTRFS.min_space = 1G")).unwrap();
        let stage = driver.stage().unwrap();
        for (size, error) in [
            (0, "btrfs: invalid storage size: 0B"),
            (1 << 20, "btrfs: storage size cannot be less than 1.074GB"),
        ] {
            let kind = LayerKind::Writable { size: Some(size) };
            let refused = driver.prepare(&stage, &new_id(), None, kind).unwrap_err();
            assert_eq!(refused.to_string(), error);
        }
        let kind = LayerKind::Writable { size: Some(2 << 30) };
        driver.prepare(&stage, &new_id(), None, kind).unwrap();
    });
}

/// Docker's SubvolDelete (moby.md §14): a container may make subvolumes of its own.
#[test]
fn subvolumes_inside_a_layer_go_with_it() {
    run_at("subvolumes_inside_a_layer_go_with_it", open, btrfs, |bench: &Bench| {
        let id = bench.container(None);
        let root = bench.driver.mount(&id, Access::Write).unwrap();
        testkit::tree::file(&root, "a/b/file", "x");
        let dir = sys::dir::open_path(&root.join("a/b")).unwrap();
        sys::btrfs::create(&dir, "inner".as_ref()).unwrap();
        testkit::tree::file(&root, "a/b/inner/c/file", "x");
        let inner = sys::dir::open_path(&root.join("a/b/inner/c")).unwrap();
        sys::btrfs::snapshot(sys::dir::open_path(&root.join("a/b/inner")).unwrap(), &inner, "copy".as_ref())
            .unwrap();
        drop((dir, inner));
        bench.driver.discard(&id).unwrap();
        assert_eq!(bench.driver.sweep().unwrap().removed, 1);
        let trash = bench.driver.home().join(".layercake/trash");
        assert_eq!(fs::read_dir(trash).unwrap().count(), 0);
    });
}

/// `kill -9` between the two steps of a discard leaves a limit without a layer; in the middle of a sweep, half a stage.
#[test]
fn what_a_crash_left_is_swept() {
    run_at("what_a_crash_left_is_swept", open, btrfs, |bench: &Bench| {
        let id = limited(bench, None, 1 << 30).unwrap();
        let quotas = bench.driver.home().join("quotas");
        fs::write(quotas.join(new_id().as_str()), "1000000").unwrap();
        let stage = bench.driver.stage().unwrap();
        for size in [None, Some(1 << 30)] {
            bench.driver.prepare(&stage, &new_id(), None, LayerKind::Writable { size }).unwrap();
        }
        drop(stage);
        assert_eq!(bench.reopen().sweep().unwrap(), drivers::Swept { stages: 1, removed: 1, left: 0 });
        let left: Vec<_> = fs::read_dir(&quotas).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [id.as_str()]);
        assert_eq!(bench.driver.list().unwrap(), [id]);
    });
}

/// A data root that was copied file by file has directories where subvolumes should be.
#[test]
fn a_layer_that_is_no_subvolume_is_found() {
    run_at("a_layer_that_is_no_subvolume_is_found", open, btrfs, |bench: &Bench| {
        let id = new_id();
        let path = bench.driver.home().join("subvolumes").join(id.as_str());
        testkit::tree::file(&path, "dir/file", "content");
        let findings = bench.driver.check(&id, None).unwrap();
        assert_eq!(findings.len(), 1);
        assert!(findings[0].to_string().contains("is no subvolume"), "{}", findings[0]);
        bench.driver.repair(&findings[0]).unwrap();
        bench.driver.repair(&findings[0]).unwrap();
        assert_eq!(bench.driver.check(&id, None).unwrap(), []);
        let above = bench.container(Some(&id));
        bench.look(&above, |root| assert_eq!(fs::read_to_string(root.join("dir/file")).unwrap(), "content"));
        bench.driver.sweep().unwrap();
        assert_eq!(bench.driver.list().unwrap().len(), 2);
    });
}

/// The file system says where something changed, and only there is looked: the same is found as by a walk.
#[test]
fn changes_are_found_without_a_walk() {
    run_at("changes_are_found_without_a_walk", open, btrfs, |bench: &Bench| {
        let mut archive = Builder::new();
        for dir in ["a", "b", "c", "moved", "replaced", "still"] {
            archive = archive.dir(dir).dir(format!("{dir}/in")).dir(format!("{dir}/in/deep"));
            for n in 0..50 {
                archive = archive.file(format!("{dir}/in/deep/{n}"), format!("{dir}{n}"));
            }
        }
        let image = bench.layer(None, archive);
        let id = bench.container(Some(&image));
        let walked = |id: &CacheId| {
            let root = |id| bench.driver.layer_root(id).unwrap();
            changeset::changes::tree_changes(&root(id), root(&image)).unwrap()
        };
        assert_eq!(bench.driver.changes(&id, Some(&image)).unwrap(), []);
        bench.edit(&id, |root| {
            fs::write(root.join("a/in/deep/7"), "changed").unwrap();
            fs::remove_file(root.join("b/in/deep/8")).unwrap();
            fs::hard_link(root.join("c/in/deep/9"), root.join("a/linked")).unwrap();
            fs::remove_dir_all(root.join("replaced")).unwrap();
            fs::rename(root.join("moved"), root.join("replaced")).unwrap();
            testkit::tree::set_xattr(
                &root.join("c/in/deep/1"),
                "security.capability",
                &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            );
            testkit::tree::file(root, "new/in/deep/file", "new");
            let inside = sys::dir::open_path(&root.join("b")).unwrap();
            sys::btrfs::create(&inside, "subvolume".as_ref()).unwrap();
            testkit::tree::file(root, "b/subvolume/dir/file", "in another subvolume");
        });
        let changes = bench.driver.changes(&id, Some(&image)).unwrap();
        assert_eq!(changes, walked(&id));
        assert!(changes.len() > 60, "{}", changes.len());
        assert_eq!(bench.changes(&id, Some(&image))[..3], ["C /a", "C /a/in", "C /a/in/deep"]);

        // One change is known by a handful of inodes.
        let copy = bench.container(Some(&image));
        bench.edit(&copy, |root| fs::write(root.join("still/in/deep/3"), "x").unwrap());
        let root = bench.driver.layer_root(&copy).unwrap();
        let touched = sys::btrfs::touched_since(&root, sys::btrfs::info(&root).unwrap().created).unwrap();
        assert!(touched.len() < 10, "{touched:?}");
        assert_eq!(bench.driver.changes(&copy, Some(&image)).unwrap(), walked(&copy));
        // A layer that is no snapshot of the other is compared as a whole.
        assert!(bench.driver.changes(&copy, Some(&id)).unwrap().len() > 60);
    });
}
