//! The commands that make, remove and mount a container, each as a user runs it: a whole process.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::ground;
use super::super::images::deep;
use super::super::table::{Goal, Metric, OURS, Row};
use super::{Contender, take_turns};
use crate::Result;

/// How many commands make one sample of a command of a few milliseconds.
const COMMANDS: usize = 10;

/// Lower directories of the deep mount: as many as Docker allows, one of which is the init layer.
const LOWERS: usize = 128;

/// A program with `create`, `ps` and `rm`: makes the command with these arguments.
type Client<'a> = &'a dyn Fn(&[&str]) -> Command;

/// `create`, without a name, of the real image.
pub fn create(bench: &Bench<'_>, name: &str) -> Result<Row> {
    beside_docker(bench, name, |client| {
        let (time, ids) = create_some(bench, client)?;
        remove_some(bench, client, &ids)?;
        Ok(time)
    })
}

/// `rm` of a container that was created.
pub fn remove(bench: &Bench<'_>, name: &str) -> Result<Row> {
    beside_docker(bench, name, |client| {
        let (_, ids) = create_some(bench, client)?;
        remove_some(bench, client, &ids)
    })
}

/// Measures in our store and in Docker's, with the real image loaded into both.
fn beside_docker(bench: &Bench<'_>, name: &str, turn: impl Fn(Client<'_>) -> Result<f64>) -> Result<Row> {
    let image = &bench.images.docker;
    run(&mut bench.ours.load(&image.path))?;
    run(bench.peers.docker(&["load", "--quiet", "--input"]).arg(&image.path))?;
    let contenders = vec![
        Contender::new(OURS, || Ok(vec![(Metric::Time, turn(&|args| bench.ours.command(args))?)])),
        Contender::new("docker", || Ok(vec![(Metric::Time, turn(&|args| bench.peers.docker(args))?)])),
    ];
    let row = take_turns(bench, name, contenders, vec![Goal::Faster(Metric::Time, "docker", 4.0)]);
    bench.ours.clear()?;
    run(&mut bench.peers.docker(&["rmi", "--force", &image.id]))?;
    row
}

/// Creates containers one after another; returns the time of one and their IDs.
fn create_some(bench: &Bench<'_>, client: Client<'_>) -> Result<(f64, Vec<String>)> {
    bench.ground.settle()?;
    let mut ids = Vec::new();
    let mut time = 0.0;
    for _ in 0..COMMANDS {
        time += timed(&mut client(&["create", &bench.images.docker.id]), &bench.ground.log())?;
        ids.push(fs::read_to_string(bench.ground.log())?.trim().to_string());
    }
    let listed = run(&mut client(&["ps", "--all", "--quiet", "--no-trunc"]))?;
    if ids.iter().any(|id| !listed.contains(id)) {
        return Err(format!("not all of {ids:?} are in {listed:?}").into());
    }
    Ok((time / COMMANDS as f64, ids))
}

/// Removes containers one after another; returns the time of one.
fn remove_some(bench: &Bench<'_>, client: Client<'_>, ids: &[String]) -> Result<f64> {
    bench.ground.settle()?;
    let mut time = 0.0;
    for id in ids {
        time += timed(&mut client(&["rm", id]), &bench.ground.log())?;
    }
    let listed = run(&mut client(&["ps", "--all", "--quiet", "--no-trunc"]))?;
    if ids.iter().any(|id| listed.contains(id)) {
        return Err(format!("some of {ids:?} are still in {listed:?}").into());
    }
    Ok(time / ids.len() as f64)
}

/// `mount` of a container with [`LOWERS`] layers below it.
pub fn mount(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let dir = bench.ground.path("deep");
    run(&mut bench.ours.load(&deep(&dir, LOWERS - 1)?))?;
    bench.ours.run(&["create", "--name", "deep", "deep:1"])?;
    let contenders = vec![Contender::new(OURS, || {
        bench.ground.settle()?;
        let mut time = 0.0;
        for _ in 0..COMMANDS {
            time += timed(&mut bench.ours.command(&["mount", "deep"]), &bench.ground.log())?;
            let merged = fs::read_to_string(bench.ground.log())?;
            // The files of the lowest and of the highest layer.
            for file in ["file-0".to_string(), format!("file-{}", LOWERS - 2)] {
                let path = Path::new(merged.trim()).join(file);
                fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            }
            bench.ours.run(&["umount", "deep"])?;
        }
        Ok(vec![(Metric::Time, time / COMMANDS as f64)])
    })];
    let row = take_turns(bench, name, contenders, vec![Goal::Below(Metric::Time, 0.010)]);
    bench.ours.clear()?;
    ground::remove(&dir)?;
    row
}
