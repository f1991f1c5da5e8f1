//! The damages that Docker suffers and does not mend (moby.md §8.3): made on its own root, repaired by `check --repair`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::archives::{APP, BASE, Fixture};
use crate::daemon::Daemon;
use crate::said::{Said, Tool, ask};
use crate::witnessed;
use crate::world::{World, text};

witnessed! {
    a_missing_short_name_is_made_again
    an_empty_link_file_is_filled_again
    an_empty_lower_file_is_filled_again
    a_torn_layer_record_no_longer_stands_in_the_way
    what_crashes_left_behind_is_removed
}

/// A stopped root with the fixtures' images and a container `one` of [`APP`], all made by Docker.
fn made_by_docker(world: &World) {
    let daemon = world.start();
    daemon.docker_with(&Fixture::Classic.saved(), &["load"]);
    daemon.docker(&["create", "--name", "one", "--network", "none", "--user", "0", APP, "out", "runs"]);
    daemon.stop();
}

/// The driver's directory of a layer of [`APP`] with a parent and with children: the one that has `/srv/second`.
fn middle_layer(world: &World) -> PathBuf {
    let (_, app) = Fixture::Classic.expected(APP);
    record(world, app["chain_ids"][3].as_str().unwrap()).1
}

/// The directories of a layer: its record, and the driver's.
fn record(world: &World, chain: &str) -> (PathBuf, PathBuf) {
    let record = world.root("image/overlay2/layerdb/sha256").join(chain.trim_start_matches("sha256:"));
    let cache_id = fs::read_to_string(record.join("cache-id")).unwrap();
    (record, world.root("overlay2").join(cache_id.trim()))
}

/// Docker says the same as before the damage, and the container has all its files.
fn assert_whole(world: &World, before: &Said) {
    let daemon = world.start();
    before.assert_agreed_by(&daemon);
    assert_runs(&daemon);
    daemon.stop();
}

fn assert_runs(daemon: &Daemon<'_>) {
    if daemon.can_run() {
        assert_eq!(daemon.docker(&["start", "--attach", "one"]), "runs\n");
    }
    // A file of the layer that is damaged here, and one of a layer below.
    daemon.docker(&["cp", "one:/srv/second", "-"]);
    daemon.docker(&["cp", "one:/etc/conf/new", "-"]);
}

/// `check` finds something that names `subject`, `--repair` mends it, and then there is nothing to find.
fn assert_repairs(world: &World, subject: &str) {
    let output = world.command(&["check"]).output().unwrap();
    let found = text(&output.stdout);
    assert!(
        !output.status.success() && found.contains(subject),
        "{subject} is not among the damages:\n{found}"
    );
    world.layercake(&["check", "--repair"]);
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn a_missing_short_name_is_made_again(world: &World) {
    made_by_docker(world);
    let before = ask(world);
    let layer = middle_layer(world);
    let link = fs::read_to_string(layer.join("link")).unwrap();
    fs::remove_file(world.root("overlay2/l").join(link)).unwrap();
    assert_repairs(world, name(&layer));
    assert_whole(world, &before);
}

fn an_empty_link_file_is_filled_again(world: &World) {
    made_by_docker(world);
    let before = ask(world);
    let layer = middle_layer(world);
    fs::write(layer.join("link"), "").unwrap();
    assert_repairs(world, name(&layer));
    assert_whole(world, &before);
}

fn an_empty_lower_file_is_filled_again(world: &World) {
    made_by_docker(world);
    let before = ask(world);
    let layer = middle_layer(world);
    let lower = fs::read(layer.join("lower")).unwrap();
    fs::write(layer.join("lower"), "").unwrap();
    assert_repairs(world, name(&layer));
    assert_eq!(fs::read(layer.join("lower")).unwrap(), lower);
    assert_whole(world, &before);
}

/// Docker shows nothing of an image with such a layer, and cannot load it again.
fn a_torn_layer_record_no_longer_stands_in_the_way(world: &World) {
    made_by_docker(world);
    let (id, app) = Fixture::Classic.expected(APP);
    let chain = app["chain_ids"][1].as_str().unwrap();
    fs::write(record(world, chain).0.join("cache-id"), "").unwrap();
    let daemon = world.start();
    assert!(
        !daemon.try_docker(&["image", "inspect", APP]).status.success(),
        "this Docker copes with the damage itself"
    );
    daemon.stop();

    world.layercake_fails(&["check"]);
    world.layercake(&["check", "--repair"]);
    let daemon = world.start();
    daemon.docker_with(&Fixture::Classic.saved(), &["load"]);
    assert_eq!(daemon.inspect("image", APP)["Id"], id);
    daemon.run_container(&["--rm", BASE, "/bin/do", "out", "runs"]);
    daemon.run_container(&["--rm", APP, "out", "runs"]);
    daemon.stop();
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
}

fn what_crashes_left_behind_is_removed(world: &World) {
    made_by_docker(world);
    let before = ask(world);
    let orphan = world.root("overlay2").join("0123456789abcdef".repeat(4));
    fs::create_dir_all(orphan.join("diff/etc")).unwrap();
    fs::write(orphan.join("link"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ").unwrap();
    symlink(format!("../{}/diff", name(&orphan)), world.root("overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        .unwrap();
    fs::create_dir_all(world.root("image/overlay2/layerdb/tmp/write-set-123456")).unwrap();
    assert_repairs(world, name(&orphan));
    assert!(!orphan.exists() && world.names("image/overlay2/layerdb/tmp").is_empty());
    assert_whole(world, &before);
}
