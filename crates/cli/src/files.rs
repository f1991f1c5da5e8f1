//! Where configuration and credentials are looked for.

use std::path::PathBuf;

use crate::context::env;
use crate::rootless;

/// `config.json` of Docker's command line; `None` if the user has no home.
pub fn config_json() -> Option<PathBuf> {
    let dir = env("DOCKER_CONFIG").map(PathBuf::from);
    dir.or_else(|| Some(home()?.join(".docker"))).map(|dir| dir.join("config.json"))
}

/// The name of the configuration file, as with Docker.
pub const DAEMON_JSON: &str = "daemon.json";

/// The configuration file of the machine or user.
pub fn daemon_json() -> Option<PathBuf> {
    Some(config_home()?.join("layercake").join(DAEMON_JSON))
}

/// The directories with the certificates of servers, Docker's before podman's; the user's before the machine's.
pub fn certs_dirs() -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = config_home().into_iter().chain(["/etc".into()]).collect();
    homes.dedup();
    homes
        .iter()
        .flat_map(|home| ["docker", "containers"].map(|name| home.join(name).join("certs.d")))
        .collect()
}

/// Where configuration is: of the machine for root, of the user for others (XDG Base Directory Specification, which
/// ignores relative paths).
fn config_home() -> Option<PathBuf> {
    if rootless::is_root() {
        return Some("/etc".into());
    }
    let named = env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| Some(home()?.join(".config")))
}

fn home() -> Option<PathBuf> {
    env("HOME").map(PathBuf::from)
}
