//! `hostconfig.json`, as read and as for a new container.

use serde_json::{Map, Value, json};

use super::{HOST_CONFIG, encode, object, object_text};
use crate::error::Result;
use crate::finding::Damage;

/// `hostconfig.json`: what a container gets from the host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostConfig {
    document: Map<String, Value>,
}

impl HostConfig {
    /// What Docker 28.5 writes for `docker create` without options. The cgroup namespace of such a container is its
    /// own on a host with cgroup v2 and the host's on one with v1.
    pub fn new(cgroup_v2: bool) -> Self {
        Self { document: default_host_config(if cgroup_v2 { "private" } else { "host" }) }
    }

    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, Damage> {
        let text = object_text(HOST_CONFIG, bytes)?;
        let document = serde_json::from_str(&text).map_err(|e| Damage::invalid(HOST_CONFIG, e))?;
        Ok(Self { document })
    }

    /// The document as it is stored: Go's JSON, and a newline.
    ///
    /// # Errors
    /// None that a document that was read or made here can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        encode(&self.document)
    }

    /// A field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// Sets a field; one that is there keeps its place.
    pub fn set(&mut self, name: &str, value: Value) {
        self.document.insert(name.to_owned(), value);
    }

    /// The whole document.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }
}

fn default_host_config(cgroup_namespace: &str) -> Map<String, Value> {
    let (masked, read_only) = (&MASKED_PATHS[..], &READ_ONLY_PATHS[..]);
    object(json!({
        "Binds": null,
        "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": "bridge",
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": false,
        "VolumeDriver": "",
        "VolumesFrom": null,
        "ConsoleSize": [0, 0],
        "CapAdd": null,
        "CapDrop": null,
        "CgroupnsMode": cgroup_namespace,
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": null,
        "GroupAdd": null,
        "IpcMode": "private",
        "Cgroup": "",
        "Links": null,
        "OomScoreAdj": 0,
        "PidMode": "",
        "Privileged": false,
        "PublishAllPorts": false,
        "ReadonlyRootfs": false,
        "SecurityOpt": null,
        "UTSMode": "",
        "UsernsMode": "",
        "ShmSize": 64 << 20,
        "Runtime": "runc",
        "Isolation": "",
        "CpuShares": 0,
        "Memory": 0,
        "NanoCpus": 0,
        "CgroupParent": "",
        "BlkioWeight": 0,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": "",
        "CpusetMems": "",
        "Devices": [],
        "DeviceCgroupRules": null,
        "DeviceRequests": null,
        "MemoryReservation": 0,
        "MemorySwap": 0,
        "MemorySwappiness": null,
        "OomKillDisable": false,
        "PidsLimit": null,
        "Ulimits": [],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "MaskedPaths": masked,
        "ReadonlyPaths": read_only,
    }))
}

/// Paths that a container does not get to see. A daemon takes them from here at every start of the container.
const MASKED_PATHS: [&str; 12] = [
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

/// Paths that it may read only.
const READ_ONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
