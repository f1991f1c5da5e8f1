//! The programs `zfs` and `zpool`.

use std::process::{Command, Output};

use crate::{Error, Result};

/// What became of a dataset that was to be destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destroyed {
    /// It is gone, or was not there.
    Gone,
    /// It is mounted, or others are clones of it: nothing was done.
    InUse,
}

/// Calls of the program `zfs`.
pub(super) struct Zfs;

impl Zfs {
    /// Makes an empty dataset.
    pub(super) fn create(dataset: &str, quota: Option<u64>) -> Result<()> {
        let options = options(quota);
        run(Command::new("zfs").arg("create").args(options).arg(dataset)).map(drop)
    }

    /// Makes a dataset that begins as another one is now. Its snapshot goes when the clone does.
    pub(super) fn clone(from: &str, to: &str, quota: Option<u64>) -> Result<()> {
        let snapshot = format!("{from}@{}", u64::from_le_bytes(sys::process::random()));
        run(Command::new("zfs").args(["snapshot", &snapshot]))?;
        let cloned = run(Command::new("zfs").arg("clone").args(options(quota)).args([&snapshot, to]));
        // Deferred: it stays as long as there is a clone of it.
        let forgotten = run(Command::new("zfs").args(["destroy", "-d", &snapshot]));
        cloned?;
        forgotten.map(drop)
    }

    /// Renames a dataset; durable when this returns. `false`: the name is taken.
    pub(super) fn rename(from: &str, to: &str) -> Result<bool> {
        let mut command = Command::new("zfs");
        let output = output(command.args(["rename", from, to]))?;
        if output.status.success() {
            return Ok(true);
        }
        if said(&output).contains("already exists") { Ok(false) } else { Err(failed(&command, &output)) }
    }

    /// Destroys a dataset with its snapshots.
    pub(super) fn destroy(dataset: &str) -> Result<Destroyed> {
        let mut command = Command::new("zfs");
        let output = output(command.args(["destroy", "-r", dataset]))?;
        let said = said(&output);
        if output.status.success() || said.contains("does not exist") {
            Ok(Destroyed::Gone)
        } else if said.contains("busy") || said.contains("dependent clones") {
            Ok(Destroyed::InUse)
        } else {
            Err(failed(&command, &output))
        }
    }

    /// The last parts of the names of all datasets right below one.
    pub(super) fn children(parent: &str) -> Result<Vec<String>> {
        let args = ["list", "-H", "-o", "name", "-t", "filesystem", "-d", "1", "-r", parent];
        let listed = run(Command::new("zfs").args(args))?;
        let below = listed.lines().filter_map(|name| name.strip_prefix(parent)?.strip_prefix('/'));
        Ok(below.map(str::to_owned).collect())
    }

    /// What a dataset takes, if it has a quota.
    pub(super) fn used_of_quota(dataset: &str) -> Result<Option<u64>> {
        match Self::properties(dataset, &["quota", "used"])?.as_slice() {
            [quota, used] if quota != "0" => Ok(used.parse().ok()),
            _ => Ok(None),
        }
    }

    /// The values of properties, sizes in bytes, in the order in which they are asked for.
    pub(super) fn properties(dataset: &str, names: &[&str]) -> Result<Vec<String>> {
        let args = ["get", "-H", "-p", "-o", "value", &names.join(","), dataset];
        Ok(run(Command::new("zfs").args(args))?.lines().map(str::to_owned).collect())
    }

    /// The health of a pool, as `zpool` says it.
    pub(super) fn health(pool: &str) -> Result<String> {
        Ok(run(Command::new("zpool").args(["list", "-H", "-o", "health", pool]))?.trim().to_owned())
    }

    /// Whether the program is there.
    pub(super) fn is_there() -> bool {
        Command::new("zfs").arg("-?").output().is_ok()
    }
}

fn options(quota: Option<u64>) -> Vec<String> {
    let mut options = vec!["-o".to_owned(), "mountpoint=legacy".to_owned()];
    if let Some(quota) = quota.filter(|quota| *quota > 0) {
        options.extend(["-o".to_owned(), format!("quota={quota}")]);
    }
    options
}

fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(command, &output))
}

/// Runs a program. Its words are read here: they must not be translated.
fn output(command: &mut Command) -> Result<Output> {
    command.env("LC_ALL", "C").output().map_err(|e| {
        let program = command.get_program().to_string_lossy();
        Error::Devices(format!("zfs: {program}: {e}: install it (zfsutils-linux), or put it into the PATH"))
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn failed(command: &Command, output: &Output) -> Error {
    Error::Devices(format!("zfs: {command:?}: {}: {}", output.status, said(output)))
}
