//! What a container uses, as its control group counts it: v2, v1, and where there is none, as its processes show it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::host::CGROUP_ROOT;
use crate::members;

/// What a container has used until now, and uses now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds of processor time.
    pub cpu: u64,
    /// Bytes of memory, without the part of the page cache that nobody has used for long.
    pub memory: u64,
    /// How many it may use: its limit, or the machine's memory.
    pub memory_limit: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes read from block devices.
    pub read: u64,
    /// Bytes written to block devices.
    pub written: u64,
    /// Bytes that came over its own network devices.
    pub received: u64,
    /// Bytes that went out over them.
    pub sent: u64,
}

/// Asks what the container whose first process is `init` uses. `None` if it has ended.
pub fn usage(init: u32) -> Option<Usage> {
    let groups = Groups::of(&std::fs::read_to_string(format!("/proc/{init}/cgroup")).ok()?);
    let own = Groups::of(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    let machine = total_memory();
    let mut usage = by_processes(init);
    usage.memory_limit = machine;
    // A group that is ours too counts more than the container.
    if let Some(dir) = groups.dir("memory", &own) {
        usage.memory = memory(&dir).unwrap_or(usage.memory);
        usage.memory_limit = memory_limit(&dir).map_or(machine, |limit| limit.min(machine));
    }
    if let Some(dir) = groups.dir("cpuacct", &own) {
        usage.cpu = cpu(&dir).unwrap_or(usage.cpu);
    }
    if let Some(dir) = groups.dir("pids", &own) {
        usage.pids = number(&dir.join("pids.current")).unwrap_or(usage.pids);
    }
    if let Some(dir) = groups.dir("blkio", &own) {
        (usage.read, usage.written) = block_io(&dir);
    }
    let same_network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    if same_network(&init.to_string()) != same_network("self") {
        (usage.received, usage.sent) = network(init);
    }
    Some(usage)
}

/// How often the kernel has killed a process of the container for want of memory. To be asked before it is deleted.
pub fn oom_kills(paths: &[PathBuf]) -> u64 {
    let counted = |path: &PathBuf| {
        let text = ["memory.events", "memory.oom_control"]
            .iter()
            .find_map(|name| std::fs::read_to_string(path.join(name)).ok());
        text.and_then(|text| field(&text, "oom_kill"))
    };
    paths.iter().filter_map(counted).max().unwrap_or(0)
}

/// The directories of a container's memory control group, for [`oom_kills`].
pub fn memory_groups(init: u32) -> Vec<PathBuf> {
    let groups = Groups::of(&std::fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap_or_default());
    let own = Groups::of(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    groups.dir("memory", &own).into_iter().collect()
}

/// `/proc/<pid>/cgroup`: paths by controller; of v2, by the empty name.
struct Groups(BTreeMap<String, String>);

impl Groups {
    fn of(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            Some((controllers.to_owned(), path.to_owned()))
        });
        let each = lines.flat_map(|(controllers, path)| {
            controllers.split(',').map(|name| (name.to_owned(), path.clone())).collect::<Vec<_>>()
        });
        Self(each.collect())
    }

    /// The directory in which the controller counts, if it is not the one of `own`, too.
    fn dir(&self, controller: &str, own: &Self) -> Option<PathBuf> {
        let (key, tree) = match self.0.contains_key(controller) {
            true => (controller, Path::new(CGROUP_ROOT).join(controller)),
            false => ("", PathBuf::from(CGROUP_ROOT)),
        };
        let path = self.0.get(key).filter(|path| own.0.get(key) != Some(path))?;
        let dir = tree.join(path.trim_start_matches('/'));
        dir.exists().then_some(dir)
    }
}

fn memory(dir: &Path) -> Option<u64> {
    let used = number(&dir.join("memory.current")).or_else(|| number(&dir.join("memory.usage_in_bytes")))?;
    let stat = std::fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
    let idle = field(&stat, "total_inactive_file").or_else(|| field(&stat, "inactive_file")).unwrap_or(0);
    Some(used.saturating_sub(idle))
}

fn memory_limit(dir: &Path) -> Option<u64> {
    number(&dir.join("memory.max")).or_else(|| number(&dir.join("memory.limit_in_bytes")))
}

fn cpu(dir: &Path) -> Option<u64> {
    number(&dir.join("cpuacct.usage")).or_else(|| {
        let stat = std::fs::read_to_string(dir.join("cpu.stat")).ok()?;
        Some(field(&stat, "usage_usec")? * 1000)
    })
}

fn block_io(dir: &Path) -> (u64, u64) {
    let v2 = std::fs::read_to_string(dir.join("io.stat")).unwrap_or_default();
    let sum = |key: &str| -> u64 {
        let values = v2.split_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
        values.sum()
    };
    let v1 = ["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"];
    let v1 = v1.iter().find_map(|name| std::fs::read_to_string(dir.join(name)).ok()).unwrap_or_default();
    let old = |key: &str| -> u64 {
        v1.lines().filter_map(|line| line.split_once(key)?.1.trim().parse::<u64>().ok()).sum()
    };
    (sum("rbytes=") + old(" Read "), sum("wbytes=") + old(" Write "))
}

/// What its processes say: memory that they share is counted for each, and who has ended is not counted.
fn by_processes(init: u32) -> Usage {
    let mut usage = Usage::default();
    let page = rustix::param::page_size() as u64;
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    for pid in members::of(init) {
        let Ok(stat) = std::fs::read(format!("/proc/{pid}/stat")) else { continue };
        let text = String::from_utf8_lossy(&stat).into_owned();
        let Some((_, rest)) = text.rsplit_once(')') else { continue };
        let fields: Vec<u64> = rest.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
        // Fields of proc_pid_stat(5), of which the first two are cut off: 14 and 15 times, 20 threads, 24 pages.
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
        usage.cpu += (field(14) + field(15)) * tick;
        usage.pids += field(20);
        usage.memory += field(24) * page;
    }
    usage
}

fn network(init: u32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{init}/net/dev")).unwrap_or_default();
    let mut sums = (0, 0);
    for (name, numbers) in text.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let numbers: Vec<u64> = numbers.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
        sums.0 += numbers.first().copied().unwrap_or(0);
        sums.1 += numbers.get(8).copied().unwrap_or(0);
    }
    sums
}

fn total_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind a word at the beginning of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_shows_what_it_uses() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.memory > 0 && usage.pids > 0 && usage.memory_limit >= usage.memory, "{usage:?}");
        assert_eq!(super::usage(u32::MAX), None);
    }

    #[test]
    fn groups_of_both_kinds_are_read() {
        let v1 = Groups::of("4:memory:/a\n3:cpu,cpuacct:/b\n0::/c\n");
        assert_eq!(v1.0["cpuacct"], "/b");
        assert_eq!(v1.0[""], "/c");
        assert_eq!(v1.dir("memory", &v1), None);
    }
}
