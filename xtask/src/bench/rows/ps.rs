//! `ps -a --size` over many stopped containers, each of which wrote some files.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::table::{Goal, Metric, OURS, Row, Sample};
use super::{Contender, take_turns};
use crate::Result;

/// How many files lie in one directory.
const FILES_IN_DIRECTORY: usize = 10;

/// Beside podman. The row says how many containers there were, and with how many files.
pub fn size(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let (containers, files) = (bench.options.containers, bench.options.files);
    let image = &bench.images.docker;
    let name = format!("{name}, {containers} containers of {files} files");
    eprintln!("{name}, {}: creating them, which takes podman a while", bench.ground.kind);
    run(&mut bench.ours.load(&image.path))?;
    create_all(&bench.ours.command(&["create", &image.id]), containers)?;
    write_ours(bench)?;
    run(bench.peers.podman(&["load", "--quiet", "--input"]).arg(&image.path))?;
    create_all(&bench.peers.podman(&["create", "--quiet", &image.id]), containers)?;
    write_podmans(bench)?;
    let turn = |mut command: Command| -> Result<Sample> {
        bench.ground.settle()?;
        let time = timed(command.args(["ps", "--all", "--size"]), &bench.ground.log())?;
        let listed =
            fs::read_to_string(bench.ground.log())?.lines().filter(|line| line.contains("virtual")).count();
        if listed != containers {
            return Err(format!("{listed} of {containers} containers are listed with their size").into());
        }
        Ok(vec![(Metric::Time, time)])
    };
    let contenders = vec![
        Contender::new(OURS, || turn(bench.ours.command(&[]))),
        Contender::new("podman", || turn(bench.peers.podman(&[]))),
    ];
    let row = take_turns(bench, &name, contenders, vec![Goal::Faster(Metric::Time, "podman", 20.0)]);
    bench.ours.clear()?;
    run(&mut bench.peers.podman(&["rm", "--all", "--force"]))?;
    run(&mut bench.peers.podman(&["rmi", "--all", "--force"]))?;
    row
}

/// Runs the same command again and again.
fn create_all(command: &Command, times: usize) -> Result<()> {
    let mut script = Command::new("sh");
    script.args([
        "-c",
        r#"n=$1; shift; while [ "$n" -gt 0 ]; do "$@" >/dev/null || exit; n=$((n-1)); done"#,
        "sh",
    ]);
    script.arg(times.to_string()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    run(&mut script)?;
    Ok(())
}

/// Writes into the upper directory of each of our containers.
fn write_ours(bench: &Bench<'_>) -> Result<()> {
    for mount in fs::read_dir(bench.ours.path("image/overlay2/layerdb/mounts"))? {
        let id = fs::read_to_string(mount?.path().join("mount-id"))?;
        write(&bench.ours.layers().join(id.trim()).join("diff"), bench.options.files)?;
    }
    Ok(())
}

/// Writes into the upper directory of each of podman's containers.
fn write_podmans(bench: &Bench<'_>) -> Result<()> {
    let store = bench.peers.path("podman/root");
    let containers = fs::read_to_string(store.join("overlay-containers/containers.json"))?;
    let containers: Value = serde_json::from_str(&containers)?;
    for container in containers.as_array().into_iter().flatten() {
        let layer = container["layer"].as_str().ok_or("a container of podman's without a layer")?;
        write(&store.join("overlay").join(layer).join("diff"), bench.options.files)?;
    }
    Ok(())
}

/// Writes so many small files, a few in each directory.
fn write(upper: &Path, files: usize) -> Result<()> {
    for n in 0..files {
        let dir = upper.join(format!("dir-{}", n / FILES_IN_DIRECTORY));
        let written =
            fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join(format!("file-{n}")), "written\n"));
        written.map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    Ok(())
}
