//! The map of ids of a new user namespace, written from outside for the process that made it.
//!
//! With a range of subordinate ids (subuid(5), subgid(5)), `newuidmap` and `newgidmap` write it, because only a
//! set-user-ID program may; without, the kernel lets a user map his own id and nothing else.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Result;
use crate::{process, raw};

/// A range of subordinate ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: u32,
    count: u32,
}

/// The subordinate ids of the calling user.
#[derive(Debug)]
pub(super) struct SubIds {
    uids: Vec<Range>,
    gids: Vec<Range>,
}

impl SubIds {
    /// Looks them up. The error is a sentence for the user: why there are none, and what to do.
    pub(super) fn of_caller() -> std::result::Result<Self, String> {
        let uid = process::euid();
        let name = raw::user_name(uid);
        let find = |file: &str| {
            let text = super::read(Path::new(file)).unwrap_or_default();
            let ranges = parse(&text, uid, name.as_deref());
            if ranges.is_empty() {
                let name = name.as_deref().unwrap_or("USER");
                return Err(format!("{file} has no range for {name}; as root: {}", command_to_add(name)));
            }
            Ok(ranges)
        };
        Ok(Self { uids: find("/etc/subuid")?, gids: find("/etc/subgid")? })
    }

    /// Maps the caller's own ids to 0 and the subordinate ones to 1 and up, for the process `pid`. The error is a
    /// sentence for the user.
    pub(super) fn map(&self, pid: u32) -> std::result::Result<(), String> {
        run("newuidmap", pid, process::euid(), &self.uids)?;
        run("newgidmap", pid, process::egid(), &self.gids)
    }
}

/// Maps the caller's own ids to 0, and nothing else, for the process `pid`. setgroups(2) has to be given up first:
/// otherwise dropping a group could open a file that denies it to that group.
pub(super) fn map_own(pid: u32) -> Result<()> {
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).map_err(|e| super::error_from("write", Path::new(&path), &e))
    };
    write("setgroups", "deny")?;
    write("uid_map", &format!("0 {} 1", process::euid()))?;
    write("gid_map", &format!("0 {} 1", process::egid()))
}

fn run(program: &str, pid: u32, own: u32, ranges: &[Range]) -> std::result::Result<(), String> {
    let mut command = Command::new(program);
    command.arg(pid.to_string()).args(arguments(own, ranges)).stdin(Stdio::null());
    let output = command.output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{program} is not installed (package uidmap or shadow-utils)")
        }
        _ => format!("{program} cannot be run: {e}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it said nothing").trim();
    let said = said.strip_prefix(program).map_or(said, |rest| rest.trim_start_matches([':', ' ']));
    Err(format!("{program} failed ({said}); it must be set-user-ID root or have the capability for it"))
}

/// Triples of inside, outside, count.
fn arguments(own: u32, ranges: &[Range]) -> Vec<String> {
    let mut args = vec!["0".into(), own.to_string(), "1".into()];
    let mut inside = 1u64;
    for range in ranges {
        args.extend([inside.to_string(), range.start.to_string(), range.count.to_string()]);
        inside += u64::from(range.count);
    }
    args
}

/// The ranges that a file in the format of subuid(5) has for somebody, by name or number: first id and count. None if it
/// cannot be read.
pub(crate) fn subordinate(file: &Path, name: &str, id: u32) -> Vec<(u32, u32)> {
    let text = super::read(file).unwrap_or_default();
    parse(&text, id, Some(name)).into_iter().map(|range| (range.start, range.count)).collect()
}

/// The command that gives a user as many ids as images use, behind those that others have.
fn command_to_add(name: &str) -> String {
    let text = ["/etc/subuid", "/etc/subgid"].map(|file| super::read(Path::new(file)).unwrap_or_default());
    let start = first_free(&text.concat());
    let range = format!("{start}-{}", start.saturating_add(65535));
    format!("usermod --add-subuids {range} --add-subgids {range} {name}")
}

/// The first id behind all ranges; 100000 is where shadow begins (`SUB_UID_MIN`, login.defs(5)).
fn first_free(text: &str) -> u64 {
    let end = |line: &str| {
        let mut fields = line.trim().split(':').skip(1).map(|n| n.parse::<u64>().ok());
        fields.next()??.checked_add(fields.next()??)
    };
    text.lines().filter_map(end).fold(100_000, u64::max)
}

/// The ranges of one user: lines of `name-or-id:start:count`. Lines that are none are passed over, as shadow does.
fn parse(text: &str, uid: u32, name: Option<&str>) -> Vec<Range> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = Range { start: fields.next()?.parse().ok()?, count: fields.next()?.parse().ok()? };
        let is_ours = Some(owner) == name || owner.parse() == Ok(uid);
        (is_ours && range.count > 0 && fields.next().is_none()).then_some(range)
    };
    text.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_id() {
        let text =
            "root:1:2\nann:100000:65536\n# note\n1000:300000:10\nann:x:1\nann:5:0\nannie:7:7\nann:1:2:3\n";
        let ranges = parse(text, 1000, Some("ann"));
        assert_eq!(ranges, [Range { start: 100_000, count: 65536 }, Range { start: 300_000, count: 10 }]);
        assert_eq!(parse(text, 2000, None), []);
    }

    #[test]
    fn new_ranges_begin_behind_the_others() {
        assert_eq!(first_free(""), 100_000);
        assert_eq!(first_free("ann:100000:65536\nbob:165536:65536\nann:1:1\nx\n"), 231_072);
        assert_eq!(first_free("ann:18446744073709551615:9\n"), 100_000);
    }

    #[test]
    fn ranges_follow_each_other_inside() {
        let ranges = [Range { start: 100_000, count: 65536 }, Range { start: 300_000, count: 10 }];
        let args = arguments(1000, &ranges).join(" ");
        assert_eq!(args, "0 1000 1 1 100000 65536 65537 300000 10");
    }
}
