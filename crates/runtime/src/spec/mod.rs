//! What a container shall be, and the `config.json` that says it to a runtime.
//!
//! [`Spec::new`] is a container as Docker makes one that asks for nothing special; every field can then be changed.
//! What an ordinary user cannot have (device nodes, a sysfs of the host's network) is replaced by what he can, and
//! limits that nobody can set here are left out ([`Spec::document`]).

mod devices;
mod document;
mod mounts;
mod process;
mod resources;

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::config::{MASKED_PATHS, READ_ONLY_PATHS};
use sys::idmap::IdMap;

pub use devices::Device;
pub(crate) use document::to_json;
pub use mounts::Mount;
pub(crate) use process::capabilities_of;
pub use process::{Process, Rlimit, User};
pub use resources::Resources;

/// What a container shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The directory that becomes its root, an absolute path.
    pub rootfs: PathBuf,
    /// Whether its root may be read only.
    pub read_only: bool,
    /// What runs in it.
    pub process: Process,
    /// Its host name; the machine's if empty.
    pub hostname: String,
    /// Its domain name.
    pub domainname: String,
    /// Mounts besides those that every container has. One with the same destination takes the place of that one.
    pub mounts: Vec<Mount>,
    /// What it sees of the network.
    pub network: Network,
    /// What else it shares with the host.
    pub shared: Shared,
    /// A user namespace of its own, with these ids of the host; it is in ours if absent.
    pub ids: Option<IdMap>,
    /// All capabilities, all devices, nothing masked, no seccomp.
    pub privileged: bool,
    /// Capabilities beyond the default, `NET_ADMIN` or `CAP_NET_ADMIN`, or `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities of the default that it shall not have, or `ALL`.
    pub cap_drop: Vec<String>,
    /// Which system calls it may use.
    pub seccomp: Seccomp,
    /// Paths that it does not get to see.
    pub masked_paths: Vec<String>,
    /// Paths that it may read only.
    pub read_only_paths: Vec<String>,
    /// Devices besides those that every container has.
    pub devices: Vec<Device>,
    /// Its limits.
    pub resources: Resources,
    /// The path of its control group below the root of the tree (`/layercake/<id>`); the runtime's choice if absent.
    pub cgroup: Option<String>,
    /// Bytes that `/dev/shm` may hold.
    pub shm_size: u64,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// `private`, `slave` or `shared`, with an `r` in front for everything below: how mounts propagate.
    pub propagation: Option<String>,
    /// The label that SELinux gives to what is mounted for it; empty for none.
    pub mount_label: String,
}

impl Spec {
    /// A container as Docker makes one that asks for nothing special, but with the host's network.
    pub fn new(rootfs: impl Into<PathBuf>, process: Process) -> Self {
        Self {
            rootfs: rootfs.into(),
            read_only: false,
            process,
            hostname: String::new(),
            domainname: String::new(),
            mounts: Vec::new(),
            network: Network::Host,
            shared: Shared::default(),
            ids: None,
            privileged: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            seccomp: Seccomp::Default,
            masked_paths: MASKED_PATHS.map(str::to_owned).into(),
            read_only_paths: READ_ONLY_PATHS.map(str::to_owned).into(),
            devices: Vec::new(),
            resources: Resources::default(),
            cgroup: None,
            shm_size: 64 << 20,
            sysctls: BTreeMap::new(),
            propagation: None,
            mount_label: String::new(),
        }
    }
}

/// What a container sees of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// All that the host sees.
    Host,
    /// Its own loopback device.
    None,
}

/// Namespaces of the host that a container shares. The network is [`Spec::network`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shared {
    /// Processes.
    pub pid: bool,
    /// Message queues, semaphores and shared memory.
    pub ipc: bool,
    /// The host name.
    pub uts: bool,
    /// The view of control groups.
    pub cgroup: bool,
}

/// Which system calls a container may use.
#[derive(Debug, Clone, PartialEq)]
pub enum Seccomp {
    /// Those of [`crate::seccomp`].
    Default,
    /// All.
    Unconfined,
    /// What a profile says, the JSON of a file in Docker's format.
    Profile(String),
}
