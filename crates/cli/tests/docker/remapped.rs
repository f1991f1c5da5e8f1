//! `userns-remap`: a data root of containers with other ids is the same for both.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::archive::Builder;

use crate::archives::{BASE, Fixture, base_layer};
use crate::said::Tool;
use crate::witness::skip;
use crate::witnessed;
use crate::world::{World, text};

witnessed! { remapped_containers_are_the_same_to_both }

/// A user and group of every Debian, the first of the ids that they get here, and the data root of these.
const USER: &str = "daemon";
const FIRST: [(&str, u32); 2] = [("subuid", 100_000), ("subgid", 200_000)];
const ROOT: &str = "100000.200000";

/// Gives this thread, and the processes that it starts, ids to map containers to. A daemon in another tree finds the
/// files in the test's directory.
fn give_ids(world: &World) {
    sys::mount::private_namespace().unwrap();
    for (file, first) in FIRST {
        let own = world.path(file);
        fs::write(&own, format!("{USER}:{first}:65536\n")).unwrap();
        let mount = Command::new("mount").arg("--bind").arg(&own).arg(Path::new("/etc").join(file)).status();
        assert!(mount.unwrap().success());
    }
}

/// The content of a file of the fixtures' base image.
fn base_file(path: &Path) -> Vec<u8> {
    let layer = base_layer();
    let mut archive = tar::Archive::new(&layer[..]);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap() == path).unwrap();
    let mut content = Vec::new();
    entry.read_to_end(&mut content).unwrap();
    content
}

/// Owners and modes of what a container has, by paths without its IDs.
fn owners(world: &World, container: &str) -> BTreeMap<PathBuf, (u32, u32, u32)> {
    let format = "{{.Id}} {{.GraphDriver.Data.UpperDir}}";
    let said = world.layercake(&["inspect", "--format", format, container]);
    let (id, upper) = said.trim().split_once(' ').unwrap();
    let layer = Path::new(upper).parent().unwrap();
    let init = PathBuf::from(format!("{}-init", layer.display()));
    let mut owners = BTreeMap::new();
    let mut note = |name: String, path: PathBuf| {
        let meta = fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        owners.insert(PathBuf::from(name), (meta.uid(), meta.gid(), meta.mode() & 0o7777));
    };
    for (name, dir) in [("layer", layer), ("init", &init)] {
        for file in ["", "diff", "work", "link", "lower"] {
            note(format!("{name}/{file}"), dir.join(file));
        }
    }
    for file in ["committed", "diff/.dockerenv", "diff/dev", "diff/etc/hosts"] {
        note(format!("init/{file}"), init.join(file));
    }
    note("work/work".to_owned(), layer.join("work/work"));
    let containers = world.root(ROOT).join("containers");
    for file in ["", "config.v2.json", "checkpoints"] {
        note(format!("container/{file}"), containers.join(id).join(file));
    }
    for dir in ["..", ".", "containers", "image", "overlay2", "overlay2/l"] {
        note(dir.to_owned(), world.root(ROOT).join(dir));
    }
    owners
}

/// What both tools have to say in the same words.
fn shown(tool: &impl Tool) -> Vec<String> {
    let mut lines = tool.lines(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"]);
    lines.sort();
    for name in ["ours", "theirs"] {
        lines.push(tool.run(&[
            "inspect",
            "--format",
            "{{.State.ExitCode}} {{.GraphDriver.Data.UpperDir}}",
            name,
        ]));
        lines.extend(tool.lines(&["diff", name]));
    }
    lines
}

fn remapped_containers_are_the_same_to_both(plain: &World) {
    let world = &World::remapped(plain.docker.clone(), USER);
    give_ids(world);
    // The fixtures have owners that nobody has ids for.
    let archive = world.path("images.tar");
    fs::write(&archive, Fixture::Classic.saved()).unwrap();
    let said = world.layercake_fails(&["load", "--input", archive.to_str().unwrap()]);
    assert!(said.contains("Container ID 3000000 cannot be mapped to a host ID"), "{said}");
    let (tree, path) = (world.path("tree.tar"), Path::new("bin/do"));
    let program = base_file(path);
    let builder = Builder::new().dir("bin").dir("etc").dir("srv");
    let builder = builder.file_with("bin/do", program, |entry| entry.mode = 0o755);
    let builder = builder.file_with("etc/owned", "x", |entry| (entry.uid, entry.gid) = (7, 65535));
    fs::write(&tree, builder.build()).unwrap();
    world.layercake(&["import", tree.to_str().unwrap(), BASE]);
    let run = |name: &'static str| ["run", "--network", "none", "--name", name, BASE, "/bin/do"];
    let program = ["put", "/srv/written", "x", ",", "out", "done"];
    assert_eq!(world.layercake(&[&run("ours")[..], &program].concat()), "done\n");
    let daemon = world.start();
    daemon.docker(&[&["create"], &run("theirs")[1..], &program].concat());
    let output = daemon.try_docker(&["start", "--attach", "theirs"]);
    let runs = output.status.success();
    match runs {
        true => assert_eq!(text(&output.stdout), "done\n"),
        // A process in another tree, as a chroot makes it, may not make user namespaces.
        false => skip("running remapped containers with Docker", text(&output.stderr).trim()),
    }
    daemon.docker(&["commit", "theirs", "witness/theirs:1"]);
    daemon.docker(&["commit", "ours", "witness/ours:1"]);
    if runs {
        assert_eq!(daemon.docker(&["start", "--attach", "ours"]), "done\n");
    }
    let theirs = shown(&daemon);
    daemon.stop();
    assert_eq!(shown(world), theirs);
    assert_eq!(owners(world, "ours"), owners(world, "theirs"));
    world.layercake(&["check"]);
    assert_eq!(world.layercake(&["start", "--attach", "theirs"]), "done\n");
    for image in ["witness/theirs:1", "witness/ours:1"] {
        let again = ["run", "--rm", "--network", "none", image, "/bin/do", "out", "again"];
        assert_eq!(world.layercake(&again), "again\n");
    }
}
