//! A container that does nothing, from the command to its end, with runc everywhere: crun refuses to work where cgroup v2 has
//! controllers beside v1, whoever calls it in that way.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::ground;
use super::super::table::{Goal, Metric, OURS, Row};
use super::{Contender, take_turns};
use crate::Result;

/// How many commands make one sample.
const COMMANDS: usize = 5;

/// The runtime that all use.
const RUNTIME: &str = "runc";

/// `run --rm` of busybox's `true`, on the host's network.
pub fn nothing(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let dir = bench.peers.path("busybox");
    fs::create_dir_all(dir.join("bin"))?;
    fs::copy("/bin/busybox", dir.join("bin/true")).map_err(|e| format!("busybox-static: {e}"))?;
    let archive = dir.join("busybox.tar");
    run(Command::new("tar").arg("-C").arg(&dir).arg("-cf").arg(&archive).arg("bin"))?;
    let import = |mut command: Command, archive: &Path| run(command.arg(archive).arg("bench:true"));
    import(bench.ours.command(&["import"]), &archive)?;
    import(bench.peers.docker(&["import"]), &archive)?;
    import(bench.peers.podman(&["import", "--quiet"]), &archive)?;

    let flags = ["run", "--rm", "--network", "host"];
    let ours =
        || bench.ours.command(&[&flags[..], &["--runtime", RUNTIME, "bench:true", "/bin/true"]].concat());
    let podman = || {
        let mut command = bench.peers.podman(&["--runtime", RUNTIME]);
        command.args(flags).args(["bench:true", "/bin/true"]);
        command
    };
    let docker = || bench.peers.docker(&[&flags[..], &["bench:true", "/bin/true"]].concat());
    let turn = |command: &dyn Fn() -> Command| {
        bench.ground.settle()?;
        let mut time = 0.0;
        for _ in 0..COMMANDS {
            time += timed(&mut command(), &bench.ground.log())?;
        }
        Ok(vec![(Metric::Time, time / COMMANDS as f64)])
    };
    let contenders = vec![
        Contender::new(OURS, || turn(&ours)),
        Contender::new("podman", || turn(&podman)),
        Contender::new("docker", || turn(&docker)),
    ];
    let row = take_turns(bench, name, contenders, vec![Goal::Within(Metric::Time, "podman", 1.0)]);
    bench.ours.clear()?;
    run(&mut bench.peers.docker(&["rmi", "--force", "bench:true"]))?;
    run(&mut bench.peers.podman(&["rmi", "--force", "bench:true"]))?;
    ground::remove(&dir)?;
    row
}
