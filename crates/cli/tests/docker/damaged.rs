//! The damages that Docker suffers and does not mend (moby.md §8.3): made on its own root, repaired by `check --repair`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::archives::{APP, Fixture};
use crate::daemon::Daemon;
use crate::said::{Said, Tool, ask};
use crate::witnessed;
use crate::world::{World, text};

witnessed! {
    a_missing_short_name_is_made_again
    an_empty_link_file_is_filled_again
    an_empty_lower_file_is_filled_again
    a_torn_layer_record_is_written_anew
    a_layer_record_that_is_all_zeros_comes_back_with_the_next_load
    what_crashes_left_behind_is_removed
}

fn a_missing_short_name_is_made_again(world: &World) {
    assert_repairs(world, |layer| {
        let short_name =
            world.root("overlay2/l").join(fs::read_to_string(layer.driver.join("link")).unwrap());
        fs::remove_file(&short_name).unwrap();
        &layer.driver
    });
}

fn an_empty_link_file_is_filled_again(world: &World) {
    assert_repairs(world, |layer| {
        fs::write(layer.driver.join("link"), "").unwrap();
        &layer.driver
    });
}

fn an_empty_lower_file_is_filled_again(world: &World) {
    assert_repairs(world, |layer| {
        fs::write(layer.driver.join("lower"), "").unwrap();
        &layer.driver
    });
}

/// Docker shows nothing of an image with such a layer, and cannot load it again either.
fn a_torn_layer_record_is_written_anew(world: &World) {
    assert_repairs(world, |layer| {
        fs::write(layer.record.join("cache-id"), "").unwrap();
        let daemon = world.start();
        let shown = daemon.try_docker(&["image", "inspect", APP]);
        assert!(!shown.status.success(), "this Docker copes with the damage itself");
        daemon.stop();
        &layer.record
    });
}

/// What a power cut leaves of files that were never synced.
fn a_layer_record_that_is_all_zeros_comes_back_with_the_next_load(world: &World) {
    let layer = made_by_docker(world);
    for file in fs::read_dir(&layer.record).unwrap() {
        fs::write(file.unwrap().path(), "").unwrap();
    }
    world.layercake_fails(&["check"]);
    let archive = world.path("images.tar");
    fs::write(&archive, Fixture::Classic.saved()).unwrap();
    world.layercake(&["load", "--input", archive.to_str().unwrap()]);
    world.layercake(&["check", "--repair"]);
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
    let daemon = world.start();
    assert_eq!(daemon.inspect("image", APP)["Id"], Fixture::Classic.expected(APP).0);
    assert_usable(&daemon);
    daemon.stop();
}

fn what_crashes_left_behind_is_removed(world: &World) {
    made_by_docker(world);
    let before = ask(world);
    let orphan = world.root("overlay2").join("0123456789abcdef".repeat(4));
    let short_name = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    fs::create_dir_all(orphan.join("diff/etc")).unwrap();
    fs::write(orphan.join("link"), short_name).unwrap();
    symlink(format!("../{}/diff", name(&orphan)), world.root("overlay2/l").join(short_name)).unwrap();
    fs::create_dir_all(world.root("image/overlay2/layerdb/tmp/write-set-123456")).unwrap();
    repair(world, name(&orphan));
    assert!(!orphan.exists() && world.names("image/overlay2/layerdb/tmp").is_empty());
    assert!(!world.names("overlay2/l").contains(&short_name.to_owned()));
    assert_whole(world, &before);
}

/// The directories of a layer.
struct Layer {
    /// In the layer store.
    record: PathBuf,
    /// In the driver's home.
    driver: PathBuf,
}

/// Makes a stopped root with the fixtures' images and a container `one` of [`APP`], all by Docker. Returns a layer of
/// [`APP`] with a parent and with children: the one that has `/srv/second`.
fn made_by_docker(world: &World) -> Layer {
    let daemon = world.start();
    daemon.docker_with(&Fixture::Classic.saved(), &["load"]);
    daemon.docker(&["create", "--name", "one", "--network", "none", "--user", "0", APP, "out", "runs"]);
    daemon.stop();
    let (_, app) = Fixture::Classic.expected(APP);
    let chain = app["chain_ids"][3].as_str().unwrap().trim_start_matches("sha256:");
    let record = world.root("image/overlay2/layerdb/sha256").join(chain);
    let cache_id = fs::read_to_string(record.join("cache-id")).unwrap();
    Layer { record, driver: world.root("overlay2").join(cache_id) }
}

/// Makes a damage, in the directory that `damage` returns: `check` finds it, `--repair` mends it, and Docker has
/// everything as it was.
fn assert_repairs(world: &World, damage: impl FnOnce(&Layer) -> &Path) {
    let layer = made_by_docker(world);
    let before = ask(world);
    let subject = damage(&layer);
    world.layercake_fails(&["check"]);
    repair(world, name(subject));
    assert_whole(world, &before);
}

/// `check` finds something at `subject`, `--repair` mends it, and then there is nothing to find.
fn repair(world: &World, subject: &str) {
    let found = text(&world.command(&["check"]).output().unwrap().stdout);
    assert!(found.contains(subject), "{subject} is not among the findings:\n{found}");
    world.layercake(&["check", "--repair"]);
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
}

/// Docker says what layercake said before the damage.
fn assert_whole(world: &World, before: &Said) {
    let daemon = world.start();
    before.assert_agreed_by(&daemon);
    assert_usable(&daemon);
    daemon.stop();
}

/// The container has its files, and runs where containers run.
fn assert_usable(daemon: &Daemon<'_>) {
    // A file of the layer that was damaged, and one of a layer below.
    for file in ["one:/srv/second", "one:/etc/conf/new"] {
        daemon.docker(&["cp", file, "-"]);
    }
    if daemon.run_container(&["--rm", APP, "out", "runs"]).is_some() {
        assert_eq!(daemon.docker(&["start", "--attach", "one"]), "runs\n");
    }
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
