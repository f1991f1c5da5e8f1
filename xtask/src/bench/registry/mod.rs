//! The benchmark of pulls and pushes: layercake and its peers against Debian's `docker-registry`, on the loopback net
//! and through a slow link.
//!
//! The registry's data lies on the ground of the run, as all stores do. Everything runs in a network namespace of its
//! own: the loopback net is nobody else's, and the link ends with it.

mod clients;
mod images;
mod link;
mod rows;
mod server;
pub mod wire;

use std::process::Command;

use super::ground::{Ground, Kind};
use super::images::Images;
use super::options::Options;
use super::ours::{self, Ours};
use super::peers::Peers;
use super::table::{self, Row};
use super::{Bench, INSIDE};
use crate::Result;

const HELP: &str = "\
Runs pulls and pushes of layercake and its peers in turn, against docker-registry, and prints medians, ratios and whether
the goal is reached. Needs root, and Debian's docker-registry and iproute2.

usage: cargo xtask bench registry [FLAG…]

  --only NAME       the row NAME, or rows whose name contains NAME (may be given more than once)
  --rounds N        rounds, of which the median counts (5)
  --on WHERE        tmpfs, disk or both (tmpfs)
  --images DIR, --settle SECONDS, --work DIR, --binary FILE, --json FILE: as for `bench`
";

/// `cargo xtask bench registry`.
pub fn main(args: &[String]) -> Result<()> {
    let mut all = vec!["--on".to_owned(), "tmpfs".to_owned()];
    all.extend_from_slice(args);
    let Some(options) = Options::parse(&all)? else {
        print!("{HELP}");
        return Ok(());
    };
    if std::env::var_os(INSIDE).is_none() {
        return enter(args);
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

/// Runs this program again in namespaces, with a daemon of Docker's that takes the link's registry without TLS.
fn enter(args: &[String]) -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount-proc", "--"]).arg(std::env::current_exe()?).args(["bench", "registry"]).args(args);
    command.env(INSIDE, "1").env("PEERS_DOCKERD_ARGS", format!("--insecure-registry={}", link::REGISTRY));
    for name in ["http_proxy", "https_proxy", "no_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let status = command.status().map_err(|e| format!("unshare: {e}"))?;
    if status.success() { Ok(()) } else { Err("the benchmark did not finish (it needs root)".into()) }
}

/// Measures on each ground, with peers that run only so long.
fn measure(options: &Options, results: &mut Vec<Row>) -> Result<()> {
    let binary = ours::build(options.binary.as_deref())?;
    link::loopback()?;
    let images = Images::new(options)?;
    for (n, kind) in options.on.iter().enumerate() {
        let ground = ground(*kind, options)?;
        let peers = Peers::up(options, &ground)?;
        if n == 0 {
            println!("{}\n{}", peers.versions()?, super::images::describe(&images));
        }
        let ours = Ours::new(&binary, &ground);
        rows::run(&Bench { options, images: &images, peers, ours, ground }, results)?;
    }
    Ok(())
}

fn ground(kind: Kind, options: &Options) -> Result<Ground> {
    Ground::new(kind, &options.work, options.settle)
}
