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

use super::Suite;

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
pub const SUITE: Suite = Suite {
    help: HELP,
    defaults: &["--on", "tmpfs"],
    name: &["registry"],
    unshare,
    prepare: link::loopback,
    rows: rows::run,
};

/// The net is nobody else's, and a daemon of Docker's takes the link's registry without TLS.
fn unshare(command: &mut Command) {
    command.arg("--net");
    command.env("PEERS_DOCKERD_ARGS", format!("--insecure-registry={}", link::REGISTRY));
    for name in ["http_proxy", "https_proxy", "no_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
}
