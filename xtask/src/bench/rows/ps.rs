//! `ps -a --size` over many stopped containers, each with a little of its own written.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::table::{Goal, Metric, OURS, Row, Sample};
use super::{Contender, take_turns};
use crate::Result;

/// What every container wrote.
const WRITTEN: &str = "log of a container\n";

/// Beside podman. The row says how many containers there were.
pub fn size(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let containers = bench.options.containers;
    let image = &bench.images.docker;
    let name = format!("{name}, {containers} containers");
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
        write(&bench.ours.layers().join(id.trim()).join("diff"))?;
    }
    Ok(())
}

/// Writes into the upper directory of each of podman's containers.
fn write_podmans(bench: &Bench<'_>) -> Result<()> {
    let store = bench.peers.path("podman/root");
    let containers: Value =
        serde_json::from_str(&fs::read_to_string(store.join("overlay-containers/containers.json"))?)?;
    for container in containers.as_array().into_iter().flatten() {
        let layer = container["layer"].as_str().ok_or("a container of podman's without a layer")?;
        write(&store.join("overlay").join(layer).join("diff"))?;
    }
    Ok(())
}

fn write(upper: &Path) -> Result<()> {
    fs::write(upper.join("container.log"), WRITTEN).map_err(|e| format!("{}: {e}", upper.display()).into())
}
