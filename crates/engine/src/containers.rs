//! Lists containers (`ps`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::time::human_duration;
use model::{CacheId, ContainerId, ImageId, MountId, Reference, Timestamp};
use serde_json::Value;
use store::{Container, Repositories, Status};

use crate::images::LayerSizes;
use crate::{Engine, Error, Result, now};

/// What `ps` shows of a container.
#[derive(Debug, Clone)]
pub struct ContainerSummary {
    /// Its ID.
    pub id: ContainerId,
    /// Its names, without the slash.
    pub names: Vec<String>,
    /// The image as the user named it; if that name is another image's by now, or nobody's, the whole ID.
    pub image: String,
    /// The image; `None` for a container from nothing.
    pub image_id: Option<ImageId>,
    /// The command with its arguments, separated by spaces; those with a space in them are in single quotes.
    pub command: String,
    /// When it was created.
    pub created: Timestamp,
    /// One word: `created`, `running`, `exited`, `dead`, …
    pub state: String,
    /// What people read: `Exited (0) 2 hours ago`.
    pub status: String,
    /// The exit code of its last run.
    pub exit_code: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its volumes and bind mounts, by their path in the container.
    pub mounts: Vec<Mounted>,
    /// How many of the mounts are local volumes.
    pub local_volumes: usize,
    /// Names of its networks, sorted.
    pub networks: Vec<String>,
    /// What its health check found: `starting`, `healthy`, `unhealthy`, or `none` without a check.
    pub health: String,
    /// The ports that its configuration exposes: `80/tcp`.
    pub exposed: Vec<String>,
    /// Bytes in the writable layer, if sizes were asked for and could be found out.
    pub size_rw: Option<u64>,
    /// Bytes in the writable layer and all the image's layers, if sizes were asked for and could be found out.
    pub size_root_fs: Option<u64>,
}

/// A volume or a bind mount, as `ps` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The volume's name; of a bind mount, the path on the host.
    pub name: String,
    /// The path in the container.
    pub destination: String,
}

/// Which containers to list.
#[derive(Debug, Clone, Default)]
pub struct ListContainers {
    /// Those that do not run, too.
    pub all: bool,
    /// With sizes.
    pub size: bool,
}

impl Engine {
    /// The containers, newest first. A size is worked out only where the writable layer changed since it was last.
    ///
    /// Takes no lock: containers that come and go meanwhile are in the list or not. Damaged ones are left out as by
    /// Docker; [`check`](Engine::check) names them.
    pub fn list_containers(&self, options: &ListContainers) -> Result<Vec<ContainerSummary>> {
        let (names, now) = (self.store.references().read()?, now());
        let mut listed = self.in_parallel(&self.store.containers().list()?, |ids| {
            let mut sizes = LayerSizes::new(&self.store);
            let mut summaries = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(container) = self.find_sound_container(id)? else { continue };
                if options.all || container.state().running {
                    let mut summary = summarize(&container, &names, now);
                    if options.size {
                        self.add_size(&mut summary, &mut sizes)?;
                    }
                    summaries.push(summary);
                }
            }
            Ok(summaries)
        })?;
        listed.sort_by_key(|container| newest_first(container.created, &container.id));
        Ok(listed)
    }

    /// What `ps --size` shows of these containers.
    pub(crate) fn summarize(&self, containers: &[Container]) -> Result<Vec<ContainerSummary>> {
        let (names, now) = (self.store.references().read()?, now());
        self.in_parallel(containers, |containers| {
            let mut sizes = LayerSizes::new(&self.store);
            let mut summaries: Vec<_> = containers.iter().map(|c| summarize(c, &names, now)).collect();
            summaries.iter_mut().try_for_each(|summary| self.add_size(summary, &mut sizes))?;
            Ok(summaries)
        })
    }

    fn add_size(&self, summary: &mut ContainerSummary, sizes: &mut LayerSizes<'_>) -> Result<()> {
        let size = self.container_size(sizes, &summary.id)?;
        summary.size_rw = size.map(|size| size.rw);
        summary.size_root_fs = size.map(|size| size.root_fs);
        Ok(())
    }

    /// The documents of all sound containers of this driver, newest first, those of one instant by ID.
    pub(crate) fn stored_containers(&self) -> Result<Vec<Container>> {
        let mut containers = self.in_parallel(&self.store.containers().list()?, |ids| {
            ids.iter().filter_map(|id| self.find_sound_container(id).transpose()).collect()
        })?;
        containers.sort_by_key(|container| newest_first(container.created(), container.id()));
        Ok(containers)
    }

    /// A container's document; `None` if it is not there, damaged, or of another driver.
    fn find_sound_container(&self, id: &ContainerId) -> Result<Option<Container>> {
        match self.store.containers().find(id) {
            Err(store::Error::BrokenContainer { .. }) => Ok(None),
            other => {
                let ours = other?.filter(|container| container.driver() == self.store.driver());
                ours.map(|container| self.observed(container)).transpose()
            }
        }
    }

    /// The container's ports that are published on the host when it runs, as `80/tcp`. None if it went while we looked.
    pub fn published_ports(&self, container: &ContainerId) -> Result<Vec<String>> {
        let host = match self.store.containers().host_config(container) {
            Err(store::Error::NoContainer(_) | store::Error::BrokenContainer { .. }) => return Ok(Vec::new()),
            other => other?,
        };
        let ports = host.field("PortBindings").and_then(Value::as_object);
        Ok(ports.into_iter().flatten().map(|(port, _)| port.clone()).collect())
    }

    /// How much a container takes; `None` if its writable layer is missing or damaged, or went while we looked.
    pub(crate) fn container_size(
        &self,
        sizes: &mut LayerSizes<'_>,
        id: &ContainerId,
    ) -> Result<Option<ContainerSize>> {
        let (writable, top) = match self.store.mounts().find_layers(id) {
            Ok(Some(layers)) => layers,
            Ok(None) | Err(store::Error::BrokenContainer { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let rw = match self.writable_size(id, &writable) {
            Ok(rw) => rw,
            Err(Error::Driver(drivers::Error::NoLayer(_) | drivers::Error::Damaged(_))) => return Ok(None),
            Err(_) if !self.store.containers().exists(id)? => return Ok(None),
            Err(Error::Store(
                store::Error::NoLayer(_)
                | store::Error::BrokenLayer { .. }
                | store::Error::NoContainer(_)
                | store::Error::BrokenContainer { .. },
            )) => return Ok(None),
            Err(e) => return Err(e),
        };
        let below = top.map(|top| sizes.below(&top)).transpose()?;
        Ok(Some(ContainerSize { rw, root_fs: rw + below.map_or(0, |below| below.bytes) }))
    }

    /// Bytes in a writable layer: what the file system counts, if it does; else what was remembered if the layer is
    /// unchanged, else measured, and remembered.
    fn writable_size(&self, id: &ContainerId, writable: &MountId) -> Result<u64> {
        let layer = CacheId::from(*writable);
        if let Some(counted) = self.driver.counted(&layer)? {
            return Ok(counted);
        }
        // Asked before the layer is measured: a change meanwhile makes the stamp stale, never the size wrong.
        let stamp = self.driver.usage_stamp(&layer)?.map(|stamp| stamp.to_string());
        if let Some(stamp) = &stamp
            && let Some(size) = self.store.sizes().get(writable, stamp.as_bytes())
        {
            return Ok(size);
        }
        let size = self.driver.usage(&layer, self.mount_parent(&self.store.mounts().get(id)?)?.as_ref())?;
        if let Some(stamp) = &stamp {
            // Not remembered is measured again.
            let _ = self.store.sizes().put(writable, stamp.as_bytes(), size);
        }
        Ok(size)
    }
}

/// How much a container takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContainerSize {
    /// Bytes in its writable layer.
    pub rw: u64,
    /// Those and the bytes in its image's layers.
    pub root_fs: u64,
}

/// What containers are sorted by.
fn newest_first(created: Timestamp, id: &ContainerId) -> (Reverse<Timestamp>, ContainerId) {
    (Reverse(created), *id)
}

fn summarize(container: &Container, names: &Repositories, now: Timestamp) -> ContainerSummary {
    let mounts = mount_points(container);
    ContainerSummary {
        id: *container.id(),
        names: vec![container.name().trim_start_matches('/').to_owned()],
        image: image_name(container, names),
        image_id: container.image(),
        command: command(container),
        created: container.created(),
        state: container.state().status().to_string(),
        status: status(container, now),
        exit_code: container.state().exit_code,
        labels: container.config().labels.clone().unwrap_or_default(),
        local_volumes: mounts.iter().filter(|mount| mount.driver == "local").count(),
        mounts: mounts
            .iter()
            .map(|mount| Mounted {
                name: if mount.name.is_empty() { mount.source } else { mount.name }.to_owned(),
                destination: mount.destination.to_owned(),
            })
            .collect(),
        networks: container.networks().cloned().collect(),
        health: health(container).unwrap_or("none").to_owned(),
        exposed: container.config().exposed_ports.keys().cloned().collect(),
        size_rw: None,
        size_root_fs: None,
    }
}

/// The name that the user gave, as long as it means the container's image.
fn image_name(container: &Container, names: &Repositories) -> String {
    let given = &container.config().image;
    let Some(id) = container.image() else { return given.clone() };
    let named = || Reference::parse(given).is_ok_and(|name| names.get(&name) == Some(id));
    let prefix = || !given.is_empty() && id.hex().starts_with(given.trim_start_matches("sha256:"));
    if named() || prefix() { given.clone() } else { id.to_string() }
}

fn command(container: &Container) -> String {
    let mut command = container.path().to_owned();
    for arg in container.args() {
        command += &if arg.contains(' ') { format!(" '{arg}'") } else { format!(" {arg}") };
    }
    command
}

/// Docker's words for how a container fares.
fn status(container: &Container, now: Timestamp) -> String {
    let state = container.state();
    let up = || human_duration(state.started_at.age(now));
    let ago = || human_duration(state.finished_at.age(now));
    match state.status() {
        Status::Paused => format!("Up {} (Paused)", up()),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, ago()),
        Status::Running => match health(container) {
            Some("starting") => format!("Up {} (health: starting)", up()),
            Some(health) => format!("Up {} ({health})", up()),
            None => format!("Up {}", up()),
        },
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        Status::Created => "Created".to_owned(),
        Status::Exited if state.finished_at.is_zero() => String::new(),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, ago()),
    }
}

fn health(container: &Container) -> Option<&str> {
    let health = container.state().health.as_ref()?;
    Some(match health.status.as_str() {
        "" => "unhealthy",
        status => status,
    })
}

/// A volume or bind mount of a container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MountPoint<'a> {
    /// Where it is in the container.
    pub destination: &'a str,
    /// `volume`, `bind` or `tmpfs`.
    pub kind: &'a str,
    /// The volume's name; empty for others.
    pub name: &'a str,
    /// Where it is on the host; empty for volumes of containers that never ran.
    pub source: &'a str,
    /// The volume's driver.
    pub driver: &'a str,
    /// Options such as `z`.
    pub mode: &'a str,
    /// Whether it may be written to.
    pub writable: bool,
    /// How mounts in it propagate.
    pub propagation: &'a str,
}

/// The volumes and bind mounts of a container, by their path in it.
pub(crate) fn mount_points(container: &Container) -> Vec<MountPoint<'_>> {
    fn text<'a>(value: &'a Value, key: &str) -> &'a str {
        value.get(key).and_then(Value::as_str).unwrap_or_default()
    }
    let mut mounts: Vec<_> = container
        .mount_points()
        .map(|(path, value)| MountPoint {
            destination: Some(text(value, "Destination")).filter(|path| !path.is_empty()).unwrap_or(path),
            kind: text(value, "Type"),
            name: text(value, "Name"),
            source: text(value, "Source"),
            driver: text(value, "Driver"),
            mode: text(value, "Relabel"),
            writable: value.get("RW").and_then(Value::as_bool).unwrap_or_default(),
            propagation: text(value, "Propagation"),
        })
        .collect();
    mounts.sort_by_key(|mount| mount.destination);
    mounts
}
