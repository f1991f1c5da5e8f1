//! What layercake loaded, committed and created, dockerd lists, runs, commits and saves.

use std::fs;
use std::io::{Seek, Write};

use crate::archives::{APP, BASE, COMMITTED, Fixture, Members, archive, layers, members, oci_archive};
use crate::said::{Tool, ask, assert_agree};
use crate::witnessed;
use crate::world::{World, succeeded};

witnessed! { every_form_of_an_archive_is_the_same_image_to_docker everything_made_by_layercake_is_dockers }

/// IDs, DiffIDs and sizes are compared with what Docker recorded when it made the images.
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
    let forms = [
        (Fixture::Classic, file("docker.tar", Fixture::Classic.saved())),
        (Fixture::Oci, file("oci.tar", oci_archive())),
        (Fixture::Oci, layout),
    ];
    for (fixture, path) in forms {
        world.layercake(&["load", "--input", path.to_str().unwrap()]);
        let daemon = world.start();
        assert_images(world, &daemon, fixture);
        let saved = world.path("saved.tar");
        daemon.docker(&["save", "--output", saved.to_str().unwrap(), BASE, APP, COMMITTED]);
        daemon.stop();
        let (saved, original) = (members(&fs::read(saved).unwrap()), members(&fixture.saved()));
        for name in [BASE, APP, COMMITTED] {
            assert!(layers(&saved, name) == layers(&original, name), "docker saved other layers of {name}");
        }
        world.clear();
    }
}

fn assert_images(world: &World, docker: &impl Tool, fixture: Fixture) {
    for name in [BASE, APP, COMMITTED] {
        let (id, expected) = fixture.expected(name);
        let document = docker.inspect("image", name);
        assert_eq!(document["Id"], id);
        assert_eq!(document["RootFS"]["Layers"], expected["diff_ids"], "{name}");
        assert_eq!(document["Size"], expected["size"], "{name}");
        for (chain, size) in expected["chain_ids"].as_array().unwrap().iter().zip(expected["layer_sizes"].as_array().unwrap())
        {
            let chain = chain.as_str().unwrap().trim_start_matches("sha256:");
            let recorded = fs::read_to_string(world.root(&format!("image/overlay2/layerdb/sha256/{chain}/size"))).unwrap();
            assert_eq!(recorded, size.to_string(), "layer {chain} of {name}");
        }
    }
}

fn everything_made_by_layercake_is_dockers(world: &World) {
    make_everything(world);
    let ours = ask(world);
    let daemon = world.start();
    assert_agree(world, &ours, &daemon);
    let running = daemon.run_container(&["--rm", "witness/committed:1"]);
    if let Some(printed) = running {
        assert_eq!(printed, "changed by layercake\n");
        let output = daemon.try_docker(&["start", "--attach", "made"]);
        assert_eq!(succeeded(&["start", "made"], output), "made by layercake\n");
        assert_eq!(daemon.lines(&["diff", "made"]).len(), 3, "/srv, /srv/by-docker and /srv/old: {:?}", daemon.lines(&["diff", "made"]));
    }
    daemon.docker(&["commit", "made", "witness/made:1"]);
    let saved = world.path("saved.tar");
    let names = [BASE, APP, COMMITTED, "witness/committed:1", "witness/made:1"];
    daemon.docker(&[&["save", "--output", saved.to_str().unwrap()], &names[..]].concat());
    let theirs = ask(&daemon);
    daemon.stop();
    assert_agree(&*format_daemon(), &theirs, world);
    // What Docker saved of it is the same images again, on another root.
    let ids = |world: &World| world.lines(&["images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]);
    let before: Vec<_> = ids(world).into_iter().filter(|line| names.iter().any(|name| line.ends_with(name))).collect();
    world.clear();
    world.layercake(&["load", "--input", saved.to_str().unwrap()]);
    for line in before {
        assert!(ids(world).contains(&line), "{line} is not among {:?}", ids(world));
    }
}
