//! What this machine can do for containers.

use std::path::{Path, PathBuf};

use sys::userns::{Ids, Privilege};

use crate::error::Result;

/// How this machine's control groups are mounted (cgroups(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    /// One tree.
    V2,
    /// A tree for each controller.
    V1,
    /// A tree for each controller, and beside them an empty one of v2.
    Hybrid,
    /// Not at all.
    None,
}

/// Where control groups are mounted.
pub(crate) const CGROUP_ROOT: &str = "/sys/fs/cgroup";

impl Cgroups {
    /// How they are mounted here.
    pub fn of_machine() -> Self {
        let root = Path::new(CGROUP_ROOT);
        if sys::process::has_unified_cgroups() {
            return Self::V2;
        }
        let controllers = ["memory", "pids", "cpu", "devices", "freezer"];
        match controllers.iter().any(|name| root.join(name).join("cgroup.procs").exists()) {
            true if root.join("unified/cgroup.procs").exists() => Self::Hybrid,
            true => Self::V1,
            false => Self::None,
        }
    }
}

/// Facts about the machine and about who we are on it. They decide what a bundle may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// How control groups are mounted.
    pub cgroups: Cgroups,
    /// Whether control groups can be made and limits set. An ordinary user cannot, unless they were given to him.
    pub limits: bool,
    /// Whether swap space can be limited.
    pub swap_limit: bool,
    /// Whether we are user 0 of a user namespace only: no device nodes, no new kind of mount of the host's.
    pub user_namespace: bool,
    /// Whether that user namespace has one user only, 0: nothing can be given to anybody else.
    pub one_id: bool,
    /// The capabilities that we have, one bit each: a container can have no others.
    pub capabilities: u64,
}

impl Host {
    /// Finds them out.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn probe() -> Result<Self> {
        let cgroups = Cgroups::of_machine();
        let privilege = sys::userns::privilege()?;
        let user_namespace = privilege != Privilege::Root;
        Ok(Self {
            cgroups,
            limits: cgroups != Cgroups::None && !user_namespace,
            swap_limit: swap_file(cgroups).exists(),
            user_namespace,
            one_id: privilege == Privilege::UserNamespace { ids: Ids::One },
            capabilities: own_capabilities(),
        })
    }
}

/// What this process has and may hand on (proc_pid_status(5)).
fn own_capabilities() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    set("CapPrm:") & set("CapBnd:")
}

/// A file that is there if swap space is counted. The root of a v2 tree has none, a group in it does.
fn swap_file(cgroups: Cgroups) -> PathBuf {
    let name = match cgroups {
        Cgroups::V1 | Cgroups::Hybrid => "memory/memory.memsw.limit_in_bytes",
        Cgroups::V2 | Cgroups::None => "cgroup.controllers",
    };
    Path::new(CGROUP_ROOT).join(name)
}
