//! What a tool says about a store, to be compared with what the other one says.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// layercake or docker: the same commands, and the same answers.
pub trait Tool {
    fn name(&self) -> &'static str;

    /// Runs a command that must succeed; returns what it printed.
    fn run(&self, args: &[&str]) -> String;

    fn lines(&self, args: &[&str]) -> Vec<String> {
        self.run(args).lines().map(str::to_owned).collect()
    }

    /// `inspect` of one object.
    fn inspect(&self, kind: &str, name: &str) -> Value {
        let documents: Value = serde_json::from_str(&self.run(&[kind, "inspect", name])).unwrap();
        documents[0].clone()
    }
}

/// Everything a tool says about the images and containers of a store, in words that do not depend on the moment.
#[derive(Debug)]
pub struct Said {
    by: &'static str,
    images: Vec<String>,
    containers: Vec<String>,
    /// By ID.
    image: BTreeMap<String, Image>,
    container: BTreeMap<String, Container>,
}

#[derive(Debug)]
struct Image {
    document: Value,
    history: Vec<String>,
}

#[derive(Debug)]
struct Container {
    document: Value,
    diff: Vec<String>,
}

const IMAGES: &str = "{{.ID}} {{.Repository}}:{{.Tag}} {{.Digest}} {{.Size}} {{.CreatedAt}}";
const CONTAINERS: &str =
    "{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Size}} {{.LocalVolumes}} {{.CreatedAt}}";
const HISTORY: &str = "{{.ID}} {{.CreatedAt}} {{.Size}} {{.Comment}} {{.CreatedBy}}";

/// The parts of an image's document that all versions of Docker have, with paths in it separated by dots.
const IMAGE: &[&str] = &[
    "Id",
    "RepoTags",
    "RepoDigests",
    "Parent",
    "Comment",
    "Created",
    "Author",
    "Config.Cmd",
    "Config.Entrypoint",
    "Config.Env",
    "Config.ExposedPorts",
    "Config.Labels",
    "Config.StopSignal",
    "Config.User",
    "Config.Volumes",
    "Config.WorkingDir",
    "Architecture",
    "Os",
    "Size",
    "GraphDriver.Name",
    "GraphDriver.Data.LowerDir",
    "GraphDriver.Data.MergedDir",
    "GraphDriver.Data.UpperDir",
    "GraphDriver.Data.WorkDir",
    "RootFS",
];

/// The same of a container's document.
const CONTAINER: &[&str] = &[
    "Id",
    "Created",
    "Path",
    "Args",
    "State.Status",
    "State.ExitCode",
    "State.Error",
    "Image",
    "Name",
    "RestartCount",
    "Driver",
    "Platform",
    "GraphDriver.Name",
    "GraphDriver.Data.LowerDir",
    "GraphDriver.Data.MergedDir",
    "GraphDriver.Data.UpperDir",
    "GraphDriver.Data.WorkDir",
    "Mounts",
    "Config.Cmd",
    "Config.Entrypoint",
    "Config.Env",
    "Config.Hostname",
    "Config.Image",
    "Config.Labels",
    "Config.User",
    "Config.Volumes",
    "Config.WorkingDir",
    "HostConfig.NetworkMode",
    "HostConfig.LogConfig",
    "HostConfig.RestartPolicy",
];

/// Asks a tool about everything.
pub fn ask(tool: &impl Tool) -> Said {
    let sorted = |args: &[&str]| {
        let mut lines = tool.lines(args);
        lines.sort();
        lines
    };
    let ids = |args: &[&str]| {
        let mut ids = sorted(args);
        ids.dedup();
        ids
    };
    let image = |id: String| {
        let image = Image {
            document: pick(&tool.inspect("image", &id), IMAGE),
            history: tool.lines(&["history", "--no-trunc", "--human=false", "--format", HISTORY, &id]),
        };
        (id, image)
    };
    let container = |id: String| {
        let container = Container {
            document: pick(&tool.inspect("container", &id), CONTAINER),
            diff: sorted(&["diff", &id]),
        };
        (id, container)
    };
    Said {
        by: tool.name(),
        images: sorted(&["images", "--all", "--no-trunc", "--digests", "--format", IMAGES]),
        containers: sorted(&["ps", "--all", "--no-trunc", "--size", "--format", CONTAINERS]),
        image: ids(&["images", "--all", "--quiet", "--no-trunc"]).into_iter().map(image).collect(),
        container: ids(&["ps", "--all", "--quiet", "--no-trunc"]).into_iter().map(container).collect(),
    }
}

impl Said {
    /// Asserts that another tool says the same.
    pub fn assert_agreed_by(&self, other: &impl Tool) {
        let theirs = ask(other);
        let who = format!("{} (left) and {} (right)", self.by, theirs.by);
        assert_eq!(self.images, theirs.images, "images: {who}");
        assert_eq!(self.containers, theirs.containers, "ps: {who}");
        for (id, image) in &self.image {
            assert_eq!(image.history, theirs.image[id].history, "history of {id}: {who}");
            assert_eq!(text(&image.document), text(&theirs.image[id].document), "inspect {id}: {who}");
        }
        for (id, container) in &self.container {
            assert_eq!(container.diff, theirs.container[id].diff, "diff of {id}: {who}");
            assert_eq!(
                text(&container.document),
                text(&theirs.container[id].document),
                "inspect {id}: {who}"
            );
        }
    }
}

fn text(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap()
}

/// The parts of a document under their paths. What is empty or absent is left out: versions differ in that. Volumes are
/// sorted: Docker's order is another one every time.
fn pick(document: &Value, paths: &[&str]) -> Value {
    let mut picked = Map::new();
    for path in paths {
        let value = path.split('.').fold(document, |value, key| &value[key]);
        let empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(items) => items.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !empty {
            picked.insert((*path).to_owned(), value.clone());
        }
        if let (&"Mounts", Some(Value::Array(mounts))) = (path, picked.get_mut(*path)) {
            mounts.sort_by_key(Value::to_string);
        }
    }
    Value::Object(picked)
}
