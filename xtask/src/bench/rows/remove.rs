//! `rmi` of the real image: when the command returns, and when the space is back.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::ours::Ours;
use super::super::table::{Goal, Metric, OURS, Row};
use super::{Contender, take_turns};
use crate::Result;

/// How long the space may take to come back before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn image(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let image = &bench.images.docker;
    let contenders = vec![
        Contender::new(OURS, || {
            run(&mut bench.ours.load(&image.path))?;
            bench.ground.settle()?;
            let start = Instant::now();
            let time = timed(&mut bench.ours.command(&["rmi", &image.id]), &bench.ground.log())?;
            let reclaimed = wait_until_reclaimed(&bench.ours, start)?;
            bench.ours.clear()?;
            Ok(vec![(Metric::Time, time), (Metric::Reclaimed, reclaimed)])
        }),
        Contender::new("docker", || {
            run(bench.peers.docker(&["load", "--quiet", "--input"]).arg(&image.path))?;
            bench.ground.settle()?;
            let time = timed(&mut bench.peers.docker(&["rmi", &image.id]), &bench.ground.log())?;
            // Docker removes before it answers.
            Ok(vec![(Metric::Time, time), (Metric::Reclaimed, time)])
        }),
    ];
    let goals =
        vec![Goal::Faster(Metric::Time, "docker", 10.0), Goal::Faster(Metric::Reclaimed, "docker", 1.0)];
    take_turns(bench, name, contenders, goals)
}

/// Waits until no file of a layer is left, in the driver's directory or in what waits to be removed.
fn wait_until_reclaimed(ours: &Ours, start: Instant) -> Result<f64> {
    while holds_files(&ours.layers()) {
        if start.elapsed() > PATIENCE {
            return Err("the space of the image did not come back".into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Whether there is anything but directories below `dir`. What vanishes meanwhile is gone.
fn holds_files(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    entries.filter_map(|entry| entry.ok()).any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => holds_files(&entry.path()),
        Ok(_) => true,
        Err(_) => false,
    })
}
