//! `cargo xtask ci`: installs what the tests use, and runs everything that has to pass.

use std::path::Path;
use std::process::Command;

use crate::{Result, vm};

/// Debian's packages that the tests run as the other side: archivers, a static shell for images, id maps for users,
/// OCI runtimes, a real Docker daemon as a witness, a real registry with certificates and another client, and a virtual
/// machine with what storage drivers take that this kernel lacks.
const PACKAGES: [&str; 22] = [
    "attr",
    "bash-static",
    "bzip2",
    "busybox-static",
    "crun",
    "docker-registry",
    "docker.io",
    "kmod",
    "libcap2-bin",
    "lvm2",
    "openssl",
    "procps",
    "python3",
    "qemu-system-x86",
    "runc",
    "skopeo",
    "thin-provisioning-tools",
    "uidmap",
    "util-linux",
    "xfsprogs",
    "xz-utils",
    "zstd",
];

/// One check: what it is for, and the command.
const STEPS: [(&str, &[&str]); 5] = [
    ("format", &["cargo", "fmt", "--all", "--check"]),
    ("lints", &["cargo", "clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
    ("documentation", &["cargo", "doc", "--workspace", "--no-deps", "--quiet"]),
    ("tests", &["cargo", "test", "--workspace", "--no-fail-fast"]),
    ("licences and sources", &["cargo", "deny", "--offline", "check", "licenses", "bans", "sources"]),
];

/// Runs all steps; the first that fails ends it.
pub fn main() -> Result<()> {
    install()?;
    for (what, command) in STEPS {
        if command[1] == "deny" && !works(&["cargo", "deny", "--version"]) {
            println!("== {what}: skipped, cargo-deny is not installed");
            continue;
        }
        println!("== {what}: {}", command.join(" "));
        run(command)?;
    }
    vm::run_pass(vm::Pass::Short)?;
    println!("== all passed");
    Ok(())
}

/// Installs what is missing of [`PACKAGES`]. Without root, the tests that need them are skipped and say so.
fn install() -> Result<()> {
    let missing: Vec<&str> =
        PACKAGES.into_iter().filter(|package| !works(&["dpkg-query", "--show", package])).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !works(&["apt-get", "--version"]) || !is_root() {
        println!(
            "== packages: not root or no apt-get; missing, so their tests are skipped: {}",
            missing.join(" ")
        );
        return Ok(());
    }
    println!("== packages: {}", missing.join(" "));
    run(&["apt-get", "update", "-qq"])?;
    // No service may start: the tests run their own daemons.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let ours = !policy.exists();
    if ours {
        std::fs::write(policy, "#!/bin/sh\nexit 101\n")?;
        run(&["chmod", "+x", "/usr/sbin/policy-rc.d"])?;
    }
    let installed =
        run(&[&["apt-get", "install", "-y", "-qq", "--no-install-recommends"], &missing[..]].concat());
    if ours {
        std::fs::remove_file(policy)?;
    }
    installed
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
}

/// Whether a command is there and succeeds.
fn works(command: &[&str]) -> bool {
    Command::new(command[0]).args(&command[1..]).output().is_ok_and(|output| output.status.success())
}

fn run(command: &[&str]) -> Result<()> {
    let mut process = Command::new(command[0]);
    process.args(&command[1..]).env("DEBIAN_FRONTEND", "noninteractive").env("RUSTDOCFLAGS", "-D warnings");
    let status = process.status().map_err(|e| format!("{}: {e}", command[0]))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", command.join(" ")).into()) }
}
