//! The tests that run in the machine: a short pass for each change, and a long one.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Result;
use crate::bench::{repository, run as output_of};

use super::kernel;
use super::machine::{self, Ended, Machine};

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// What `cargo xtask ci` runs: a few minutes.
    Short,
    /// All: half an hour or more on two processors.
    Long,
}

/// Tests that run together in one machine.
struct Suite {
    what: &'static str,
    package: &'static str,
    target: &'static str,
    /// Parts of the names of tests, and flags, for the test program.
    arguments: &'static [&'static str],
    zfs: bool,
    passes: &'static [Pass],
}

const SUITES: &[Suite] = &[
    Suite {
        what: "devicemapper",
        package: "layercake-drivers",
        target: "it",
        arguments: &[
            "devicemapper::",
            "--skip=on_xfs",
            "--skip=128",
            "--skip=deep_layer_read",
            "--skip=devicemapper::layers",
            "--skip=devicemapper::snapshots",
        ],
        zfs: false,
        passes: &[Pass::Short],
    },
    Suite {
        what: "devicemapper, all of it",
        package: "layercake-drivers",
        target: "it",
        arguments: &["devicemapper::"],
        zfs: false,
        passes: &[Pass::Long],
    },
    Suite {
        what: "project quotas",
        package: "layercake-drivers",
        target: "it",
        arguments: &["a_full_container_harms_no_other", "overlay2::backing::"],
        zfs: false,
        passes: &[Pass::Short],
    },
    Suite {
        what: "project quotas, all of it",
        package: "layercake-drivers",
        target: "it",
        arguments: &["overlay2::quota::", "overlay2::backing::", "vfs::a_full_container"],
        zfs: false,
        passes: &[Pass::Long],
    },
    Suite {
        what: "containers with size limits",
        package: "layercake",
        target: "run",
        arguments: &["limits::"],
        zfs: false,
        passes: &[Pass::Long],
    },
    Suite {
        what: "zfs",
        package: "layercake-drivers",
        target: "it",
        arguments: &["zfs::"],
        zfs: true,
        passes: &[Pass::Long],
    },
];

/// Runs a pass; what this machine lacks for it is said.
pub fn run(pass: Pass) -> Result<()> {
    if let Some(missing) = machine::missing() {
        println!("== virtual machine: skipped, {missing}");
        return Ok(());
    }
    if let Err(e) = kernel::prepare() {
        println!("== virtual machine: skipped, there is no kernel for it: {e}");
        return Ok(());
    }
    let mut failed = Vec::new();
    for suite in SUITES.iter().filter(|suite| suite.passes.contains(&pass)) {
        println!("== virtual machine: {}", suite.what);
        let program = program(suite.package, suite.target)?;
        let mut machine = Machine { zfs: suite.zfs, ..Machine::default() };
        machine.timeout *= if pass == Pass::Long { 4 } else { 1 };
        machine.shares.extend(hidden(&program));
        let mut command = vec![program.display().to_string()];
        command.extend(suite.arguments.iter().map(|&argument| argument.to_owned()));
        match machine.run(&command, None) {
            Ok(Ended::With(0)) => {}
            Ok(Ended::With(code)) => failed.push(format!("{}: exit code {code}", suite.what)),
            Ok(Ended::Broken(why)) => failed.push(format!("{}: {why}", suite.what)),
            // Without Debian's archive, or without its section `contrib`, there is nothing to build.
            Err(e) if suite.zfs => println!("== virtual machine: {}: skipped, {e}", suite.what),
            Err(e) => return Err(e),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

/// Builds a test program, and says where it is.
fn program(package: &str, target: &str) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--no-run", "--message-format=json", "--package", package]);
    let messages = output_of(cargo.args(["--test", target]).current_dir(repository()))?;
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = built
        .filter(|message| message["target"]["name"] == target)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.ok_or_else(|| format!("cargo built no {target} of {package}").into())
}

/// The directory of a program that the machine would not see.
fn hidden(program: &Path) -> Option<PathBuf> {
    let dir = program.parent()?;
    ["/tmp", "/run"].iter().any(|hidden| dir.starts_with(hidden)).then(|| dir.to_owned())
}
