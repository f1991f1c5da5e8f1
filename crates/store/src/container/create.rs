//! A new container's `config.v2.json`.

use std::collections::BTreeMap;

use model::config::ContainerConfig;
use model::mount::MountPoint;
use model::{ContainerId, ContainerName, ImageId, Platform, Timestamp};
use serde_json::{Value, json};

use super::{Container, object};
use crate::error::Result;

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
    /// The network that it is going to be on: `bridge`, `host`, `none`.
    pub network: &'a str,
    /// Its volumes, bind mounts and tmpfs, by their path in it.
    pub mounts: &'a BTreeMap<String, MountPoint>,
    /// The label that SELinux gives to its processes; empty for none.
    pub process_label: &'a str,
    /// The label that SELinux gives to its mounts; empty for none.
    pub mount_label: &'a str,
}

impl NewContainer<'_> {
    /// Writes the document field for field as Docker 28.5 does for `docker create`; older daemons take it too.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if `config` has no JSON form.
    pub fn document(&self) -> Result<Container> {
        let json_error = |why: serde_json::Error| model::Error::Json {
            what: "container configuration",
            why: why.to_string(),
        };
        let config = serde_json::to_value(self.config).map_err(json_error)?;
        let mounts = serde_json::to_value(self.mounts).map_err(json_error)?;
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
            "NetworkSettings": network_settings(self.network),
            "LogPath": "",
            "Name": self.name.with_slash(),
            "Driver": self.driver,
            "OS": self.platform.os,
            "ImagePlatform": platform,
            "RestartCount": 0,
            "HasBeenStartedBefore": false,
            "HasBeenManuallyStopped": false,
            "MountPoints": mounts,
            "SecretReferences": null,
            "ConfigReferences": null,
            "MountLabel": self.mount_label,
            "ProcessLabel": self.process_label,
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
        Container::new(self.id, &object(document))
    }
}

/// On a network, not connected yet.
fn network_settings(network: &str) -> Value {
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Networks": {
            (network): {
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
