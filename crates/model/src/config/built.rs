//! The configuration that a build writes, field for field as BuildKit does.

use super::{ContainerConfig, History, ImageConfig, Rootfs};
use crate::{DiffId, Error, Platform, Result, Timestamp, gojson};
use serde_json::{Map, Value};

/// What BuildKit writes as the comment of each step.
pub const BUILDKIT_COMMENT: &str = "buildkit.dockerfile.v0";

/// What BuildKit knows of a container's configuration, in its order. Whatever is empty is left out.
const FIELDS: [&str; 14] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "StopTimeout",
    "Shell",
];

/// A new image that a Dockerfile describes.
#[derive(Debug, Clone)]
pub struct Built<'a> {
    /// What containers of it start from. What BuildKit has no field for (host name, terminal…) is left out.
    pub config: &'a ContainerConfig,
    /// Its steps, the base image's first. A step without a time gets one, see [`author`](Self::author).
    pub history: &'a [History],
    /// Its layers, lowest first.
    pub layers: &'a [DiffId],
    /// `MAINTAINER`; empty for nobody.
    pub author: &'a str,
    /// When; the time of the last step if absent.
    pub created: Option<Timestamp>,
    /// What it runs on.
    pub platform: &'a Platform,
}

impl Built<'_> {
    /// Writes the configuration. Steps that made no layer get the time of the layer before them, and those before the
    /// first new layer its time, so that the same steps from the cache make the same image.
    ///
    /// # Errors
    /// [`Error::Json`], which nothing here can cause.
    pub fn author(&self) -> Result<ImageConfig> {
        let history = timed(self.history);
        let created = self.created.or_else(|| history.iter().rev().find_map(|item| item.created));
        let platform = self.platform;
        let rootfs = Rootfs { kind: "layers".to_owned(), diff_ids: self.layers.to_vec() };
        let members = [
            ("architecture", Value::from(platform.architecture.as_str())),
            ("author", Value::from(self.author)),
            ("config", fields(self.config)?),
            ("created", value_of(&created)?),
            ("history", value_of(&history)?),
            ("os", Value::from(platform.os.as_str())),
            ("os.features", value_of(&platform.os_features)?),
            ("os.version", value_of(&platform.os_version)?),
            ("rootfs", value_of(&rootfs)?),
            ("variant", value_of(&platform.variant)?),
        ];
        let always = |key: &str| matches!(key, "config" | "history");
        let document: Map<String, Value> = members
            .into_iter()
            .filter(|(key, value)| always(key) || !is_empty(value))
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        ImageConfig::parse(gojson::to_vec(&document)?)
    }
}

/// The configuration as BuildKit has it.
fn fields(config: &ContainerConfig) -> Result<Value> {
    let mut all = value_of(config)?;
    let mut kept = Map::new();
    for key in FIELDS {
        let value = all.get_mut(key).map(Value::take).unwrap_or_default();
        if !is_empty(&value) {
            kept.insert(key.to_owned(), value);
        }
    }
    Ok(Value::Object(kept))
}

/// What Go's `omitempty` leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// BuildKit's rule for steps without a time: that of the step before, and for those before the first new layer the
/// time of that layer.
fn timed(history: &[History]) -> Vec<History> {
    let mut history = history.to_vec();
    let Some(gap) = history.iter().position(|item| item.created.is_none()) else { return history };
    let (known, rest) = history.split_at_mut(gap);
    let after = rest.iter().find_map(|item| item.created);
    let mut time = after.or_else(|| known.iter().rev().find_map(|item| item.created));
    for item in rest {
        match item.created {
            Some(_) => time = item.created,
            None => item.created = time,
        }
    }
    history
}

fn value_of<T: serde::Serialize + ?Sized>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::json("image configuration", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(seconds: Option<i64>) -> History {
        History { created: seconds.map(|s| Timestamp::from_unix(s, 0)), ..History::default() }
    }

    #[test]
    fn steps_without_a_time_get_that_of_a_layer() {
        let times = |steps: &[Option<i64>]| -> Vec<Option<i64>> {
            let steps: Vec<History> = steps.iter().map(|s| step(*s)).collect();
            timed(&steps).iter().map(|item| item.created.map(|time| time.unix_seconds())).collect()
        };
        // Before the first new layer, its time; not that of the base image.
        assert_eq!(times(&[Some(1), None, Some(9), None]), [Some(1), Some(9), Some(9), Some(9)]);
        // No new layer at all: the base image's.
        assert_eq!(times(&[Some(1), Some(2), None, None]), [Some(1), Some(2), Some(2), Some(2)]);
        assert_eq!(times(&[None, None]), [None, None]);
        assert_eq!(times(&[None, Some(4), None, Some(5), None]), [4, 4, 4, 5, 5].map(Some));
    }

    #[test]
    fn the_document_has_buildkits_fields_in_its_order() {
        let config = ContainerConfig {
            hostname: "left out".into(),
            env: Some(vec!["A=<b>".into()]),
            cmd: Some(vec!["sh".into()]),
            working_dir: "/".into(),
            args_escaped: true,
            ..ContainerConfig::default()
        };
        let built = Built {
            config: &config,
            history: &[History {
                created_by: "CMD [\"sh\"]".into(),
                comment: BUILDKIT_COMMENT.into(),
                empty_layer: true,
                ..step(Some(0))
            }],
            layers: &[],
            author: "",
            created: None,
            platform: &Platform::new("linux", "amd64", None),
        };
        let text = String::from_utf8(built.author().unwrap().bytes().to_vec()).unwrap();
        assert_eq!(
            text,
            "{\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=\\u003cb\\u003e\"],\"Cmd\":[\"sh\"],\"WorkingDir\":\"/\",\
             \"ArgsEscaped\":true},\"created\":\"1970-01-01T00:00:00Z\",\"history\":[{\"created\":\
             \"1970-01-01T00:00:00Z\",\"created_by\":\"CMD [\\\"sh\\\"]\",\"comment\":\"buildkit.dockerfile.v0\",\
             \"empty_layer\":true}],\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\"}}"
        );
    }
}
