//! A container's two documents, `config.v2.json` and `hostconfig.json` (`docs/format/containers.md`).
//!
//! Daemons of many versions write these files, each with fields of its own. So a document is kept as it was read, and
//! what is asked of it is looked up in it; what is edited leaves everything else as it was.

use std::fmt;

use model::config::ContainerConfig;
use model::{ContainerId, ContainerName, ImageId, Platform, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::finding::Damage;

/// The file's name in messages and findings.
pub(crate) const CONFIG: &str = "config.v2.json";
pub(crate) const HOST_CONFIG: &str = "hostconfig.json";

/// `config.v2.json`: what a container is, and how it fares.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    id: ContainerId,
    config: ContainerConfig,
    state: State,
    document: Map<String, Value>,
}

impl Container {
    /// Reads a document. `Config` and `State` have to be there: without them a daemon crashes at its start.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let document = parse_object(CONFIG, bytes)?;
        let part = |name: &str| match document.get(name) {
            Some(value) if !value.is_null() => Ok(value.clone()),
            _ => Err(Damage::invalid(CONFIG, format!("it has no {name}"))),
        };
        let id = part("ID")?.as_str().unwrap_or_default().parse().map_err(|e| Damage::invalid(CONFIG, e))?;
        let config = serde_json::from_value(part("Config")?).map_err(|e| Damage::invalid(CONFIG, e))?;
        let state = serde_json::from_value(part("State")?).map_err(|e| Damage::invalid(CONFIG, e))?;
        Ok(Self { id, config, state, document })
    }

    /// The document as it is stored: Go's JSON, and a newline.
    ///
    /// # Errors
    /// None that a document that was read or made here can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        encode(&self.document)
    }

    /// Its id.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Its name, with the slash that Docker puts in front.
    pub fn name(&self) -> &str {
        self.text("Name")
    }

    /// Gives it another name. Only in this document: see [`Containers::rename`](crate::Containers::rename).
    pub fn set_name(&mut self, name: &ContainerName) {
        self.set("Name", Value::from(name.with_slash()));
    }

    /// When it was created; the zero time if the document does not say.
    pub fn created(&self) -> Timestamp {
        self.text("Created").parse().unwrap_or(Timestamp::ZERO)
    }

    /// The program that it runs.
    pub fn path(&self) -> &str {
        self.text("Path")
    }

    /// The program's arguments.
    pub fn args(&self) -> Vec<&str> {
        let args = self.document.get("Args").and_then(Value::as_array);
        args.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Its configuration.
    pub fn config(&self) -> &ContainerConfig {
        &self.config
    }

    /// The image that it was created from; `None` for a container from nothing.
    pub fn image(&self) -> Option<ImageId> {
        self.text("Image").parse().ok()
    }

    /// The storage driver that has its files. Containers of other drivers than its own a daemon does not show.
    pub fn driver(&self) -> &str {
        self.text("Driver")
    }

    /// How it fares.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The SELinux label of its mount.
    pub fn mount_label(&self) -> &str {
        self.text("MountLabel")
    }

    /// Its volumes and bind mounts, by the path in the container.
    pub fn mount_points(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.document.get("MountPoints").and_then(Value::as_object).into_iter().flatten()
    }

    /// Any other field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// The whole document.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    fn text(&self, name: &str) -> &str {
        self.document.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: Value) {
        self.document.insert(name.to_owned(), value);
    }
}

/// How a container fares. Fields that are absent are zero.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct State {
    /// It runs, or is paused, or about to be started again.
    pub running: bool,
    /// It is frozen.
    pub paused: bool,
    /// The daemon is about to start it again.
    pub restarting: bool,
    /// The kernel killed it for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// It is being removed (Docker up to 24).
    pub removal_in_progress: bool,
    /// Its removal failed.
    pub dead: bool,
    /// Its process, 0 if it does not run.
    pub pid: i64,
    /// What its process ended with.
    pub exit_code: i64,
    /// Why it could not be started.
    pub error: String,
    /// When it was started last; the zero time if never.
    pub started_at: Timestamp,
    /// When it ended last; the zero time if never.
    pub finished_at: Timestamp,
}

impl Default for State {
    fn default() -> Self {
        Self {
            running: false,
            paused: false,
            restarting: false,
            oom_killed: false,
            removal_in_progress: false,
            dead: false,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            started_at: Timestamp::ZERO,
            finished_at: Timestamp::ZERO,
        }
    }
}

/// A container's state in one word. Displays as Docker's `State.Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // Docker's own seven words
pub enum Status {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl State {
    /// The one word for it.
    pub fn status(&self) -> Status {
        match self {
            Self { running: true, paused: true, .. } => Status::Paused,
            Self { running: true, restarting: true, .. } => Status::Restarting,
            Self { running: true, .. } => Status::Running,
            Self { removal_in_progress: true, .. } => Status::Removing,
            Self { dead: true, .. } => Status::Dead,
            Self { started_at, .. } if started_at.is_zero() => Status::Created,
            _ => Status::Exited,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        })
    }
}

/// A container that is about to be made.
#[derive(Debug, Clone)]
pub struct NewContainer<'a> {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: &'a ContainerName,
    /// When.
    pub created: Timestamp,
    /// The program that it shall run, and its arguments.
    pub path: &'a str,
    /// The program's arguments.
    pub args: &'a [String],
    /// Its whole configuration: what was asked for, and the rest from the image.
    pub config: &'a ContainerConfig,
    /// Its image; `None` for a container from nothing.
    pub image: Option<ImageId>,
    /// What it runs on.
    pub platform: &'a Platform,
    /// The storage driver that has its files.
    pub driver: &'a str,
}

impl NewContainer<'_> {
    /// Writes the document field for field as Docker 28.5 does for `docker create`; older daemons take it too.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if `config` has no JSON form.
    pub fn document(&self) -> Result<Container> {
        let json_error = |why: serde_json::Error| model::Error::Json { what: "container configuration", why: why.to_string() };
        let config = serde_json::to_value(self.config).map_err(json_error)?;
        let mut platform = json!({"architecture": self.platform.architecture, "os": self.platform.os});
        if let Some(variant) = &self.platform.variant {
            platform["variant"] = Value::from(variant.as_str());
        }
        let document = json!({
            "StreamConfig": {},
            "State": {
                "Running": false,
                "Paused": false,
                "Restarting": false,
                "OOMKilled": false,
                "Dead": false,
                "Pid": 0,
                "ExitCode": 0,
                "Error": "",
                "StartedAt": Timestamp::ZERO.to_string(),
                "FinishedAt": Timestamp::ZERO.to_string(),
                "Health": null,
            },
            "ID": self.id.hex(),
            "Created": self.created.to_string(),
            "Managed": false,
            "Path": self.path,
            "Args": self.args,
            "Config": config,
            "Image": self.image.map(|id| id.to_string()).unwrap_or_default(),
            "ImageManifest": null,
            "NetworkSettings": network_settings(),
            "LogPath": "",
            "Name": self.name.with_slash(),
            "Driver": self.driver,
            "OS": self.platform.os,
            "ImagePlatform": platform,
            "RestartCount": 0,
            "HasBeenStartedBefore": false,
            "HasBeenManuallyStopped": false,
            "MountPoints": {},
            "SecretReferences": null,
            "ConfigReferences": null,
            "MountLabel": "",
            "ProcessLabel": "",
            "AppArmorProfile": "",
            "SeccompProfile": "",
            "NoNewPrivileges": false,
            "WritableCgroups": null,
            "HostnamePath": "",
            "HostsPath": "",
            "ShmPath": "",
            "ResolvConfPath": "",
            "LocalLogCacheMeta": {"HaveNotifyEnabled": false},
        });
        let document = object(document);
        Ok(Container { id: self.id, config: self.config.clone(), state: State::default(), document })
    }
}

/// On the network `bridge`, not connected yet.
fn network_settings() -> Value {
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Networks": {
            "bridge": {
                "IPAMConfig": null,
                "Links": null,
                "Aliases": null,
                "MacAddress": "",
                "DriverOpts": null,
                "GwPriority": 0,
                "NetworkID": "",
                "EndpointID": "",
                "Gateway": "",
                "IPAddress": "",
                "IPPrefixLen": 0,
                "IPv6Gateway": "",
                "GlobalIPv6Address": "",
                "GlobalIPv6PrefixLen": 0,
                "DNSNames": null,
                "IPAMOperational": false,
                "DesiredMacAddress": "",
            },
        },
        "Service": null,
        "Ports": null,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "HasSwarmEndpoint": false,
    })
}

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

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        Ok(Self { document: parse_object(HOST_CONFIG, bytes)? })
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

/// Go's decoder reads bytes that are no UTF-8 as replacement characters.
fn parse_object(file: &'static str, bytes: &[u8]) -> Result<Map<String, Value>, Damage> {
    if bytes.is_empty() {
        return Err(Damage::Empty(file));
    }
    serde_json::from_str(&String::from_utf8_lossy(bytes)).map_err(|e| Damage::invalid(file, e))
}

fn encode(document: &Map<String, Value>) -> Result<Vec<u8>> {
    let mut bytes = model::gojson::to_vec(document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
