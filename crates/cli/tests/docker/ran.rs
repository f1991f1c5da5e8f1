//! What layercake ran, Docker shows as if it had run it; and the other way round.

use std::fs;

use crate::archives::{BASE, Fixture};
use crate::said::Tool;
use crate::witnessed;
use crate::world::World;

witnessed! { what_layercake_ran_docker_shows what_docker_ran_layercake_shows }

fn load(world: &World) {
    let archive = world.path("images.tar");
    fs::write(&archive, Fixture::Classic.saved()).unwrap();
    world.layercake(&["load", "--input", archive.to_str().unwrap()]);
}

/// What both tools have to say in the same words.
fn shown(tool: &impl Tool) -> Vec<String> {
    let mut lines =
        tool.lines(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}} {{.Command}}"]);
    lines.sort();
    let state = "{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.StartedAt}} \
        {{.State.FinishedAt}} {{.LogPath}} {{.HostnamePath}}";
    lines.push(tool.run(&["inspect", "--format", state, "ran"]));
    lines.push(tool.run(&["logs", "--timestamps", "ran"]));
    lines.extend(tool.lines(&["diff", "ran"]));
    lines
}

fn what_layercake_ran_docker_shows(world: &World) {
    load(world);
    let program = ["/bin/do", "put", "/srv/written", "x", ",", "out", "by layercake"];
    let printed = world.layercake(&[&["run", "--name", "ran", BASE], &program[..]].concat());
    assert_eq!(printed, "by layercake\n");
    assert_eq!(
        world.command(&["run", "--name", "missing", BASE, "/nope"]).output().unwrap().status.code(),
        Some(127)
    );
    let ours = shown(world);
    let daemon = world.start();
    assert_eq!(shown(&daemon), ours);
    assert_eq!(daemon.run(&["inspect", "--format", "{{.State.ExitCode}}", "missing"]).trim(), "127");
    if daemon.can_run() {
        // It has the host's network and the default runtime, which a daemon has too.
        assert_eq!(daemon.docker(&["start", "--attach", "ran"]), "by layercake\n");
    }
    daemon.stop();
    assert_eq!(world.layercake(&["start", "--attach", "ran"]), "by layercake\n");
}

fn what_docker_ran_layercake_shows(world: &World) {
    load(world);
    let daemon = world.start();
    let ran = daemon.run_container(&["--name", "ran", BASE, "/bin/do", "out", "by docker"]);
    let theirs = ran.is_some().then(|| shown(&daemon));
    daemon.stop();
    if let Some(theirs) = theirs {
        assert_eq!(shown(world), theirs);
        assert_eq!(world.layercake(&["start", "--attach", "ran"]), "by docker\n");
    }
}
