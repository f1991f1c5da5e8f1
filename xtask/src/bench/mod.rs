//! The benchmark: layercake and its peers in turn, on a real image, on tmpfs and on disk.
//!
//! A *row* is one piece of work ("load, OCI, gzip"), its *contenders* are the programs that can do it. They take turns:
//! every round runs each contender once, so that a slow moment of the machine hits all of them, and the median of the
//! rounds counts. What a contender needs before and leaves behind is made and removed outside of the measured time, and
//! every result is verified: a fast load of the wrong image is a failure of the benchmark.
//!
//! Everything runs in a mount and a process namespace of its own: whatever happens, no daemon and no mount stays.

mod exec;
mod ground;
mod images;
mod options;
mod ours;
mod peers;
mod registry;
mod rows;
mod stats;
mod table;
mod union;

use std::process::Command;

use crate::Result;
use ground::Ground;
use images::Images;
use options::Options;
use ours::Ours;
use peers::Peers;
use table::Row;

pub use exec::run;
pub use options::repository;
pub use ours::build;
pub use registry::wire;

/// Set in the copy of this process that runs inside the namespaces.
const INSIDE: &str = "LAYERCAKE_BENCH_INSIDE";

/// What every row works with.
struct Bench<'a> {
    options: &'a Options,
    images: &'a Images,
    /// Stopped before the ground they stand on goes.
    peers: Peers,
    ours: Ours,
    ground: Ground,
}

/// A benchmark of pieces of work on images: what differs between `bench` and `bench registry`.
struct Suite {
    help: &'static str,
    /// Arguments that come before the user's, which win.
    defaults: &'static [&'static str],
    /// Subcommands of `bench` that lead here.
    name: &'static [&'static str],
    /// The namespaces, as flags of `unshare`, beside those for mounts and processes; and the environment inside.
    unshare: fn(&mut Command),
    /// Called once inside, before anything is made.
    prepare: fn() -> Result<()>,
    rows: fn(&Bench<'_>, &mut Vec<Row>) -> Result<()>,
}

const IMAGES: Suite = Suite {
    help: options::HELP,
    defaults: &[],
    name: &[],
    unshare: |_| {},
    prepare: || Ok(()),
    rows: rows::run,
};

/// `cargo xtask bench`.
pub fn main(args: Vec<String>) -> Result<()> {
    match args.first().map(String::as_str) {
        Some("union") => union::main(&args[1..]),
        Some("registry") => registry::SUITE.main(&args[1..]),
        _ => IMAGES.main(&args),
    }
}

impl Suite {
    fn main(&self, args: &[String]) -> Result<()> {
        let defaults = self.defaults.iter().map(|arg| (*arg).to_owned());
        let Some(options) = Options::parse(&defaults.chain(args.iter().cloned()).collect::<Vec<_>>())? else {
            print!("{}", self.help);
            return Ok(());
        };
        if std::env::var_os(INSIDE).is_none() {
            return self.enter(args);
        }
        let mut results = Vec::new();
        let done = self.measure(&options, &mut results);
        // A row that fails does not take the others' results with it.
        if !results.is_empty() {
            print!("{}", table::render(&results));
        }
        if let Some(path) = &options.json {
            std::fs::write(path, table::json(&results)?).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        done
    }

    /// Measures on each ground, with peers that run only so long.
    fn measure(&self, options: &Options, results: &mut Vec<Row>) -> Result<()> {
        let binary = ours::build(options.binary.as_deref())?;
        (self.prepare)()?;
        let images = Images::new(options)?;
        for (n, kind) in options.on.iter().enumerate() {
            let ground = Ground::new(*kind, &options.work, options.settle)?;
            let peers = Peers::up(options, &ground)?;
            if n == 0 {
                println!("{}\n{}", peers.versions()?, images::describe(&images));
            }
            let ours = Ours::new(&binary, &ground);
            (self.rows)(&Bench { options, images: &images, peers, ours, ground }, results)?;
        }
        Ok(())
    }

    /// Runs this program again as the first process of its own mount and process namespace.
    fn enter(&self, args: &[String]) -> Result<()> {
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]);
        (self.unshare)(&mut command);
        command.arg("--").arg(std::env::current_exe()?).arg("bench").args(self.name).args(args);
        let status = command.env(INSIDE, "1").status().map_err(|e| format!("unshare: {e}"))?;
        if status.success() { Ok(()) } else { Err("the benchmark did not finish (it needs root)".into()) }
    }
}
