//! What a container runs and how: part of the image configuration, and of every container's own files.

use super::is_false;
use crate::json::{null_is_default, word_or_words};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The `config` of an image and the `Config` of a container.
///
/// Serialises with the fields and in the order of Docker 28.5, so that images that we commit look like
/// Docker's. Lists are `None` where Docker writes `null`. Fields of other programs and later versions
/// are kept in [`other`](Self::other).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// Host name.
    #[serde(deserialize_with = "null_is_default")]
    pub hostname: String,
    /// Domain name.
    #[serde(deserialize_with = "null_is_default")]
    pub domainname: String,
    /// `user[:group]`, by name or number.
    #[serde(deserialize_with = "null_is_default")]
    pub user: String,
    /// Whether standard input is attached.
    #[serde(deserialize_with = "null_is_default")]
    pub attach_stdin: bool,
    /// Whether standard output is attached.
    #[serde(deserialize_with = "null_is_default")]
    pub attach_stdout: bool,
    /// Whether standard error is attached.
    #[serde(deserialize_with = "null_is_default")]
    pub attach_stderr: bool,
    /// `80/tcp` and the like.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// Whether there is a terminal.
    #[serde(deserialize_with = "null_is_default")]
    pub tty: bool,
    /// Whether standard input stays open.
    #[serde(deserialize_with = "null_is_default")]
    pub open_stdin: bool,
    /// Whether standard input closes when the first client leaves.
    #[serde(deserialize_with = "null_is_default")]
    pub stdin_once: bool,
    /// `NAME=value`, in order.
    pub env: Option<Vec<String>>,
    /// The command, or the arguments of the entry point.
    #[serde(deserialize_with = "word_or_words")]
    pub cmd: Option<Vec<String>>,
    /// How to find out whether the container works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Whether `cmd` is one escaped command line (Windows; BuildKit sets it elsewhere too).
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub args_escaped: bool,
    /// The image as it was named when the container was created.
    #[serde(deserialize_with = "null_is_default")]
    pub image: String,
    /// Paths of volumes.
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Where the command starts.
    #[serde(deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// The program that gets `cmd` as its arguments.
    #[serde(deserialize_with = "word_or_words")]
    pub entrypoint: Option<Vec<String>>,
    /// Whether there is no network.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub network_disabled: bool,
    /// The network card's address.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    /// Instructions for builds on top of this image.
    pub on_build: Option<Vec<String>>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that asks the command to end, by name or number.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Seconds until it is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The shell for the shell form of instructions.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Fields that are none of the above, as they were.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `{}`: the value of sets, which Go writes as maps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    /// Takes any value, `null` too.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Empty {})
    }
}

/// How to find out whether a container works. Times are nanoseconds; 0 stands for the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", command]`, or empty to inherit.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Until a check counts as failed.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// In which failures do not count yet.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two checks in that time.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row until the container counts as unhealthy.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_zero")]
    pub retries: i64,
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl ContainerConfig {
    /// Sets `name` in the environment, in the place of its old value or at the end.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value}");
        let env = self.env.get_or_insert_default();
        match env.iter_mut().find(|old| env_name(old) == name) {
            Some(old) => *old = line,
            None => env.push(line),
        }
    }

    /// Fills what is not set from `base`: the image's configuration into that of a new container, and the
    /// container's into that of a commit. The rules are Docker's; the ones that are not obvious:
    ///
    /// - a given entry point drops the base's command, since that was meant for the base's entry point;
    /// - environment, labels, ports and volumes are united, the given value winning;
    /// - a health check is united part by part.
    pub fn inherit(&mut self, base: &ContainerConfig) {
        fn fill(mine: &mut String, base: &str) {
            if mine.is_empty() {
                base.clone_into(mine);
            }
        }
        fill(&mut self.user, &base.user);
        fill(&mut self.working_dir, &base.working_dir);
        fill(&mut self.stop_signal, &base.stop_signal);
        for (port, empty) in &base.exposed_ports {
            self.exposed_ports.entry(port.clone()).or_insert(*empty);
        }
        self.inherit_env(base);
        let labels = self.labels.get_or_insert_default();
        for (key, value) in base.labels.iter().flatten() {
            labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if self.entrypoint.as_ref().is_none_or(Vec::is_empty) {
            if self.cmd.as_ref().is_none_or(Vec::is_empty) {
                self.cmd.clone_from(&base.cmd);
            }
            if self.entrypoint.is_none() {
                self.entrypoint.clone_from(&base.entrypoint);
            }
        }
        if let Some(theirs) = &base.healthcheck {
            self.healthcheck.get_or_insert_default().inherit(theirs);
        }
        match &mut self.volumes {
            Some(mine) if !mine.is_empty() => {
                mine.extend(base.volumes.iter().flatten().map(|(k, v)| (k.clone(), *v)))
            }
            mine => mine.clone_from(&base.volumes),
        }
    }

    fn inherit_env(&mut self, base: &ContainerConfig) {
        match &mut self.env {
            Some(mine) if !mine.is_empty() => {
                for line in base.env.iter().flatten() {
                    if !mine.iter().any(|given| env_name(given) == env_name(line)) {
                        mine.push(line.clone());
                    }
                }
            }
            mine => mine.clone_from(&base.env),
        }
    }
}

/// The name in `NAME=value`.
fn env_name(line: &str) -> &str {
    line.split('=').next().unwrap_or_default()
}

impl Healthcheck {
    fn inherit(&mut self, base: &Healthcheck) {
        if self.test.is_empty() {
            self.test.clone_from(&base.test);
        }
        for (mine, theirs) in [
            (&mut self.interval, base.interval),
            (&mut self.timeout, base.timeout),
            (&mut self.start_period, base.start_period),
            (&mut self.start_interval, base.start_interval),
            (&mut self.retries, base.retries),
        ] {
            if *mine == 0 {
                *mine = theirs;
            }
        }
    }
}
