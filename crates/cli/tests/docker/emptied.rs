//! When layercake has removed everything, nothing is left for Docker to trip over.

use std::fs;

use crate::archives::{APP, BASE, COMMITTED, Fixture};
use crate::said::{Tool, ask};
use crate::witnessed;
use crate::world::World;

witnessed! { what_layercake_made_and_removed_leaves_no_trace what_docker_made_and_layercake_removed_leaves_no_trace }

fn what_layercake_made_and_removed_leaves_no_trace(world: &World) {
    let archive = world.path("images.tar");
    fs::write(&archive, Fixture::Oci.saved()).unwrap();
    world.layercake(&["load", "--input", archive.to_str().unwrap()]);
    world.layercake(&["create", "--name", "one", BASE]);
    world.layercake(&["create", "--name", "two", APP]);
    world.layercake(&["mount", "two"]);
    world.layercake(&["umount", "two"]);
    world.layercake(&["commit", "two", "witness/committed:1"]);
    remove_everything(world, &["witness/committed:1"]);
}

fn what_docker_made_and_layercake_removed_leaves_no_trace(world: &World) {
    let daemon = world.start();
    daemon.docker_with(&Fixture::Oci.saved(), &["load"]);
    daemon.docker(&["create", "--name", "one", BASE]);
    daemon.docker(&["create", "--name", "two", APP]);
    daemon.docker(&["commit", "two", "witness/committed:1"]);
    daemon.stop();
    remove_everything(world, &["witness/committed:1"]);
}

/// Removes containers `one` and `two`, the fixtures' images and these, and looks at what is left.
fn remove_everything(world: &World, images: &[&str]) {
    world.layercake(&["rm", "--wait", "one", "two"]);
    world.layercake(&[&["rmi", "--wait", BASE, APP, "fixture/app:latest", COMMITTED], images].concat());
    assert_empty(world);
    let daemon = world.start();
    assert!(daemon.lines(&["images", "--all", "--quiet"]).is_empty());
    assert!(daemon.lines(&["ps", "--all", "--quiet"]).is_empty());
    daemon.docker_with(&Fixture::Oci.saved(), &["load"]);
    daemon.run_container(&["--rm", BASE, "/bin/do", "out", "runs"]);
    let theirs = ask(&daemon);
    daemon.stop();
    theirs.assert_agreed_by(world);
}

fn assert_empty(world: &World) {
    let layers: Vec<_> = world.names("overlay2").into_iter().filter(|name| !name.starts_with('.')).collect();
    // A root that Docker has opened holds a device node for quotas as well.
    let expected: &[&str] =
        if layers.contains(&"backingFsBlockDev".to_owned()) { &["backingFsBlockDev", "l"] } else { &["l"] };
    assert_eq!(layers, expected);
    for dir in [
        "overlay2/l",
        "image/overlay2/layerdb/sha256",
        "image/overlay2/layerdb/mounts",
        "image/overlay2/layerdb/tmp",
    ] {
        assert!(world.names(dir).is_empty(), "{dir}: {:?}", world.names(dir));
    }
    for dir in
        ["image/overlay2/imagedb/content/sha256", "image/overlay2/imagedb/metadata/sha256", "containers"]
    {
        assert!(world.names(dir).is_empty(), "{dir}: {:?}", world.names(dir));
    }
    let names = fs::read_to_string(world.root("image/overlay2/repositories.json")).unwrap();
    assert_eq!(names, r#"{"Repositories":{}}"#);
}
