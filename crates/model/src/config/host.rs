//! What a container gets from the host: Docker's `HostConfig`, the content of `hostconfig.json`.

use crate::mount::Mount;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a container gets from the host.
///
/// Serialises with the fields and in the order of Docker 28.5; the default is what Docker writes for `docker create`
/// without options, but for the cgroup namespace, which is up to the host. Times, sizes and shares are in Docker's units: bytes, and billionths of a
/// processor for [`nano_cpus`](Self::nano_cpus). 0 stands for no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HostConfig {
    /// `-v SOURCE:TARGET[:MODE]`, as given. Volumes without a source stand in the container's configuration.
    pub binds: Option<Vec<String>>,
    /// `--cidfile`.
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    /// Where output goes.
    pub log_config: LogConfig,
    /// `host`, `none`, `bridge` (Docker's default network), `container:…`, or a network's name.
    pub network_mode: String,
    /// Ports of the host by ports of the container. None are published here.
    pub port_bindings: Map<String, Value>,
    /// Whether it is started again when it ends.
    pub restart_policy: RestartPolicy,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// The driver of volumes that are made for it; empty for `local`.
    pub volume_driver: String,
    /// Containers whose mounts it gets, too.
    pub volumes_from: Option<Vec<String>>,
    /// Annotations for the runtime.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Height and width of the terminal that it was created on.
    pub console_size: [u32; 2],
    /// Capabilities on top of the default ones; `ALL` for every one.
    pub cap_add: Option<Vec<String>>,
    /// Capabilities that it does not get; `ALL` for every one.
    pub cap_drop: Option<Vec<String>>,
    /// `private` or `host`; empty until a container is made, for what its host prefers.
    pub cgroupns_mode: String,
    /// Name servers.
    pub dns: Vec<String>,
    /// Options of resolv.conf.
    pub dns_options: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// `NAME:ADDRESS` for its hosts file.
    pub extra_hosts: Option<Vec<String>>,
    /// Further groups of its process.
    pub group_add: Option<Vec<String>>,
    /// `private`, `host`, `none`, `shareable`, `container:…`.
    pub ipc_mode: String,
    /// The cgroup that it is put into.
    pub cgroup: String,
    /// Links to other containers.
    pub links: Option<Vec<String>>,
    /// How readily the kernel kills it for want of memory, -1000 to 1000.
    pub oom_score_adj: i64,
    /// Empty for its own, `host`, `container:…`.
    pub pid_mode: String,
    /// All capabilities and devices, nothing masked.
    pub privileged: bool,
    /// Whether exposed ports are published.
    pub publish_all_ports: bool,
    /// Whether its tree is mounted for reading only.
    pub readonly_rootfs: bool,
    /// `no-new-privileges`, `seccomp=…`, `apparmor=…`, `label=…`.
    pub security_opt: Option<Vec<String>>,
    /// Options of the storage driver: `size`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_opt: BTreeMap<String, String>,
    /// `--tmpfs`: options by target.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    /// Empty for its own, `host`.
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    /// Empty, `host`.
    pub userns_mode: String,
    /// Bytes in `/dev/shm`.
    pub shm_size: i64,
    /// Kernel parameters of its namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// The OCI runtime.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub runtime: String,
    /// Windows only.
    pub isolation: String,
    /// Relative weight for processors.
    pub cpu_shares: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    /// The cgroup above its own.
    pub cgroup_parent: String,
    /// Relative weight for block devices.
    pub blkio_weight: u16,
    /// Weights by device.
    pub blkio_weight_device: Value,
    /// Bytes per second by device.
    pub blkio_device_read_bps: Value,
    /// Bytes per second by device.
    pub blkio_device_write_bps: Value,
    /// Operations per second by device.
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Value,
    /// Operations per second by device.
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Value,
    /// Microseconds of a scheduler's period.
    pub cpu_period: i64,
    /// Microseconds that it may run in a period.
    pub cpu_quota: i64,
    /// The same of the real-time scheduler.
    pub cpu_realtime_period: i64,
    /// The same of the real-time scheduler.
    pub cpu_realtime_runtime: i64,
    /// Processors: `0-2,7`.
    pub cpuset_cpus: String,
    /// Memory nodes.
    pub cpuset_mems: String,
    /// Devices of the host.
    pub devices: Option<Vec<Device>>,
    /// Rules of the device cgroup: `c 1:3 mr`.
    pub device_cgroup_rules: Option<Vec<String>>,
    /// Devices that drivers bring (`--gpus`).
    pub device_requests: Value,
    /// Bytes of memory that it shrinks to when memory is short.
    pub memory_reservation: i64,
    /// Bytes of memory and swap together; -1 for no limit.
    pub memory_swap: i64,
    /// 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// Whether it waits instead of being killed when it has used up its memory.
    pub oom_kill_disable: Option<bool>,
    /// Processes and threads.
    pub pids_limit: Option<i64>,
    /// Limits of its processes.
    pub ulimits: Option<Vec<Ulimit>>,
    /// Windows only.
    pub cpu_count: i64,
    /// Windows only.
    pub cpu_percent: i64,
    /// Windows only.
    #[serde(rename = "IOMaximumIOps")]
    pub io_maximum_iops: u64,
    /// Windows only.
    #[serde(rename = "IOMaximumBandwidth")]
    pub io_maximum_bandwidth: u64,
    /// `--mount`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Paths that it does not get to see; `None` in a privileged container.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that it may only read; `None` in a privileged container.
    pub readonly_paths: Option<Vec<String>>,
    /// Whether a small init runs as its first process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

/// Where a container's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LogConfig {
    /// `json-file` or `none`; Docker has more.
    #[serde(rename = "Type")]
    pub kind: String,
    /// `max-size`, `max-file` and others.
    #[serde(deserialize_with = "crate::json::null_is_default")]
    pub config: BTreeMap<String, String>,
}

/// Whether a container is started again when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped`, `on-failure`.
    pub name: String,
    /// How often, with `on-failure`; 0 for no end.
    pub maximum_retry_count: i64,
}

/// A device of the host in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Device {
    /// Its path on the host.
    pub path_on_host: String,
    /// Its path in the container.
    pub path_in_container: String,
    /// Some of `rwm`: read, write, make.
    pub cgroup_permissions: String,
}

/// A limit of setrlimit(2), without `RLIMIT_`, in lower case; -1 for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ulimit {
    /// `nofile` and the like.
    pub name: String,
    /// What it may be raised to.
    pub hard: i64,
    /// What it is.
    pub soft: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { kind: "json-file".to_owned(), config: BTreeMap::new() }
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { name: "no".to_owned(), maximum_retry_count: 0 }
    }
}

/// Paths that a container does not get to see (Docker 28.5, `docs/format/containers.md`). A daemon takes them from `hostconfig.json` at every start.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths that it may only read.
pub const READ_ONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

impl Default for HostConfig {
    fn default() -> Self {
        let words = |list: &[&str]| Some(list.iter().map(|&word| word.to_owned()).collect());
        let none = || Value::Array(Vec::new());
        Self {
            binds: None,
            container_id_file: String::new(),
            log_config: LogConfig::default(),
            network_mode: "bridge".to_owned(),
            port_bindings: Map::new(),
            restart_policy: RestartPolicy::default(),
            auto_remove: false,
            volume_driver: String::new(),
            volumes_from: None,
            annotations: BTreeMap::new(),
            console_size: [0, 0],
            cap_add: None,
            cap_drop: None,
            cgroupns_mode: String::new(),
            dns: Vec::new(),
            dns_options: Vec::new(),
            dns_search: Vec::new(),
            extra_hosts: None,
            group_add: None,
            ipc_mode: "private".to_owned(),
            cgroup: String::new(),
            links: None,
            oom_score_adj: 0,
            pid_mode: String::new(),
            privileged: false,
            publish_all_ports: false,
            readonly_rootfs: false,
            security_opt: None,
            storage_opt: BTreeMap::new(),
            tmpfs: BTreeMap::new(),
            uts_mode: String::new(),
            userns_mode: String::new(),
            shm_size: 64 << 20,
            sysctls: BTreeMap::new(),
            runtime: "runc".to_owned(),
            isolation: String::new(),
            cpu_shares: 0,
            memory: 0,
            nano_cpus: 0,
            cgroup_parent: String::new(),
            blkio_weight: 0,
            blkio_weight_device: none(),
            blkio_device_read_bps: none(),
            blkio_device_write_bps: none(),
            blkio_device_read_iops: none(),
            blkio_device_write_iops: none(),
            cpu_period: 0,
            cpu_quota: 0,
            cpu_realtime_period: 0,
            cpu_realtime_runtime: 0,
            cpuset_cpus: String::new(),
            cpuset_mems: String::new(),
            devices: Some(Vec::new()),
            device_cgroup_rules: None,
            device_requests: Value::Null,
            memory_reservation: 0,
            memory_swap: 0,
            memory_swappiness: None,
            oom_kill_disable: Some(false),
            pids_limit: None,
            ulimits: Some(Vec::new()),
            cpu_count: 0,
            cpu_percent: 0,
            io_maximum_iops: 0,
            io_maximum_bandwidth: 0,
            mounts: Vec::new(),
            masked_paths: words(&MASKED_PATHS),
            readonly_paths: words(&READ_ONLY_PATHS),
            init: None,
        }
    }
}
