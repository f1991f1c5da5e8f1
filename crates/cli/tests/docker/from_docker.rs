//! What Docker loaded, built, ran and committed, layercake lists, mounts, diffs, commits, exports, saves and removes, and
//! dockerd opens the root again and sees exactly that.

use std::fs;
use std::path::Path;

use crate::archives::{APP, BASE, Fixture, archive, layers, members};
use crate::daemon::Daemon;
use crate::said::{Tool, ask};
use crate::witnessed;
use crate::world::World;

witnessed! { everything_made_by_docker_is_layercakes everything_made_by_docker_on_btrfs_is_layercakes }

/// What Docker builds; the `RUN`s only where containers run.
const FROM: &str = "FROM fixture/base:1\nLABEL built=yes\nWORKDIR /app\nCOPY file /app/\n";
const RUN: &str = r#"RUN ["/bin/do", "put", "/etc/conf/new", "new", ",", "add", "/etc/conf/a", "more", ",", "rm", "/etc/conf/c"]
RUN ["/bin/do", "rm", "/etc/conf/sub/x", ",", "rm", "/etc/conf/sub/y", ",", "rmdir", "/etc/conf/sub", ",", "mkdir", "/etc/conf/sub", ",", "put", "/etc/conf/sub/z", "z"]
"#;

/// What the container does: a change, an addition, a whiteout, an opaque directory, a hard and a symbolic link.
const CHANGES: &str = "put /etc/conf/added added , add /etc/conf/a again , rm /etc/conf/b , rm /srv/owned , mkdir /new , \
    put /new/f f , ln /new/f /new/g , sym f /new/s , rm /srv/old/deep/3 , rmdir /srv/old/deep , mkdir /srv/old/deep , \
    put /srv/old/deep/4 four , chmod 0600 /etc/conf/d";

pub fn everything_made_by_docker_is_layercakes(world: &World) {
    let daemon = world.start();
    let runs = make_everything(&daemon);
    let names = [BASE, APP, "witness/built:1", "witness/committed:1"];
    let saved = world.path("docker.tar");
    daemon.docker(&[&["save", "--output", saved.to_str().unwrap()], &names[..]].concat());
    let theirs = ask(&daemon);
    daemon.stop();

    theirs.assert_agreed_by(world);
    assert_saved_the_same(world, &saved, &names);
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
    assert_tree(world, runs);
    change_everything(world);
    let ours = ask(world);

    let daemon = world.start();
    ours.assert_agreed_by(&daemon);
    if let Some(printed) = daemon.run_container(&["--rm", "witness/again:1"]) {
        assert_eq!(printed, "committed by layercake\n");
    }
    // What BuildKit keeps beside the images is whole as well: the same build again is made of it.
    let before = daemon.inspect("image", "witness/built:1")["Id"].clone();
    build(&daemon, runs);
    assert_eq!(daemon.inspect("image", "witness/built:1")["Id"], before, "the build was not cached");
    daemon.stop();
}

fn everything_made_by_docker_on_btrfs_is_layercakes(world: &World) {
    everything_made_by_docker_is_layercakes(&World::on_btrfs(world.docker.clone()));
}

/// Images that were loaded, built and committed, and containers; returns whether containers run.
fn make_everything(daemon: &Daemon<'_>) -> bool {
    daemon.docker_with(&Fixture::Classic.saved(), &["load"]);
    let runs = daemon.run_container(&["--rm", BASE, "/bin/do", "out", "runs"]).is_some();
    build(daemon, runs);
    daemon.docker(&[
        "create",
        "--name",
        "created",
        "--label",
        "a=b",
        "witness/built:1",
        "/bin/do",
        "out",
        "created",
    ]);
    let verb = if runs { "run" } else { "create" };
    let command: Vec<&str> = CHANGES.split_whitespace().collect();
    daemon
        .docker(&[&[verb, "--network", "none", "--name", "changed", BASE, "/bin/do"], &command[..]].concat());
    let added = archive(&[("copied".to_owned(), b"by docker cp\n".to_vec())].into());
    daemon.docker_with(&added, &["cp", "-", "changed:/srv"]);
    daemon.docker(&["commit", "-m", "by docker", "-c", "ENV COMMITTED=1", "changed", "witness/committed:1"]);
    daemon.docker(&["create", "--name", "unwanted", "witness/committed:1"]);
    runs
}

fn build(daemon: &Daemon<'_>, runs: bool) {
    let dockerfile = format!("{FROM}{}", if runs { RUN } else { "" });
    let context = [("Dockerfile", dockerfile.as_str()), ("file", "copied\n")];
    let context = archive(&context.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into());
    daemon.docker_with(&context, &["build", "--network=none", "--tag", "witness/built:1", "-"]);
}

/// The layers in our archive are the bytes in Docker's.
fn assert_saved_the_same(world: &World, docker: &Path, names: &[&str]) {
    let ours = world.path("layercake.tar");
    world.layercake(&[&["save", "--output", ours.to_str().unwrap()], names].concat());
    let [ours, theirs] = [ours.as_path(), docker].map(|path| members(&fs::read(path).unwrap()));
    for name in names {
        assert!(layers(&ours, name) == layers(&theirs, name), "layercake saved other layers of {name}");
    }
}

/// A mount and an export show what the container wrote.
fn assert_tree(world: &World, runs: bool) {
    let merged = world.layercake(&["mount", "--read-only", "changed"]);
    let read = |name: &str| fs::read_to_string(Path::new(merged.trim_end()).join(name));
    assert_eq!(read("srv/copied").unwrap(), "by docker cp\n");
    if runs {
        assert_eq!(read("etc/conf/a").unwrap(), "a\nagain\n");
        assert_eq!(read("new/s").unwrap(), "f\n");
        assert!(read("srv/owned").is_err() && read("srv/old/deep/3").is_err());
    }
    let exported = world.path("exported.tar");
    world.layercake(&["export", "--output", exported.to_str().unwrap(), "changed"]);
    let exported = members(&fs::read(exported).unwrap());
    assert_eq!(exported["srv/copied"], b"by docker cp\n");
    assert_eq!(exported.contains_key("srv/old/deep/3"), !runs);
    world.layercake(&["umount", "changed"]);
}

/// Commits, renames and removes.
fn change_everything(world: &World) {
    let change = r#"CMD ["/bin/do", "out", "committed by layercake"]"#;
    world.layercake(&["commit", "-c", change, "changed", "witness/again:1"]);
    world.layercake(&["tag", "witness/built:1", "witness/kept:1"]);
    world.layercake(&["rename", "created", "renamed"]);
    world.layercake(&["rm", "--wait", "unwanted"]);
    world.layercake(&["rmi", "--wait", "witness/committed:1", APP]);
}
