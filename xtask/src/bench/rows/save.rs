//! `save` of the real image to a file.

use std::path::Path;
use std::process::Command;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::ground;
use super::super::table::{Goal, Metric, OURS, Row, Sample};
use super::{Contender, take_turns};
use crate::Result;

pub fn save(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let image = &bench.images.docker;
    run(&mut bench.ours.load(&image.path))?;
    run(bench.peers.docker(&["load", "--quiet", "--input"]).arg(&image.path))?;
    let turn = |mut command: Command, out: &Path| -> Result<Sample> {
        bench.ground.settle()?;
        let time = timed(command.arg(out).arg(&image.id), &bench.ground.log())?;
        let manifest = run(Command::new("tar").arg("-xOf").arg(out).arg("manifest.json"))?;
        if !manifest.contains(image.id.trim_start_matches("sha256:")) {
            return Err(format!("image {} is not in the archive: {manifest}", image.id).into());
        }
        ground::remove(out)?;
        Ok(vec![(Metric::Time, time)])
    };
    let contenders = vec![
        Contender::new(OURS, || {
            turn(bench.ours.command(&["save", "--output"]), &bench.ground.path("out.tar"))
        }),
        Contender::new("docker", || {
            turn(bench.peers.docker(&["save", "--output"]), &bench.peers.path("out.tar"))
        }),
    ];
    let row = take_turns(bench, name, contenders, vec![Goal::Faster(Metric::Time, "docker", 4.0)]);
    bench.ours.clear()?;
    run(&mut bench.peers.docker(&["rmi", "--force", &image.id]))?;
    row
}
