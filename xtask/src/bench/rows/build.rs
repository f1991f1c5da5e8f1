//! Builds, beside BuildKit and Buildah: one in which nothing has changed, one that copies many files, and a whole image
//! from nothing.
//!
//! All of them build from the same directory; the first two begin with nothing but a static busybox. BuildKit keeps what
//! it was sent of a context, ours and Buildah read it in place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Bench;
use super::super::exec::{run, timed};
use super::super::ground;
use super::super::table::{Goal, Metric, OURS, Row, Sample};
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

/// The Dockerfile of the directory that `--context` names, with nothing of it in any cache.
pub fn whole(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let Some(given) = &bench.options.context else {
        return Err("--context names no directory".into());
    };
    let context = bench.peers.path("context");
    ground::remove(&context)?;
    run(Command::new("cp").arg("-a").arg(given).arg(&context))?;
    let builders = Builders { bench, context: &context, flags: &["--no-cache"] };
    let turn = |builder: &dyn Fn() -> Command| {
        let sample = builders.timed(&mut builder())?;
        builders.clear()?;
        Ok(sample)
    };
    let contenders = builders.all().map(|(name, builder)| {
        let turn = &turn;
        Contender::new(name, move || turn(&*builder))
    });
    let goals = ["docker", "buildah"].map(|peer| Goal::Within(Metric::Time, peer, 1.0));
    let row = take_turns(bench, name, contenders.into(), goals.into());
    ground::remove(&context)?;
    row
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
    let builders = Builders { bench, context, flags: &[] };
    for (_, builder) in builders.all() {
        run(&mut builder())?;
    }
    let turns = std::cell::Cell::new(0);
    let turn = |builder: &dyn Fn() -> Command| {
        turns.set(turns.get() + 1);
        change(turns.get())?;
        builders.timed(&mut builder())
    };
    let contenders = builders.all().map(|(name, builder)| {
        let turn = &turn;
        Contender::new(name, move || turn(&*builder))
    });
    let row = take_turns(bench, name, contenders.into(), goals);
    builders.clear()?;
    ground::remove(context)?;
    row
}

/// The programs that build one context.
struct Builders<'a> {
    bench: &'a Bench<'a>,
    context: &'a Path,
    /// Of all of them.
    flags: &'static [&'static str],
}

/// Makes the command that builds.
type Builder<'a> = Box<dyn Fn() -> Command + 'a>;

impl Builders<'_> {
    fn all(&self) -> [(&'static str, Builder<'_>); 3] {
        let (bench, context) = (self.bench, self.context);
        let common = move |command: &mut Command| {
            command.args(["--quiet", "--network", "host", "--tag", "bench:build"]).args(self.flags);
            command.arg(context);
        };
        let ours = move || {
            let mut command = bench.ours.command(&["build"]);
            common(&mut command);
            command
        };
        let docker = move || {
            let mut command = bench.peers.docker(&["build"]);
            common(command.env("DOCKER_BUILDKIT", "1"));
            command
        };
        let buildah = move || {
            let mut command = bench.peers.inside("buildah");
            command.args(["bud", "--layers", "--isolation", "chroot"]);
            // Its own defaults may be more than this machine lets it have.
            command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
            common(&mut command);
            command
        };
        [(OURS, Box::new(ours)), ("docker", Box::new(docker)), ("buildah", Box::new(buildah))]
    }

    /// Runs one build.
    fn timed(&self, build: &mut Command) -> Result<Sample> {
        self.bench.ground.settle()?;
        let time = timed(build, &self.bench.ground.log())?;
        let printed = fs::read_to_string(self.bench.ground.log())?;
        if printed.trim().is_empty() {
            return Err("the build printed no ID".into());
        }
        Ok(vec![(Metric::Time, time)])
    }

    /// Removes what was built, and what is kept of it for the next time.
    fn clear(&self) -> Result<()> {
        let Self { bench, .. } = self;
        bench.ours.clear()?;
        run(&mut bench.peers.docker(&["image", "prune", "--all", "--force"]))?;
        run(&mut bench.peers.docker(&["builder", "prune", "--all", "--force"]))?;
        run(bench.peers.inside("buildah").args(["rmi", "--all", "--force"]))?;
        Ok(())
    }
}
