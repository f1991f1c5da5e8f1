//! What layercake loaded, committed and created, dockerd lists, runs, commits and saves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::archives::{APP, BASE, COMMITTED, Fixture, layers, members, oci_archive};
use crate::said::{Tool, ask};
use crate::witnessed;
use crate::world::World;

witnessed! {
    every_form_of_an_archive_is_the_same_image_to_docker everything_made_by_layercake_is_dockers
    everything_made_by_layercake_on_btrfs_is_dockers a_size_limit_on_btrfs_holds_whoever_writes
}

/// Docker loads what it had saved; we load that, and the same as an OCI archive and as a directory.
fn every_form_of_an_archive_is_the_same_image_to_docker(world: &World) {
    let layout = world.path("layout");
    for (name, content) in members(&oci_archive()) {
        let path = layout.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let file = |name: &str, content: Vec<u8>| {
        fs::write(world.path(name), content).unwrap();
        world.path(name)
    };
    let classic = file("classic.tar", Fixture::Classic.saved());
    let oci = file("oci.tar", oci_archive());
    for (fixture, forms) in [(Fixture::Classic, vec![classic]), (Fixture::Oci, vec![oci, layout])] {
        let daemon = world.start();
        daemon.docker_with(&fixture.saved(), &["load"]);
        let shown = images(&daemon);
        daemon.stop();
        let recorded = layer_records(world);
        world.clear();
        for form in forms {
            world.layercake(&["load", "--input", form.to_str().unwrap()]);
            assert_eq!(layer_records(world), recorded, "{}", form.display());
            let daemon = world.start();
            assert_eq!(images(&daemon), shown, "{}", form.display());
            let saved = world.path("saved.tar");
            daemon.docker(&["save", "--output", saved.to_str().unwrap(), BASE, APP, COMMITTED]);
            daemon.stop();
            let (saved, original) = (members(&fs::read(saved).unwrap()), members(&fixture.saved()));
            for name in [BASE, APP, COMMITTED] {
                assert!(
                    layers(&saved, name) == layers(&original, name),
                    "docker saved other layers of {name}"
                );
            }
            world.clear();
        }
    }
}

/// The fixtures' images as a tool shows them.
fn images(tool: &impl Tool) -> Vec<String> {
    let shown = "{{.ID}} {{.Repository}}:{{.Tag}} {{.Size}} {{.CreatedAt}}";
    let mut lines = tool.lines(&["images", "--no-trunc", "--format", shown]);
    lines.sort();
    let names = [BASE, APP, COMMITTED];
    let details = "{{.Id}} {{.RootFS.Layers}} {{.Size}} {{json .Config.Env}} {{json .Config.Cmd}}";
    lines.extend(names.map(|name| tool.run(&["image", "inspect", "--format", details, name])));
    lines
}

/// What the layer store records of each layer, by chain ID; all but its random directory name.
pub fn layer_records(world: &World) -> BTreeMap<String, [String; 3]> {
    let layers = format!("image/{}/layerdb/sha256", world.driver);
    let record = |chain: String| {
        let read =
            |file: &str| fs::read_to_string(world.root(&layers).join(&chain).join(file)).unwrap_or_default();
        let record = ["diff", "parent", "size"].map(read);
        (chain, record)
    };
    world.names(&layers).into_iter().map(record).collect()
}

pub fn everything_made_by_layercake_is_dockers(world: &World) {
    make_everything(world);
    let ours = ask(world);
    let daemon = world.start();
    ours.assert_agreed_by(&daemon);
    if let Some(printed) = daemon.run_container(&["--rm", "witness/committed:1"]) {
        assert_eq!(printed, "committed by layercake\n");
        assert_eq!(daemon.docker(&["start", "--attach", "made"]), "made by layercake\n");
        let diff = daemon.lines(&["diff", "made"]);
        for change in ["A /srv/by-docker", "D /srv/old/1"] {
            assert!(diff.iter().any(|line| line == change), "no {change} in {diff:?}");
        }
    }
    daemon.docker(&["commit", "made", "witness/made:1"]);
    let saved = world.path("saved.tar");
    let names = [BASE, APP, COMMITTED, "witness/committed:1", "witness/made:1"];
    daemon.docker(&[&["save", "--output", saved.to_str().unwrap()], &names[..]].concat());
    let theirs = ask(&daemon);
    daemon.stop();
    theirs.assert_agreed_by(world);

    // What Docker saved is the same images again on another root.
    let ids = || names.map(|name| world.inspect("image", name)["Id"].clone());
    let before = ids();
    world.clear();
    world.layercake(&["load", "--input", saved.to_str().unwrap()]);
    assert_eq!(before, ids());
}

fn everything_made_by_layercake_on_btrfs_is_dockers(world: &World) {
    everything_made_by_layercake_is_dockers(&World::on_btrfs(world.docker.clone()));
}

/// A container of either, filled by the other.
fn a_size_limit_on_btrfs_holds_whoever_writes(world: &World) {
    let world = World::on_btrfs(world.docker.clone());
    let [archive, big, small] = ["images.tar", "big", "small"].map(|name| world.path(name));
    fs::write(&archive, Fixture::Classic.saved()).unwrap();
    fs::write(&big, vec![7; 24 << 20]).unwrap();
    fs::write(&small, "fits").unwrap();
    world.layercake(&["load", "--input", archive.to_str().unwrap()]);
    world.layercake(&["create", "--name", "ours", "--storage-opt", "size=16m", BASE, "/bin/do"]);
    let daemon = world.start();
    daemon.docker(&["create", "--name", "theirs", "--storage-opt", "size=16m", BASE, "/bin/do"]);
    let limit = |tool: &dyn Fn(&str) -> serde_json::Value| {
        ["ours", "theirs"].map(|name| tool(name)["HostConfig"]["StorageOpt"]["size"].clone())
    };
    assert_eq!(limit(&|name| daemon.inspect("container", name)), ["16m", "16m"]);
    for name in ["ours", "theirs"] {
        let to = |path: &str| format!("{name}:/srv/{path}");
        let refused = daemon.try_docker(&["cp", big.to_str().unwrap(), &to("big")]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("disk quota exceeded"), "{name}: {said}");
    }
    daemon.docker(&["create", "--name", "other", BASE, "/bin/do"]);
    daemon.docker(&["cp", big.to_str().unwrap(), "other:/srv/big"]);
    daemon.docker(&["rm", "ours", "theirs"]);
    daemon.docker(&["create", "--name", "theirs", "--storage-opt", "size=16m", BASE, "/bin/do"]);
    daemon.stop();
    world.layercake(&["cp", small.to_str().unwrap(), "theirs:/srv/small"]);
    let said = world.layercake_fails(&["cp", big.to_str().unwrap(), "theirs:/srv/big"]);
    assert!(said.to_lowercase().contains("quota exceeded"), "{said}");
    assert_eq!(world.names("btrfs/quotas").len(), 2, "of the container and its init layer");
    world.layercake(&["rm", "theirs", "other"]);
    assert!(world.names("btrfs/quotas").is_empty());
}

/// Images that were loaded, tagged and committed; containers that were only created, and one that was changed.
fn make_everything(world: &World) {
    let archive = world.path("images.tar");
    fs::write(&archive, Fixture::Classic.saved()).unwrap();
    world.layercake(&["load", "--input", archive.to_str().unwrap()]);
    world.layercake(&["tag", APP, "registry.example:5000/witness/tagged:1"]);
    let program = "put /srv/by-docker x , rm /srv/old/1 , out";
    let command: Vec<&str> = program.split(' ').chain(["made by layercake"]).collect();
    let create = ["create", "--name", "made", "--label", "a=b", "--env", "X=1", BASE, "/bin/do"];
    world.layercake(&[&create, &command[..]].concat());
    world.layercake(&["create", "--name", "changed", APP]);
    let merged = world.layercake(&["mount", "changed"]);
    let merged = Path::new(merged.trim_end());
    fs::write(merged.join("etc/conf/a"), "changed\n").unwrap();
    fs::write(merged.join("etc/conf/added"), "added\n").unwrap();
    fs::remove_file(merged.join("srv/second")).unwrap();
    fs::remove_dir_all(merged.join("etc/conf/sub")).unwrap();
    fs::create_dir(merged.join("etc/conf/sub")).unwrap();
    fs::write(merged.join("etc/conf/sub/new"), "in an opaque directory\n").unwrap();
    world.layercake(&["umount", "changed"]);
    let change = r#"CMD ["out", "committed by layercake"]"#;
    world.layercake(&[
        "commit",
        "-a",
        "A. Author",
        "-m",
        "a message",
        "-c",
        change,
        "changed",
        "witness/committed:1",
    ]);
}
