//! The processes of a container, as the host sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// All processes of the container whose first process is `init`, by number: those in its process namespace, and the
/// descendants of the first. Found in `/proc`, so it works without control groups, too. Empty if it has ended.
pub fn of(init: u32) -> BTreeSet<u32> {
    let namespace = |pid: &str| std::fs::read_link(Path::new("/proc").join(pid).join("ns/pid")).ok();
    let Some(inside) = namespace(&init.to_string()) else { return BTreeSet::new() };
    // One that shares the host's processes has its descendants only.
    let own = namespace("self").filter(|own| *own != inside).map(|_| inside);
    let mut members = BTreeSet::from([init]);
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if own.is_some() && namespace(&pid.to_string()) == own {
            members.insert(pid);
        }
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut waiting: Vec<u32> = members.iter().copied().collect();
    while let Some(pid) = waiting.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            if members.insert(child) {
                waiting.push(child);
            }
        }
    }
    members
}

/// Field 4 of proc_pid_stat(5). The second field, the name, stands in brackets and can hold anything.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_children_are_members() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let own = std::process::id();
        let members = of(own);
        assert!(members.contains(&own) && members.contains(&child.id()), "{members:?}");
        assert!(!members.contains(&1) || own == 1);
        assert_eq!(of(child.id()), BTreeSet::from([child.id()]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(of(child.id()), BTreeSet::new());
    }
}
