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

/// `cargo xtask bench`.
pub fn main(args: Vec<String>) -> Result<()> {
    match args.first().map(String::as_str) {
        Some("union") => return union::main(&args[1..]),
        Some("registry") => return registry::main(&args[1..]),
        _ => {}
    }
    let Some(options) = Options::parse(&args)? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    if std::env::var_os(INSIDE).is_none() {
        return enter(&args);
    }
    let mut results = Vec::new();
    let done = measure(&options, &mut results);
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
fn measure(options: &Options, results: &mut Vec<Row>) -> Result<()> {
    let binary = ours::build(options.binary.as_deref())?;
    let images = Images::new(options)?;
    for (n, kind) in options.on.iter().enumerate() {
        let ground = Ground::new(*kind, &options.work, options.settle)?;
        let peers = Peers::up(options, &ground)?;
        if n == 0 {
            println!("{}\n{}", peers.versions()?, images::describe(&images));
        }
        let ours = Ours::new(&binary, &ground);
        rows::run(&Bench { options, images: &images, peers, ours, ground }, results)?;
    }
    Ok(())
}

/// Runs this program again as the first process of its own mount and process namespace.
fn enter(args: &[String]) -> Result<()> {
    let exe = std::env::current_exe()?;
    let status = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ])
        .arg(exe)
        .arg("bench")
        .args(args)
        .env(INSIDE, "1")
        .status()
        .map_err(|e| format!("unshare: {e}"))?;
    match status.code() {
        Some(0) => Ok(()),
        _ => Err("the benchmark did not finish (it needs root)".into()),
    }
}
