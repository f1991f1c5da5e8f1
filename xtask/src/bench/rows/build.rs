//! Builds, beside BuildKit and Buildah: one in which nothing has changed, and one that copies many files.
//!
//! All of them build from the same directory and begin with nothing but a static busybox. BuildKit keeps what it was sent
//! of a context, ours and Buildah read it in place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::ground;
use super::super::table::{Goal, Metric, OURS, Row};
use super::{Contender, take_turns};
use crate::Result;

/// Files of the large context; each directory holds a thousandth of them.
const FILES: usize = 30_000;

/// The static program that all images consist of.
const BUSYBOX: &str = "/bin/busybox";

/// A Dockerfile of twenty steps, built again.
pub fn unchanged(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let context = context(bench)?;
    let mut text = String::from("FROM scratch\nCOPY busybox /bin/busybox\n");
    for n in 0..6 {
        fs::write(context.join(format!("file-{n}")), format!("{n}\n"))?;
        text += &format!(
            "COPY file-{n} /files/\nENV NAME_{n}=value\nRUN [\"/bin/busybox\", \"touch\", \"/made-{n}\"]\n"
        );
    }
    fs::write(context.join("Dockerfile"), text)?;
    let docker = Goal::Faster(Metric::Time, "docker", 1.0);
    measure(bench, name, &context, &|_| Ok(()), vec![Goal::Below(Metric::Time, 0.2), docker])
}

/// `COPY` of a large directory in which a file has changed since the last build.
pub fn copy(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let context = context(bench)?;
    for n in 0..FILES {
        let dir = context.join(format!("many/{}", n % 1000));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(n.to_string()), format!("the file {n}\n").repeat(n % 100))?;
    }
    fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY many /many\n")?;
    let change = |turn: usize| Ok(fs::write(context.join("many/0/changed"), turn.to_string())?);
    let goals = ["docker", "buildah"].map(|peer| Goal::Within(Metric::Time, peer, 0.5));
    measure(bench, name, &context, &change, goals.into())
}

/// An empty context with the program in it, where the peers see it too.
fn context(bench: &Bench<'_>) -> Result<PathBuf> {
    let dir = bench.peers.path("context");
    ground::remove(&dir)?;
    fs::create_dir_all(&dir)?;
    fs::copy(BUSYBOX, dir.join("busybox")).map_err(|e| format!("{BUSYBOX} (busybox-static): {e}"))?;
    Ok(dir)
}

/// Builds once with each, then in turns, after `change` was called with the number of the turn.
fn measure(
    bench: &Bench<'_>,
    name: &str,
    context: &Path,
    change: &dyn Fn(usize) -> Result<()>,
    goals: Vec<Goal>,
) -> Result<Row> {
    let ours = || {
        let mut command =
            bench.ours.command(&["build", "--quiet", "--network", "host", "--tag", "bench:build"]);
        command.arg(context);
        command
    };
    let docker = || {
        let mut command =
            bench.peers.docker(&["build", "--quiet", "--network", "host", "--tag", "bench:build"]);
        command.arg(context).env("DOCKER_BUILDKIT", "1");
        command
    };
    let buildah = || {
        let mut command = bench.peers.inside("buildah");
        command.args(["bud", "--quiet", "--layers", "--isolation", "chroot", "--network", "host"]);
        // Its own defaults may be more than this machine lets it have.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        command.args(["--tag", "bench:build"]).arg(context);
        command
    };
    let contenders: [(&'static str, &dyn Fn() -> Command); 3] =
        [(OURS, &ours), ("docker", &docker), ("buildah", &buildah)];
    for (_, command) in &contenders {
        run(&mut command())?;
    }
    let turns = std::cell::Cell::new(0);
    let turn = |command: &dyn Fn() -> Command| {
        turns.set(turns.get() + 1);
        change(turns.get())?;
        bench.ground.settle()?;
        let time = timed(&mut command(), &bench.ground.log())?;
        let printed = fs::read_to_string(bench.ground.log())?;
        if printed.trim().is_empty() {
            return Err("the build printed no ID".into());
        }
        Ok(vec![(Metric::Time, time)])
    };
    let contenders = contenders.map(|(name, command)| Contender::new(name, move || turn(command)));
    let row = take_turns(bench, name, contenders.into(), goals);
    bench.ours.clear()?;
    run(&mut bench.peers.docker(&["rmi", "--force", "bench:build"]))?;
    run(&mut bench.peers.docker(&["builder", "prune", "--all", "--force"]))?;
    run(bench.peers.inside("buildah").args(["rmi", "--force", "bench:build"]))?;
    ground::remove(context)?;
    row
}
