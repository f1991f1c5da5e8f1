//! ps, inspect, sizes.

use std::path::Path;

use engine::Error;
use engine::commit::CommitOptions;
use engine::containers::{ContainerSummary, ListContainers};
use engine::copy::CopyOptions;
use model::Silent;
use serde_json::json;

use crate::world::{Image, World};

const ALL: ListContainers = ListContainers { all: true, size: true };

impl World {
    fn with_image() -> Self {
        let world = Self::new();
        world.load(Image { layers: &["base"], names: &["x:1"], labels: &[("k", "v")], ..Image::default() });
        world
    }

    fn ps(&self, name: &str) -> ContainerSummary {
        let list = self.engine.list_containers(&ALL).unwrap();
        list.into_iter().find(|container| container.names == [name]).unwrap()
    }

    /// The directory with the container's files.
    fn files(&self, name: &str) -> std::path::PathBuf {
        let id = self.engine.find_container(name).unwrap();
        let mount = self.engine.store().mounts().get(&id).unwrap();
        self.engine.driver().mount(&mount.mount_id.into(), drivers::Access::Write).unwrap()
    }
}

/// Each of these once told of a layer or a file that is missing.
#[test]
fn a_container_that_was_removed_meanwhile_is_no_such_container() {
    let world = World::with_image();
    let id = world.create("box", "x:1");
    world.engine.remove_container(&id, false).unwrap();
    let (engine, path) = (&world.engine, Path::new("/base"));
    let mut out = Vec::new();
    let failures = [
        engine.diff(&id).err(),
        engine.mount(&id, drivers::Access::Write).err(),
        engine.unmount(&id).err(),
        engine.commit(&id, &CommitOptions::default()).err(),
        engine.export(&id, &mut out, &Silent).err(),
        engine.copy_from(&id, path, false, &mut out).err(),
        engine.copy_to(&id, path, Box::new(std::io::empty())).err(),
        engine.copy_out(&id, path, world.tmp.path(), CopyOptions::default()).err(),
        engine.copy_in(world.tmp.path(), &id, path, CopyOptions::default()).err(),
    ];
    for failure in failures {
        assert!(matches!(failure, Some(Error::NoSuchContainer(_))), "{failure:?}");
    }
}

#[test]
fn states_are_told_in_dockers_words() {
    let world = World::with_image();
    let id = world.create("box", "x:1");
    assert_eq!((world.ps("box").state, world.ps("box").status), ("created".into(), "Created".into()));
    let long_ago = "2001-01-01T00:00:00Z";
    let years = {
        let state = json!({"Running": true, "StartedAt": long_ago});
        world.edit(&id, |document| document["State"] = state);
        world.ps("box").status.strip_prefix("Up ").unwrap().to_owned()
    };
    assert!(years.ends_with(" years"), "{years}");
    for (state, word, status) in [
        (
            json!({"Running": true, "Paused": true, "StartedAt": long_ago}),
            "paused",
            format!("Up {years} (Paused)"),
        ),
        (
            json!({"Running": true, "Restarting": true, "ExitCode": 3, "FinishedAt": long_ago}),
            "restarting",
            format!("Restarting (3) {years} ago"),
        ),
        (
            json!({"Running": true, "StartedAt": long_ago, "Health": {"Status": "starting"}}),
            "running",
            format!("Up {years} (health: starting)"),
        ),
        (
            json!({"Running": true, "StartedAt": long_ago, "Health": {"Status": "healthy"}}),
            "running",
            format!("Up {years} (healthy)"),
        ),
        (json!({"RemovalInProgress": true}), "removing", "Removal In Progress".into()),
        (json!({"Dead": true, "StartedAt": long_ago}), "dead", "Dead".into()),
        (
            json!({"ExitCode": 7, "StartedAt": long_ago, "FinishedAt": long_ago}),
            "exited",
            format!("Exited (7) {years} ago"),
        ),
        (json!({"StartedAt": long_ago}), "exited", String::new()),
    ] {
        world.edit(&id, |document| document["State"] = state.clone());
        assert_eq!((world.ps("box").state.as_str(), world.ps("box").status), (word, status), "{state}");
    }
}

#[test]
fn without_all_only_running_containers_are_listed() {
    let world = World::with_image();
    let running = world.create("running", "x:1");
    world.create("stopped", "x:1");
    world.edit(&running, |document| document["State"]["Running"] = true.into());
    let list = world.engine.list_containers(&ListContainers::default()).unwrap();
    assert_eq!(list.iter().map(|container| container.id).collect::<Vec<_>>(), [running]);
    assert_eq!((list[0].size_rw, list[0].size_root_fs), (None, None));
    let info = world.engine.info().unwrap();
    assert_eq!((info.containers, info.running, info.paused, info.stopped, info.images), (2, 1, 0, 1, 1));
    assert_eq!(info.driver, "vfs");
    assert!(info.memory > 0 && info.ncpu > 0 && !info.kernel.is_empty() && !info.operating_system.is_empty());
}

#[test]
fn the_image_is_shown_by_the_name_that_was_given_as_long_as_that_is_right() {
    let world = World::with_image();
    let id = world.engine.find_image("x:1").unwrap();
    world.create("by-name", "x:1");
    world.create("by-id", &id.short());
    assert_eq!(world.ps("by-name").image, "x:1");
    assert_eq!(world.ps("by-id").image, id.short());
    let other = world.load(Image { layers: &["other"], names: &["x:1"], ..Image::default() });
    assert_ne!(id, other);
    assert_eq!(world.ps("by-name").image, id.to_string());
    assert_eq!(world.ps("by-name").image_id, Some(id));
}

#[test]
fn command_labels_mounts_and_networks() {
    let world = World::with_image();
    let id = world.create("box", "x:1");
    world.edit(&id, |document| {
        document["Path"] = "sh".into();
        document["Args"] = json!(["-c", "echo a b"]);
        document["MountPoints"] = json!({
            "/z": {"Source": "/host/dir", "Destination": "/z", "RW": false, "Type": "bind", "Relabel": "ro", "Propagation": "rprivate"},
            "/a": {"Source": "", "Destination": "/a", "RW": true, "Name": "data", "Driver": "local", "Type": "volume"},
        });
        document["NetworkSettings"]["Networks"] = json!({"net": {}, "bridge": null});
    });
    let shown = world.ps("box");
    assert_eq!(shown.command, "sh -c 'echo a b'");
    assert_eq!(shown.labels.get("k").map(String::as_str), Some("v"));
    let mounts: Vec<&str> = shown.mounts.iter().map(|mount| mount.name.as_str()).collect();
    assert_eq!((mounts, shown.local_volumes), (vec!["data", "/host/dir"], 1));
    assert_eq!(shown.networks, ["bridge", "net"]);
    let document = world.engine.inspect_container(&id, false).unwrap();
    let source = world.tmp.path().join("volumes/data/_data");
    let mounts = json!([
        {"Type": "volume", "Name": "data", "Source": source, "Destination": "/a", "Driver": "local", "Mode": "", "RW": true, "Propagation": ""},
        {"Type": "bind", "Source": "/host/dir", "Destination": "/z", "Mode": "ro", "RW": false, "Propagation": "rprivate"},
    ]);
    assert_eq!(document["Mounts"].to_string(), mounts.to_string());
    assert_eq!(document["NetworkSettings"]["Networks"]["bridge"]["GwPriority"], 0);
}

#[test]
fn sizes_are_measured_and_remembered() {
    let world = World::with_image();
    let id = world.create("box", "x:1");
    assert_eq!((world.ps("box").size_rw, world.ps("box").size_root_fs), (Some(0), Some(4)));
    std::fs::write(world.files("box").join("new"), "12345").unwrap();
    assert_eq!((world.ps("box").size_rw, world.ps("box").size_root_fs), (Some(5), Some(9)));
    let document = world.engine.inspect_container(&id, true).unwrap();
    assert_eq!((document["SizeRw"].as_u64(), document["SizeRootFs"].as_u64()), (Some(5), Some(9)));
}

#[test]
fn a_remembered_size_is_not_measured_again() {
    if !testkit::require_root("a store of overlay2") {
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let options = engine::Options { driver: Some("overlay2".into()), ..engine::Options::new(tmp.path()) };
    let world = World { engine: engine::Engine::open(&options, engine::Access::Write).unwrap(), tmp };
    world.load(Image { layers: &["base"], names: &["x:1"], ..Image::default() });
    let id = world.create("box", "x:1");
    let mount = world.engine.store().mounts().get(&id).unwrap();
    let size = world.ps("box").size_rw;
    // A stamp is given only once the clock has moved on; until then there is nothing to remember.
    let stamp = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        world.engine.driver().usage_stamp(&mount.mount_id.into()).unwrap()
    });
    let stamp = stamp.unwrap().to_string();
    assert_eq!(world.ps("box").size_rw, size);
    assert_eq!(world.engine.store().sizes().get(&mount.mount_id, stamp.as_bytes()), size);
    world.engine.store().sizes().put(&mount.mount_id, stamp.as_bytes(), 4711).unwrap();
    assert_eq!((world.ps("box").size_rw, world.ps("box").size_root_fs), (Some(4711), Some(4715)));
}

#[test]
fn a_container_without_its_files_is_listed_without_its_size() {
    let world = World::with_image();
    let id = world.create("box", "x:1");
    let mount = world.engine.store().mounts().get(&id).unwrap();
    world.engine.driver().discard(&mount.mount_id.into()).unwrap();
    assert_eq!((world.ps("box").size_rw, world.ps("box").size_root_fs), (None, None));
    let document = world.engine.inspect_container(&id, true).unwrap();
    assert!(document.get("SizeRw").is_none());
}

#[test]
fn damaged_containers_and_those_of_other_drivers_are_left_out() {
    let world = World::with_image();
    let (a, b) = (world.create("one", "x:1"), world.create("two", "x:1"));
    world.create("box", "x:1");
    std::fs::write(world.tmp.path().join("containers").join(a.hex()).join("config.v2.json"), "{").unwrap();
    world.edit(&b, |document| document["Driver"] = "btrfs".into());
    std::fs::create_dir(world.tmp.path().join("containers").join(Path::new("lost+found"))).unwrap();
    let list = world.reader().list_containers(&ALL).unwrap();
    assert_eq!(list.iter().map(|c| c.names[0].as_str()).collect::<Vec<_>>(), ["box"]);
}
