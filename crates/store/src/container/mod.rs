//! A container's two documents, `config.v2.json` and `hostconfig.json` (`docs/format/containers.md`).
//!
//! Daemons of many versions write these files, each with fields of its own. So a document is kept as the text that was
//! read, and what is edited leaves everything else as it was. Of a container's document, what lists show is read at
//! once; the rest only for those who ask for the whole, since a store has thousands of containers.

mod create;
mod edit;
mod host;

use std::collections::BTreeMap;
use std::fmt;

use model::config::{ContainerConfig, Empty};
use model::mount::MountPoint;
use model::{ContainerId, ContainerName, ImageId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::finding::Damage;

pub use create::NewContainer;
pub use edit::Change;
pub use host::HostConfig;

/// The file's name in messages and findings.
pub(crate) const CONFIG: &str = "config.v2.json";
pub(crate) const HOST_CONFIG: &str = "hostconfig.json";

/// `config.v2.json`: what a container is, and how it fares.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    text: String,
    fields: Fields,
}

/// What is read of a document at once. As in Go, `null` counts as absent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields {
    #[serde(rename = "ID")]
    id: ContainerId,
    config: ContainerConfig,
    state: State,
    name: Option<String>,
    created: Option<Timestamp>,
    path: Option<String>,
    args: Option<Vec<String>>,
    image: Option<String>,
    driver: Option<String>,
    network_settings: Option<NetworkSettings>,
    mount_points: Option<Map<String, Value>>,
    mount_label: Option<String>,
    process_label: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Empty>>,
}

impl Container {
    /// Reads a document. `Config` and `State` have to be there: without them a daemon crashes at its start.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, Damage> {
        let text = object_text(CONFIG, bytes)?;
        let fields = serde_json::from_str(&text).map_err(|e| Damage::invalid(CONFIG, e))?;
        Ok(Self { text, fields })
    }

    /// The container of a document that was made here.
    fn new(id: ContainerId, document: &Map<String, Value>) -> Result<Self> {
        Self::parse(encode(document)?).map_err(|damage| Error::BrokenContainer { id, damage })
    }

    /// The document as it is stored: Go's JSON, and a newline.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The whole document, with the fields that have no method here.
    ///
    /// # Errors
    /// [`Error::BrokenContainer`] if a part that was not looked at before is nested too deeply.
    pub fn document(&self) -> Result<Map<String, Value>> {
        let damaged = |e| Error::BrokenContainer { id: self.fields.id, damage: Damage::invalid(CONFIG, e) };
        serde_json::from_str(&self.text).map_err(damaged)
    }

    /// The container with another name. Only in this document: see [`Containers::rename`](crate::Containers::rename).
    ///
    /// # Errors
    /// As [`Container::document`].
    pub fn renamed(&self, name: &ContainerName) -> Result<Self> {
        let mut document = self.document()?;
        document.insert("Name".to_owned(), Value::from(name.with_slash()));
        Self::new(self.fields.id, &document)
    }

    /// Its id.
    pub fn id(&self) -> &ContainerId {
        &self.fields.id
    }

    /// Its name, with the slash that Docker puts in front.
    pub fn name(&self) -> &str {
        self.fields.name.as_deref().unwrap_or_default()
    }

    /// When it was created; the zero time if the document does not say.
    pub fn created(&self) -> Timestamp {
        self.fields.created.unwrap_or(Timestamp::ZERO)
    }

    /// The program that it runs.
    pub fn path(&self) -> &str {
        self.fields.path.as_deref().unwrap_or_default()
    }

    /// The program's arguments.
    pub fn args(&self) -> &[String] {
        self.fields.args.as_deref().unwrap_or_default()
    }

    /// Its configuration.
    pub fn config(&self) -> &ContainerConfig {
        &self.fields.config
    }

    /// The image that it was created from; `None` for a container from nothing.
    pub fn image(&self) -> Option<ImageId> {
        self.fields.image.as_deref()?.parse().ok()
    }

    /// The storage driver that has its files. Containers of other drivers than its own a daemon does not show.
    pub fn driver(&self) -> &str {
        self.fields.driver.as_deref().unwrap_or_default()
    }

    /// The label that SELinux gives to its mounts; empty for none.
    pub fn mount_label(&self) -> &str {
        self.fields.mount_label.as_deref().unwrap_or_default()
    }

    /// The label that SELinux gives to its processes; empty for none.
    pub fn process_label(&self) -> &str {
        self.fields.process_label.as_deref().unwrap_or_default()
    }

    /// How it fares.
    pub fn state(&self) -> &State {
        &self.fields.state
    }

    /// The names of its networks, sorted.
    pub fn networks(&self) -> impl Iterator<Item = &String> {
        let settings = self.fields.network_settings.iter();
        settings.filter_map(|settings| settings.networks.as_ref()).flat_map(BTreeMap::keys)
    }

    /// Its volumes and bind mounts, by the path in the container, as this version knows them.
    ///
    /// # Errors
    /// [`Error::BrokenContainer`] for one that has another form than Docker's.
    pub fn mounts(&self) -> Result<BTreeMap<String, MountPoint>> {
        let damaged = |e| Error::BrokenContainer { id: self.fields.id, damage: Damage::invalid(CONFIG, e) };
        let point = |(path, value): (&String, &Value)| {
            Ok((path.clone(), serde_json::from_value(value.clone()).map_err(damaged)?))
        };
        self.mount_points().map(point).collect()
    }

    /// Its volumes and bind mounts, by the path in the container.
    pub fn mount_points(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.fields.mount_points.iter().flatten()
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
    /// What its health check found; `None` if it has none.
    pub health: Option<Health>,
}

/// What a container's health check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`; empty before the first check.
    pub status: String,
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
            health: None,
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

/// The text of a document, an object. Go's decoder reads bytes that are no UTF-8 as replacement characters. Serde would
/// also take a list of the fields' values.
fn object_text(file: &'static str, bytes: Vec<u8>) -> Result<String, Damage> {
    let text =
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    match text.trim_ascii_start().chars().next() {
        Some('{') => Ok(text),
        Some(_) => Err(Damage::invalid(file, "it is no JSON object")),
        None => Err(Damage::Empty(file)),
    }
}

pub(crate) fn encode(document: &Map<String, Value>) -> Result<Vec<u8>> {
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
