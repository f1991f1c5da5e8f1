//! Writing in a container: into a volume, into its writable layer, and beside it on the host, into one directory of one
//! file system each time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::ground;
use super::super::table::{Goal, Metric, OURS, Row};
use super::{Contender, take_turns};
use crate::Result;

/// What is written, as one file that is synced.
const WRITE: [&str; 4] = ["dd", "if=/dev/zero", "bs=1M", "count=1024"];
const BYTES: u64 = 1 << 30;

/// The container that writes.
const NAME: &str = "writer";
const ON_THE_HOST: &str = "host";

/// One large file, synced. The goal is a volume like the host itself.
pub fn write(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let image = &bench.images.docker;
    run(&mut bench.ours.load(&image.path))?;
    let volume = "bench:/volume";
    bench
        .ours
        .run(&["run", "--detach", "--name", NAME, "--volume", volume, &image.id, "sleep", "infinity"])?;
    let host = bench.ground.path("host");
    fs::create_dir_all(&host)?;
    let inside = |dir: &str| {
        let mut command = bench.ours.command(&["exec", NAME]);
        command.args(WRITE).arg("conv=fsync").arg(format!("of={dir}/file"));
        command
    };
    let outside = || {
        let mut command = Command::new(WRITE[0]);
        command.args(&WRITE[1..]).arg("conv=fsync").arg(format!("of={}/file", host.display()));
        command
    };
    let on_volume = bench.ours.path("volumes/bench/_data/file");
    let contenders = vec![
        Contender::new(OURS, || turn(bench, inside("/volume"), Some(on_volume.clone()))),
        Contender::new("writable layer", || {
            let sample = turn(bench, inside(""), None);
            bench.ours.run(&["exec", NAME, "rm", "/file"])?;
            sample
        }),
        Contender::new(ON_THE_HOST, || turn(bench, outside(), Some(host.join("file")))),
    ];
    let row = take_turns(bench, name, contenders, vec![Goal::Within(Metric::Time, ON_THE_HOST, 1.1)]);
    bench.ours.run(&["rm", "--force", NAME])?;
    bench.ours.clear()?;
    ground::remove(&host)?;
    row
}

/// Measures one write, and removes the file if it can be seen from here.
fn turn(bench: &Bench<'_>, mut command: Command, file: Option<PathBuf>) -> Result<Vec<(Metric, f64)>> {
    bench.ground.settle()?;
    let time = timed(&mut command, &bench.ground.log())?;
    if let Some(file) = file {
        let written = fs::metadata(&file).map_err(|e| format!("{}: {e}", file.display()))?.len();
        if written != BYTES {
            return Err(format!("{} has {written} bytes", file.display()).into());
        }
        fs::remove_file(&file)?;
    }
    Ok(vec![(Metric::Time, time)])
}
