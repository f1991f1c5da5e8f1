//! A container's two documents, `config.v2.json` and `hostconfig.json` (`docs/format/containers.md`).
//!
//! Daemons of many versions write these files, each with fields of its own. So a document is kept as it was read, and
//! what is asked of it is looked up in it; what is edited leaves everything else as it was.

mod create;
mod host;

use std::fmt;

use model::config::ContainerConfig;
use model::{ContainerId, ContainerName, ImageId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::Result;
use crate::finding::Damage;

pub use create::NewContainer;
pub use host::HostConfig;

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
