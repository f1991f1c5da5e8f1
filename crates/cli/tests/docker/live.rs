//! A root that a live daemon holds is read, and not written.

use std::fs;

use crate::archives::{BASE, Fixture, layers, members};
use crate::said::ask;
use crate::witnessed;
use crate::world::World;

witnessed! { a_live_daemons_root_is_read_only }

fn a_live_daemons_root_is_read_only(world: &World) {
    let daemon = world.start();
    daemon.docker_with(&Fixture::Classic.saved(), &["load"]);
    daemon.docker(&["create", "--name", "one", BASE]);
    let theirs = ask(&daemon);
    theirs.assert_agreed_by(world);
    let saved = world.path("saved.tar");
    world.layercake(&["save", "--output", saved.to_str().unwrap(), BASE]);
    let saved = members(&fs::read(&saved).unwrap());
    assert!(layers(&saved, BASE) == layers(&members(&Fixture::Classic.saved()), BASE));
    for read in [&["export", "one"][..], &["cp", "one:/etc", "-"], &["system", "df"], &["info"], &["check"]] {
        world.layercake(read);
    }

    let archive = world.path("images.tar");
    fs::write(&archive, Fixture::Oci.saved()).unwrap();
    let archive = archive.to_str().unwrap();
    let writes: &[&[&str]] = &[
        &["load", "--input", archive],
        &["import", archive],
        &["tag", BASE, "witness/tagged:1"],
        &["rmi", BASE],
        &["create", BASE],
        &["mount", "one"],
        &["commit", "one"],
        &["rename", "one", "two"],
        &["rm", "one"],
        &["cp", archive, "one:/"],
        &["image", "prune", "--force", "--all"],
        &["container", "prune", "--force"],
        &["system", "prune", "--force"],
        &["check", "--repair"],
    ];
    for write in writes {
        let complaint = world.layercake_fails(write);
        assert!(complaint.contains("a Docker daemon"), "{write:?} does not say why it refuses: {complaint}");
    }
    theirs.assert_agreed_by(&daemon);
    daemon.stop();
    // The daemon gone, the same commands work.
    world.layercake(&["rm", "one"]);
}
