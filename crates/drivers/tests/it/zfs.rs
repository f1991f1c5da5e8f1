//! The driver `zfs`, on a pool in a file. It takes a kernel with ZFS: `cargo xtask vm long`.

use std::fs;

use drivers::suite::{Bench, Builder, new_id, run_at, zfs};
use drivers::{Access, Config, Driver, LayerKind, Result, Zfs};
use model::CacheId;

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(Zfs::open(config)?))
}

drivers::conformance!(super::open, drivers::suite::zfs);

/// A container's layer of at most so many bytes.
fn limited(bench: &Bench, parent: Option<&CacheId>, size: u64) -> CacheId {
    let (stage, id) = (bench.driver.stage().unwrap(), new_id());
    bench.driver.prepare(&stage, &id, parent, LayerKind::Writable { size: Some(size) }).unwrap();
    bench.driver.publish(&stage, std::slice::from_ref(&id)).unwrap();
    id
}

/// moby.md §9.5.
#[test]
fn names_are_docker_s() {
    run_at("names_are_docker_s", open, zfs, |bench| {
        let id = bench.layer(None, Builder::new().file("file", "x"));
        let status = bench.driver.status().unwrap();
        let names: Vec<&str> = status.iter().map(|line| line.0.as_str()).collect();
        assert_eq!(
            names,
            [
                "Zpool",
                "Zpool Health",
                "Parent Dataset",
                "Space Used By Parent",
                "Space Available",
                "Parent Quota",
                "Compression"
            ]
        );
        assert_eq!((status[1].1.as_str(), status[5].1.as_str()), ("ONLINE", "no"));
        let point = bench.config.root.join("zfs/graph").join(id.as_str());
        let data = [
            ("Dataset".to_owned(), format!("{}/{id}", status[2].1)),
            ("Mountpoint".to_owned(), point.display().to_string()),
        ];
        assert_eq!(bench.driver.metadata(&id).unwrap(), data);
        assert_eq!(bench.driver.mount(&id, Access::Read).unwrap(), point);
        bench.driver.unmount(&id).unwrap();
    });
}

/// Docker's SetQuota (moby.md §14).
#[test]
fn a_full_layer_harms_no_other() {
    run_at("a_full_layer_harms_no_other", open, zfs, |bench| {
        let image = bench.layer(None, Builder::new().file("file", "x"));
        let (full, other) = (limited(bench, Some(&image), 50 << 20), bench.container(Some(&image)));
        let root = bench.driver.mount(&full, Access::Write).unwrap();
        fs::write(root.join("fits"), vec![1; 25 << 20]).unwrap();
        let error = fs::write(root.join("more"), vec![1; 50 << 20]).unwrap_err();
        let kinds = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded];
        assert!(kinds.contains(&error.kind()), "{error}");
        bench.edit(&other, |root| fs::write(root.join("new"), vec![1; 60 << 20]).unwrap());
        bench.driver.unmount(&full).unwrap();
        let counted = bench.driver.usage(&full, Some(&image)).unwrap();
        assert!(counted >= 25 << 20, "{counted}");
    });
}

/// A dataset that the user names holds the layers, wherever the data root is.
#[test]
fn the_dataset_can_be_named() {
    run_at("the_dataset_can_be_named", open, zfs, |bench| {
        let elsewhere = tempfile::tempdir().unwrap();
        let refused = open(&Config::new(elsewhere.path())).err().unwrap().to_string();
        assert!(refused.contains("name one with --storage-opt zfs.fsname="), "{refused}");
        let mut config = Config::new(elsewhere.path());
        let parent = bench.driver.status().unwrap()[2].1.clone();
        config.options = vec![format!("zfs.fsname={parent}")];
        let id = bench.layer(None, Builder::new().file("file", "x"));
        assert!(open(&config).unwrap().exists(&id).unwrap());
    });
}
