//! The driver `devicemapper`, on a pool in files. It takes a kernel with thin pools: `cargo xtask vm`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use drivers::suite::{Bench, Builder, new_id, run_at, thin_ext4, thin_xfs};
use drivers::{Access, Config, DeviceMapper, Driver, LayerKind, Result};
use model::CacheId;

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(DeviceMapper::open(config)?))
}

drivers::conformance!(super::open, drivers::suite::thin_ext4);

/// What depends on the file system; XFS cannot hold the device numbers of the other cases.
mod on_xfs {
    use super::{open, thin_xfs};

    drivers::conformance!(@module graph super::open, super::thin_xfs,
        create_base create_snap diff_apply changes);
    drivers::conformance!(@module snapshots super::open, super::thin_xfs,
        basic directory_attributes_over_three_layers view_refuses_writes rename);
    drivers::conformance!(@module layers super::open, super::thin_xfs,
        whiteouts_and_opaque_directories attributes_survive sparse_files_stay_sparse symlinks_do_not_lead_out);
    drivers::conformance!(@module life super::open, super::thin_xfs,
        discard_what_is_mounted mount_is_idempotent_across_processes a_detached_mount_stays_usable);
}

fn metadata(bench: &Bench, name: &str) -> PathBuf {
    bench.config.root.join("devicemapper/metadata").join(name)
}

fn text(bench: &Bench, name: &str) -> String {
    fs::read_to_string(metadata(bench, name)).unwrap()
}

/// A container's layer of at most so many bytes.
fn limited(bench: &Bench, parent: Option<&CacheId>, size: u64) -> Result<CacheId> {
    let (stage, id) = (bench.driver.stage()?, new_id());
    bench.driver.prepare(&stage, &id, parent, LayerKind::Writable { size: Some(size) })?;
    bench.driver.publish(&stage, std::slice::from_ref(&id))?;
    Ok(id)
}

/// moby.md §9.7.
#[test]
fn files_are_docker_s() {
    run_at("files_are_docker_s", open, thin_ext4, |bench| {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let id = bench.container(Some(&base));
        assert_eq!(
            text(bench, "base"),
            r#"{"device_id":1,"size":134217728,"transaction_id":1,"initialized":true,"deleted":false}"#
        );
        assert_eq!(
            text(bench, base.as_str()),
            r#"{"device_id":2,"size":134217728,"transaction_id":2,"initialized":false,"deleted":false}"#
        );
        assert_eq!(
            text(bench, "transaction-metadata"),
            format!(r#"{{"open_transaction_id":3,"device_hash":"{id}","device_id":3}}"#)
        );
        let set = text(bench, "deviceset-metadata");
        assert!(set.starts_with(r#"{"next_device_id":0,"BaseDeviceUUID":""#), "{set}");
        assert!(set.ends_with(r#"","BaseDeviceFilesystem":"ext4"}"#), "{set}");
        let mode = |path: &str| {
            let path = bench.config.root.join("devicemapper").join(path);
            fs::metadata(path).unwrap().permissions().mode() & 0o7777
        };
        assert_eq!([mode(""), mode("metadata"), mode("devicemapper")], [0o700; 3]);
        assert_eq!([mode("metadata/base"), mode("devicemapper/data")], [0o600; 2]);

        let root = bench.driver.mount(&id, Access::Write).unwrap();
        let mounted = bench.config.root.join("devicemapper/mnt").join(id.as_str());
        assert_eq!(root, mounted.join("rootfs"));
        assert_eq!(fs::read_to_string(mounted.join("id")).unwrap(), base.as_str());
        bench.driver.unmount(&id).unwrap();

        let data = bench.driver.metadata(&id).unwrap();
        let keys: Vec<&str> = data.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["DeviceId", "DeviceName", "DeviceSize"]);
        assert!(data[1].1.starts_with("docker-") && data[1].1.ends_with(id.as_str()), "{data:?}");
    });
}

/// The lines of Docker, in its order.
#[test]
fn status_lines() {
    run_at("status_lines", open, thin_ext4, |bench| {
        let before = bench.driver.status().unwrap();
        assert_eq!(before[0].0, "Pool Name");
        assert!(!bench.config.root.join("devicemapper/devicemapper").exists(), "to ask makes nothing");
        bench.layer(None, Builder::new().file("file", "x"));
        let lines = bench.driver.status().unwrap();
        let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Pool Name",
                "Pool Blocksize",
                "Base Device Size",
                "Backing Filesystem",
                "Udev Sync Supported",
                "Data file",
                "Metadata file",
                "Data loop file",
                "Metadata loop file",
                "Data Space Used",
                "Data Space Total",
                "Data Space Available",
                "Metadata Space Used",
                "Metadata Space Total",
                "Metadata Space Available",
                "Thin Pool Minimum Free Space",
                "Deferred Removal Enabled",
                "Deferred Deletion Enabled",
                "Deferred Deleted Device Count",
                "Library Version"
            ]
        );
        let of = |name: &str| lines.iter().find(|line| line.0 == name).unwrap().1.clone();
        assert_eq!(
            (of("Pool Blocksize"), of("Base Device Size")),
            ("65.54kB".to_owned(), "134.2MB".to_owned())
        );
        assert_eq!(
            (of("Data Space Total"), of("Backing Filesystem")),
            ("2.147GB".to_owned(), "ext4".to_owned())
        );
        assert!(of("Data file").starts_with("/dev/loop"), "{lines:?}");
        assert!(of("Data loop file").ends_with("/devicemapper/devicemapper/data"), "{lines:?}");
    });
}

/// What Docker, or we, began and did not finish is undone before anything else happens.
#[test]
fn an_open_transaction_is_rolled_back() {
    run_at("an_open_transaction_is_rolled_back", open, thin_ext4, |bench| {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let device =
            r#"{"device_id":77,"size":134217728,"transaction_id":3,"initialized":false,"deleted":false}"#;
        let begin = |hash: &str, id: u32| {
            let text = format!(r#"{{"open_transaction_id":3,"device_hash":"{hash}","device_id":{id}}}"#);
            fs::write(metadata(bench, "transaction-metadata"), text).unwrap();
        };
        fs::write(metadata(bench, "dead"), device).unwrap();
        begin("dead", 77);
        let above = bench.container(Some(&base));
        assert!(!metadata(bench, "dead").exists());
        assert!(bench.look(&above, |root| root.join("file").exists()));
        // The number of a layer that is there is left alone, whatever a transaction says.
        begin("other", 2);
        bench.container(Some(&base));
        assert!(bench.look(&base, |root| root.join("file").exists()));
    });
}

/// A process that was killed while it made a device leaves one without a table.
#[test]
fn a_device_that_was_never_finished_is_made_again() {
    run_at("a_device_that_was_never_finished_is_made_again", open, thin_ext4, |bench| {
        let id = bench.container(None);
        let name = bench.driver.metadata(&id).unwrap()[1].1.clone();
        let made = std::process::Command::new("dmsetup").args(["create", "--notable", &name]).output();
        match made {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            Err(e) => return println!("skipped: dmsetup: {e}"),
        }
        bench.edit(&id, |root| fs::write(root.join("file"), "x").unwrap());
        bench.driver.discard(&id).unwrap();
        bench.driver.sweep().unwrap();
        assert!(!metadata(bench, id.as_str()).exists());
    });
}

/// When nobody uses it the pool goes, and its loop devices with it.
#[test]
fn nothing_stays_active() {
    run_at("nothing_stays_active", open, thin_ext4, |bench| {
        let other = thin_ext4().unwrap();
        let name = {
            let driver = open(&other.config).unwrap();
            let stage = driver.stage().unwrap();
            driver.prepare(&stage, &new_id(), None, LayerKind::ReadOnly).unwrap();
            stage.remove().unwrap();
            driver.status().unwrap()[0].1.clone()
        };
        let control = sys::dm::Control::open().unwrap();
        let gone = (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            control.info(&name).unwrap().is_none()
        });
        assert!(gone, "{name} is still active");
        // And it comes back with what was in it.
        let driver = open(&other.config).unwrap();
        let stage = driver.stage().unwrap();
        driver.prepare(&stage, &new_id(), None, LayerKind::ReadOnly).unwrap();
        drop(bench.container(None));
    });
}

/// A larger device has a larger file system, a smaller one is refused in Docker's words.
#[test]
fn a_container_can_be_larger_than_the_base() {
    for place in [thin_ext4, thin_xfs] {
        run_at("a_container_can_be_larger_than_the_base", open, place, |bench| {
            let image = bench.layer(None, Builder::new().file("file", "x"));
            let size = |id: &CacheId| {
                let root = bench.driver.mount(id, Access::Write).unwrap();
                let total = sys::process::fs_info(&root).unwrap().total;
                bench.driver.unmount(id).unwrap();
                total >> 20
            };
            let plain = size(&bench.container(Some(&image)));
            let large = limited(bench, Some(&image), 512 << 20).unwrap();
            assert!(size(&large) > plain + 100, "{} after {plain} MiB", size(&large));
            assert!(bench.look(&large, |root| root.join("file").exists()));
            let refused = limited(bench, Some(&image), 1 << 20).unwrap_err().to_string();
            assert!(refused.starts_with("devmapper: Container size cannot be smaller than "), "{refused}");
        });
    }
}

/// Docker's SetQuota (moby.md §14): what does not fit fails, and others are not harmed.
#[test]
fn a_full_layer_harms_no_other() {
    run_at("a_full_layer_harms_no_other", open, thin_ext4, |bench| {
        let image = bench.layer(None, Builder::new().file("file", "x"));
        let (full, other) = (bench.container(Some(&image)), bench.container(Some(&image)));
        let root = bench.driver.mount(&full, Access::Write).unwrap();
        fs::write(root.join("fits"), vec![1; 25 << 20]).unwrap();
        let error = fs::write(root.join("more"), vec![1; 200 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        bench.edit(&other, |root| fs::write(root.join("new"), vec![1; 25 << 20]).unwrap());
        bench.driver.unmount(&full).unwrap();
        assert_eq!(bench.look(&full, |root| fs::metadata(root.join("fits")).unwrap().len()), 25 << 20);
    });
}

/// A pool that is nearly full takes nothing new.
#[test]
fn the_pool_keeps_its_minimum_of_free_space() {
    run_at("the_pool_keeps_its_minimum_of_free_space", open, thin_ext4, |bench| {
        let image = bench.layer(None, Builder::new().file("file", "x"));
        let mut config = bench.config.clone();
        config.options.push("dm.min_free_space=99%".to_owned());
        let driver = open(&config).unwrap();
        let stage = driver.stage().unwrap();
        let refused = driver.prepare(&stage, &new_id(), Some(&image), LayerKind::ReadOnly).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("which is less than minimum required"), "{text}");
        assert!(text.ends_with("use dm.min_free_space option to change behavior"), "{text}");
    });
}

/// What is in use when it is deleted is marked as Docker marks it, and deleted later; or refused.
#[test]
fn deferred_deletion() {
    run_at("deferred_deletion", open, thin_ext4, |bench| {
        let id = bench.container(None);
        let root = bench.driver.mount(&id, Access::Write).unwrap();
        let busy = fs::File::create(root.join("busy")).unwrap();
        bench.driver.discard(&id).unwrap();
        bench.driver.sweep().unwrap();
        assert!(text(bench, id.as_str()).ends_with(r#""deleted":true}"#));
        assert!(!bench.driver.exists(&id).unwrap() && bench.driver.list().unwrap().is_empty());
        let count = |lines: Vec<(String, String)>| {
            lines.into_iter().find(|line| line.0 == "Deferred Deleted Device Count").unwrap().1
        };
        assert_eq!(count(bench.driver.status().unwrap()), "1");
        drop(busy);
        let deleted = (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            bench.driver.sweep().unwrap();
            !metadata(bench, id.as_str()).exists()
        });
        assert!(deleted);

        let mut config = bench.config.clone();
        config
            .options
            .extend(["dm.use_deferred_removal=false", "dm.use_deferred_deletion=false"].map(str::to_owned));
        let strict = open(&config).unwrap();
        let id = bench.container(None);
        let root = strict.mount(&id, Access::Write).unwrap();
        let _busy = fs::File::create(root.join("busy")).unwrap();
        let refused = strict.unmount(&id).unwrap_err().to_string();
        assert!(refused.contains("dm.use_deferred_removal is false"), "{refused}");
    });
}

/// A copy of the metadata with another pool is refused before it does harm.
#[test]
fn another_pool_is_refused() {
    run_at("another_pool_is_refused", open, thin_ext4, |bench| {
        bench.layer(None, Builder::new().file("file", "x"));
        let set = text(bench, "deviceset-metadata");
        let at = set.find("UUID\":\"").unwrap() + 7;
        let other = format!("{}00000000{}", &set[..at], &set[at + 8..]);
        fs::write(metadata(bench, "deviceset-metadata"), other).unwrap();
        let driver = bench.reopen();
        let stage = driver.stage().unwrap();
        let refused = driver.prepare(&stage, &new_id(), None, LayerKind::ReadOnly).unwrap_err().to_string();
        assert!(refused.contains("Possibly using a different thin pool than last invocation"), "{refused}");
    });
}

/// The base grows when the user wants it larger, and never shrinks.
#[test]
fn the_base_grows() {
    run_at("the_base_grows", open, thin_ext4, |bench| {
        bench.container(None);
        let with = |size: &str| {
            let mut config = bench.config.clone();
            config.options.push(format!("dm.basesize={size}"));
            let driver = open(&config).unwrap();
            let stage = driver.stage().unwrap();
            driver.prepare(&stage, &new_id(), None, LayerKind::ReadOnly)
        };
        with("256M").unwrap();
        assert!(text(bench, "base").contains(r#""size":268435456"#));
        let refused = with("100M").unwrap_err().to_string();
        assert!(refused.starts_with("devmapper: Base device size cannot be smaller than "), "{refused}");
    });
}

/// What was written to a mounted container is in a layer that is made of it.
#[test]
fn a_snapshot_of_a_mounted_layer_is_complete() {
    run_at("a_snapshot_of_a_mounted_layer_is_complete", open, thin_ext4, |bench| {
        let id = bench.container(None);
        let root = bench.driver.mount(&id, Access::Write).unwrap();
        fs::write(root.join("unsynced"), vec![7; 1 << 20]).unwrap();
        let above = bench.container(Some(&id));
        fs::write(root.join("later"), "").unwrap();
        bench.look(&above, |root| {
            assert_eq!(fs::read(root.join("unsynced")).unwrap(), vec![7; 1 << 20]);
            assert!(!root.join("later").exists());
        });
    });
}
