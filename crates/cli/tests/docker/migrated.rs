//! A store that Docker made is migrated, and Docker opens it with the other driver; then the way back.

use std::fs;

use crate::archives::{APP, BASE, Fixture};
use crate::daemon::Daemon;
use crate::said::Tool;
use crate::to_docker::layer_records;
use crate::witnessed;
use crate::world::World;

witnessed! { a_store_that_was_migrated_is_dockers }

fn a_store_that_was_migrated_is_dockers(world: &World) {
    // A world of its own, whose driver changes.
    let mut world = World::on(world.docker.clone(), "overlay2");
    fs::write(world.path("added"), "by docker").unwrap();
    let added = world.path("added").to_str().unwrap().to_owned();
    let daemon = world.start();
    daemon.docker_with(&Fixture::Classic.saved(), &["load"]);
    daemon.docker(&["create", "--name", "changed", APP, "/bin/do"]);
    daemon.docker(&["cp", &added, "changed:/srv/added"]);
    daemon.docker(&["create", "--name", "new", BASE, "/bin/do", "put", "/srv/x", "y"]);
    let before = said(&daemon);
    daemon.stop();
    let records = layer_records(&world);
    // vfs is in every Docker; the distribution's has more.
    let newest_has = ["vfs", "overlay2"];
    let all = ["overlay", "vfs", "overlay2"];
    let way: &[&str] = if world.docker.tree.is_none() { &all } else { &newest_has };
    for to in way.iter().copied() {
        world.layercake(&["system", "migrate", "--quiet", "--to", to]);
        world.driver = to;
        let (found, expected) = (layer_records(&world), &records);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{to}");
        let daemon = world.start();
        assert_eq!(said(&daemon), before, "{to}");
        daemon.docker(&["cp", "changed:/srv/added", world.path("back").to_str().unwrap()]);
        assert_eq!(fs::read_to_string(world.path("back")).unwrap(), "by docker", "{to}");
        // What it was made of, it can be made into again.
        daemon.docker(&["rm", "new"]);
        daemon.docker(&["create", "--name", "new", BASE, "/bin/do", "put", "/srv/x", "y"]);
        daemon.stop();
        assert!(world.layercake(&["check"]).ends_with("no damage\n"), "{to}");
    }
}

/// What Docker says, but for IDs of containers, which one of them loses.
fn said(daemon: &Daemon<'_>) -> Vec<String> {
    let mut lines = daemon.lines(&["images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]);
    lines.extend(daemon.lines(&["ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.Status}}"]));
    lines.extend(daemon.lines(&["diff", "changed"]));
    lines.sort();
    lines
}
