//! Everything about one image or container, as the document that `docker inspect` prints.
//!
//! Keys, their order and what an absent value looks like are those of Docker 28.5. Values are of the store as it is:
//! the paths are below this data root, wherever it was when the files were written.

use model::{CacheId, ContainerConfig, ContainerId, ImageId, Reference, Timestamp};
use serde_json::{Map, Value, json};
use store::{Container, MountRecord};

use crate::containers::mount_points;
use crate::images::{LayerSizes, in_dockers_order};
use crate::{Engine, Result};

/// The network whose addresses Docker shows outside of `Networks`, too.
const DEFAULT_NETWORK: &str = "bridge";

impl Engine {
    /// The document of an image, keys in Docker 28's order.
    pub fn inspect_image(&self, image: &ImageId) -> Result<Value> {
        let config = self.store.images().get(image)?;
        let view = config.view();
        let mut names = self.store.references().read()?.of_image(image);
        in_dockers_order(&mut names);
        let (digests, tags): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.digest().is_some());
        let familiar = |names: Vec<Reference>| names.iter().map(Reference::familiar).collect::<Vec<_>>();
        let last_step = view.history.last().map_or("", |step| &step.comment);
        let tagged = self.store.images().last_updated(image)?.unwrap_or(Timestamp::ZERO);

        let mut document = Map::new();
        let mut put = |key: &str, value: Value| drop(document.insert(key.to_owned(), value));
        put("Id", json!(image.to_string()));
        put("RepoTags", json!(familiar(tags)));
        put("RepoDigests", json!(familiar(digests)));
        put("Parent", json!(text(self.store.images().parent(image)?)));
        put("Comment", json!(if view.comment.is_empty() { last_step } else { &view.comment }));
        if let Some(created) = view.created {
            put("Created", json!(created.to_string()));
        }
        put("DockerVersion", json!(view.docker_version));
        put("Author", json!(view.author));
        put("Architecture", json!(view.architecture));
        if !view.variant.is_empty() {
            put("Variant", json!(view.variant));
        }
        put("Os", json!(view.os));
        if !view.os_version.is_empty() {
            put("OsVersion", json!(view.os_version));
        }
        put("Size", json!(LayerSizes::new(&self.store).chain(config.diff_ids())?.bytes));
        let top = match config.chain_id().map(|top| self.store.layers().find(&top)).transpose() {
            Ok(record) => record.flatten().map(|record| record.cache_id),
            Err(store::Error::BrokenLayer { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        put("GraphDriver", self.graph_driver(top.as_ref(), None)?);
        let layers: Vec<String> = config.diff_ids().iter().map(|layer| layer.to_string()).collect();
        put(
            "RootFS",
            if layers.is_empty() {
                json!({"Type": "layers"})
            } else {
                json!({"Type": "layers", "Layers": layers})
            },
        );
        put("Metadata", json!({"LastTagTime": tagged.to_string()}));
        put("Config", image_config(view.config.as_ref()));
        Ok(Value::Object(document))
    }

    /// The document of a container, keys in Docker 28's order; with `SizeRw` and `SizeRootFs` if asked for.
    pub fn inspect_container(&self, container: &ContainerId, size: bool) -> Result<Value> {
        let id = container;
        let container = self.observed(self.store.containers().get(id)?)?;
        let host_config = self.store.containers().host_config(id)?;
        let mount = match self.store.mounts().find(id) {
            Err(store::Error::BrokenContainer { .. }) => None,
            other => other?,
        };
        let layer = mount.map(|MountRecord { mount_id, .. }| CacheId::from(mount_id));
        let stored = container.document()?;
        let field = |name: &str| stored.get(name).cloned().unwrap_or_default();
        let words = |name: &str| Value::from(field(name).as_str().unwrap_or_default());

        let mut document = Map::new();
        let mut put = |key: &str, value: Value| drop(document.insert(key.to_owned(), value));
        put("Id", json!(id.hex()));
        put("Created", json!(container.created().to_string()));
        put("Path", json!(container.path()));
        put("Args", field("Args"));
        put("State", state(&container, &stored));
        put("Image", json!(text(container.image())));
        for key in ["ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "Name"] {
            put(key, words(key));
        }
        put("RestartCount", json!(field("RestartCount").as_i64().unwrap_or_default()));
        put("Driver", json!(container.driver()));
        put("Platform", json!(platform(&stored)));
        for key in ["MountLabel", "ProcessLabel", "AppArmorProfile"] {
            put(key, words(key));
        }
        put("ExecIDs", Value::Null);
        put("HostConfig", Value::Object(host_config.document().clone()));
        put("GraphDriver", self.graph_driver(layer.as_ref(), Some(id))?);
        if size && let Some(size) = self.container_size(&mut LayerSizes::new(&self.store), id)? {
            put("SizeRw", json!(size.rw));
            put("SizeRootFs", json!(size.root_fs));
        }
        put("Mounts", self.mount_documents(&container));
        put("Config", serde_json::to_value(container.config()).unwrap_or_default());
        put("NetworkSettings", network_settings(&stored));
        Ok(Value::Object(document))
    }

    /// The driver's own words about a layer. A layer that is missing or damaged has none; it is no reason to show
    /// nothing at all.
    fn graph_driver(&self, layer: Option<&CacheId>, container: Option<&ContainerId>) -> Result<Value> {
        let data = match layer.map(|layer| self.driver.metadata(layer)).transpose() {
            Ok(data) => data.unwrap_or_default(),
            Err(drivers::Error::NoLayer(_) | drivers::Error::Damaged(_)) => Vec::new(),
            Err(e) => return Err(e.into()),
        };
        let data = (!data.is_empty()).then(|| {
            let id = container.map(|id| ("ID".to_owned(), Value::from(id.hex())));
            Value::Object(
                id.into_iter()
                    .chain(data.into_iter().map(|(key, value)| (key, Value::from(value))))
                    .collect(),
            )
        });
        Ok(json!({"Data": data, "Name": self.driver.name()}))
    }

    fn mount_documents(&self, container: &Container) -> Value {
        let mounts = mount_points(container).into_iter().map(|mount| {
            let mut document = Map::new();
            let mut put = |key: &str, value: Value| drop(document.insert(key.to_owned(), value));
            put("Type", json!(mount.kind));
            if !mount.name.is_empty() {
                put("Name", json!(mount.name));
            }
            let of_volume = mount.kind == "volume" && mount.driver == "local";
            let source = of_volume.then(|| self.store.path().join("volumes").join(mount.name).join("_data"));
            put("Source", source.map_or(json!(mount.source), |path| json!(path.to_string_lossy())));
            put("Destination", json!(mount.destination));
            if !mount.driver.is_empty() {
                put("Driver", json!(mount.driver));
            }
            put("Mode", json!(mount.mode));
            put("RW", json!(mount.writable));
            put("Propagation", json!(mount.propagation));
            Value::Object(document)
        });
        Value::Array(mounts.collect())
    }
}

fn text(id: Option<ImageId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// The fields that an OCI image has, sorted. Eight are there even when they are not set, for old clients; the others
/// only when they are.
fn image_config(config: Option<&ContainerConfig>) -> Value {
    fn list(list: Option<&Vec<String>>) -> Value {
        list.filter(|list| !list.is_empty()).map(|list| json!(list)).unwrap_or_default()
    }
    let absent = ContainerConfig::default();
    let config = config.unwrap_or(&absent);
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| drop(document.insert(key.to_owned(), value));
    if config.args_escaped {
        put("ArgsEscaped", json!(true));
    }
    put("Cmd", list(config.cmd.as_ref()));
    put("Entrypoint", list(config.entrypoint.as_ref()));
    put("Env", list(config.env.as_ref()));
    if !config.exposed_ports.is_empty() {
        put("ExposedPorts", json!(config.exposed_ports));
    }
    if let Some(check) = &config.healthcheck {
        put("Healthcheck", json!(check));
    }
    put(
        "Labels",
        config.labels.as_ref().filter(|labels| !labels.is_empty()).map(|l| json!(l)).unwrap_or_default(),
    );
    put("OnBuild", list(config.on_build.as_ref()));
    if !config.shell.is_empty() {
        put("Shell", json!(config.shell));
    }
    if !config.stop_signal.is_empty() {
        put("StopSignal", json!(config.stop_signal));
    }
    put("User", json!(config.user));
    put(
        "Volumes",
        config.volumes.as_ref().filter(|volumes| !volumes.is_empty()).map(|v| json!(v)).unwrap_or_default(),
    );
    put("WorkingDir", json!(config.working_dir));
    Value::Object(document)
}

fn state(container: &Container, stored: &Map<String, Value>) -> Value {
    let state = container.state();
    let mut document = json!({
        "Status": state.status().to_string(),
        "Running": state.running,
        "Paused": state.paused,
        "Restarting": state.restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.dead,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at.to_string(),
        "FinishedAt": state.finished_at.to_string(),
    });
    if let Some(health) = stored.get("State").and_then(|state| state.get("Health")).filter(|h| !h.is_null()) {
        document["Health"] = health.clone();
    }
    document
}

/// The operating system. Documents of Docker before 28 have it in a field of its own.
fn platform(stored: &Map<String, Value>) -> &str {
    let of_image = stored.get("ImagePlatform").and_then(|platform| platform.get("os"));
    of_image.or(stored.get("OS")).and_then(Value::as_str).unwrap_or_default()
}

/// A field, and what it is when it is not set.
type Field = (&'static str, fn() -> Value);

/// The addresses of an endpoint, in the order in which Docker repeats them for the default network.
const ADDRESSES: [Field; 8] = [
    ("EndpointID", empty),
    ("Gateway", empty),
    ("GlobalIPv6Address", empty),
    ("GlobalIPv6PrefixLen", zero),
    ("IPAddress", empty),
    ("IPPrefixLen", zero),
    ("IPv6Gateway", empty),
    ("MacAddress", empty),
];

fn network_settings(stored: &Map<String, Value>) -> Value {
    let nothing = Value::Null;
    let settings = stored.get("NetworkSettings").unwrap_or(&nothing);
    let networks = settings.get("Networks").and_then(Value::as_object);
    let default = networks.and_then(|networks| networks.get(DEFAULT_NETWORK)).unwrap_or(&nothing);
    let mut document = select(
        settings,
        &[
            ("Bridge", empty),
            ("SandboxID", empty),
            ("SandboxKey", empty),
            ("Ports", || json!({})),
            ("HairpinMode", || json!(false)),
            ("LinkLocalIPv6Address", empty),
            ("LinkLocalIPv6PrefixLen", zero),
            ("SecondaryIPAddresses", || Value::Null),
            ("SecondaryIPv6Addresses", || Value::Null),
        ],
    );
    document.extend(select(default, &ADDRESSES));
    let mut endpoints: Map<String, Value> = networks
        .into_iter()
        .flatten()
        .map(|(name, endpoint)| (name.clone(), endpoint_settings(endpoint)))
        .collect();
    endpoints.sort_keys();
    document.insert("Networks".to_owned(), Value::Object(endpoints));
    Value::Object(document)
}

fn endpoint_settings(endpoint: &Value) -> Value {
    Value::Object(select(
        endpoint,
        &[
            ("IPAMConfig", || Value::Null),
            ("Links", || Value::Null),
            ("Aliases", || Value::Null),
            ("MacAddress", empty),
            ("DriverOpts", || Value::Null),
            ("GwPriority", zero),
            ("NetworkID", empty),
            ("EndpointID", empty),
            ("Gateway", empty),
            ("IPAddress", empty),
            ("IPPrefixLen", zero),
            ("IPv6Gateway", empty),
            ("GlobalIPv6Address", empty),
            ("GlobalIPv6PrefixLen", zero),
            ("DNSNames", || Value::Null),
        ],
    ))
}

/// These fields of `from`, in this order; one that is absent or `null` gets its default.
fn select(from: &Value, fields: &[Field]) -> Map<String, Value> {
    let value = |(key, default): &Field| {
        let found = from.get(*key).filter(|value| !value.is_null()).cloned();
        ((*key).to_owned(), found.unwrap_or_else(default))
    };
    fields.iter().map(value).collect()
}

fn empty() -> Value {
    json!("")
}

fn zero() -> Value {
    json!(0)
}
