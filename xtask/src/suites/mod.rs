//! `cargo xtask suites`: file system suites that nobody here wrote, on our union file system or on another one.
//!
//! Each suite runs in namespaces of its own, so that a server that hangs is gone before the next one starts, and prints
//! its totals in its last line. They are compared with what is known of that union file system.

mod list;
mod options;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::bench::{build, repository};
use crate::namespace::{self, Who};
use crate::which::Which;
use list::{SUITES, Suite};
use options::Options;

/// What a suite said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Totals {
    passed: u32,
    failed: u32,
}

/// `cargo xtask suites`.
pub fn main(args: &[String]) -> Result<()> {
    let Some(options) = Options::parse(args)? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    let ours = match options.of.contains(&Which::Ours) {
        true => build(options.binary.as_deref())?,
        false => PathBuf::new(),
    };
    let mut unexpected = 0;
    println!(
        "| suite | of | as | passed | failed | expected | |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for suite in SUITES.iter().filter(|suite| is_wanted(&options, suite)) {
        for which in &options.of {
            for who in &options.who {
                let line = format!("| {} | {} | {} |", suite.name, which.name(), who.name());
                match left_out(&options, suite, *which, *who) {
                    Some(why) => println!("{line} | | | left out: {why} |"),
                    None => {
                        let (cells, good) =
                            judge(suite, *which, *who, &run(&options, suite, *which, *who, &ours));
                        unexpected += u32::from(!good);
                        println!("{line} {cells}");
                    }
                }
            }
        }
    }
    match unexpected {
        0 => Ok(()),
        n => Err(format!("{n} runs not as expected; their output is in {}", logs(&options).display()).into()),
    }
}

fn is_wanted(options: &Options, suite: &Suite) -> bool {
    options.only.is_empty() || options.only.iter().any(|name| suite.name.contains(name.as_str()))
}

/// Why a suite does not run.
fn left_out(options: &Options, suite: &Suite, which: Which, who: Who) -> Option<String> {
    let missing = suite.needs.iter().map(|name| options.suites.join(name)).find(|path| !path.exists());
    match (missing, suite.impossible(which, who)) {
        (Some(path), _) => Some(format!("no {}", path.display())),
        (None, Some(why)) => Some(why.to_string()),
        (None, None) if which == Which::Rust && program(which).is_none() => {
            Some("FUSE_OVERLAYFS_RUST names no program".to_string())
        }
        (None, None) => None,
    }
}

/// The program of a fuse-overlayfs, where it is not the one of the PATH.
fn program(which: Which) -> Option<PathBuf> {
    let name = if which == Which::Rust { "FUSE_OVERLAYFS_RUST" } else { "FUSE_OVERLAYFS" };
    std::env::var_os(name).map(PathBuf::from)
}

fn logs(options: &Options) -> PathBuf {
    options.work.join("logs")
}

/// Runs a suite on a union file system.
fn run(options: &Options, suite: &Suite, which: Which, who: Who, ours: &Path) -> Result<Totals> {
    let helper = match which {
        Which::Kernel => options.runners.join("mount-kernel-overlay.sh"),
        Which::C | Which::Rust => options.runners.join("mount-fuse-overlayfs.sh"),
        Which::Ours => repository().join("crates/unionfs/tests/suites/mount-layercake.sh"),
    };
    let mut command = runner(options, suite, who)?;
    if suite.compares && who == Who::User {
        command.arg("--expect").arg(known_failures(options, suite)?);
    }
    command.arg("--").arg(helper);
    let mount_options = suite.options(which, who);
    match which {
        Which::Kernel => command.env("OVL_OPTS", mount_options),
        Which::C | Which::Rust => command.env("FO_OPTS", mount_options),
        Which::Ours => command.env("LAYERCAKE_OPTS", mount_options).env("LAYERCAKE", ours),
    };
    if which != Which::Kernel {
        // The suite changes to other users.
        command.env("PJD_MNTOPTS", "allow_other");
    }
    if let Some(program) = program(which) {
        command.env("FUSE_OVERLAYFS", program);
    }
    output(options, &format!("{} {} {}", suite.name, which.word(), who.name()), command)
}

/// The script of a suite with its arguments, in namespaces of its own.
fn runner(options: &Options, suite: &Suite, who: Who) -> Result<Command> {
    let scratch = scratch(options, who);
    let mut command = namespace::command(who, &scratch, &options.runners.join(suite.runner))?;
    command
        .args(suite.args)
        .env("TMPDIR", &scratch)
        .env("UNIONMOUNT_SUITE", options.suites.join("unionmount"))
        .env("PJDFSTEST", options.suites.join("pjdfstest"))
        .env("FSX", options.suites.join("fsx"))
        .env("FSSTRESS", options.suites.join("fsstress"));
    Ok(command)
}

fn scratch(options: &Options, who: Who) -> PathBuf {
    options.work.join(who.name())
}

/// A file with what fails for an ordinary user in the scratch directory, without a union: made once.
fn known_failures(options: &Options, suite: &Suite) -> Result<PathBuf> {
    let scratch = scratch(options, Who::User);
    let file = scratch.join(format!("known failures of {}", suite.name));
    if !file.exists() {
        let mut command = runner(options, suite, Who::User)?;
        command.arg("--save").arg(&file).arg(&scratch);
        output(options, &format!("{} without a union", suite.name), command)?;
    }
    Ok(file)
}

/// Runs a script, with what it prints going to a file of this name, and reads its totals.
fn output(options: &Options, name: &str, mut command: Command) -> Result<Totals> {
    let log = logs(options).join(name.replace(' ', "-") + ".txt");
    fs::create_dir_all(logs(options))?;
    let output = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    command.current_dir("/").stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    command.status().map_err(|e| format!("unshare: {e}"))?;
    let text = fs::read_to_string(&log)?;
    totals(&text).ok_or_else(|| format!("no totals in {}", log.display()).into())
}

/// The totals in a runner's last line: "N passed, N failed".
fn totals(text: &str) -> Option<Totals> {
    let (passed, rest) = text.trim_end().lines().last()?.split_once(" passed, ")?;
    Some(Totals { passed: passed.parse().ok()?, failed: rest.split(' ').next()?.parse().ok()? })
}

/// The rest of a line of the table, and whether all is as expected.
fn judge(suite: &Suite, which: Which, who: Who, result: &Result<Totals>) -> (String, bool) {
    let totals = match result {
        Ok(totals) => totals,
        Err(e) => return (format!("| | | {e} |"), false),
    };
    let (expected, verdict, good) = match suite.expected(which, who) {
        None => (String::new(), "", true),
        Some((passed, failed)) => {
            let good = totals.failed <= failed && totals.passed >= passed;
            (format!("{passed}, {failed}"), if good { "as expected" } else { "NOT as expected" }, good)
        }
    };
    (format!("{} | {} | {expected} | {verdict} |", totals.passed, totals.failed), good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_from_the_last_line() {
        let text = "FAIL rmdir\nsubtests begun: 338\n8720 passed, 66 failed\n";
        assert_eq!(totals(text), Some(Totals { passed: 8720, failed: 66 }));
        assert_eq!(totals("1 passed, 2 failed\nmount failed\n"), None);
    }

    #[test]
    fn more_failures_than_expected_are_bad() {
        let suite = SUITES.iter().find(|suite| suite.name == "pjdfstest").unwrap();
        let good = |passed, failed| judge(suite, Which::Ours, Who::Root, &Ok(Totals { passed, failed })).1;
        assert!(good(8770, 0));
        assert!(!good(8769, 1));
        // Fewer tests were run.
        assert!(!good(12, 0));
    }
}
