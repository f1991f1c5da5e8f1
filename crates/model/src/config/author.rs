//! The configurations that `commit` and `import` write, field for field as Docker 28.5 does.

use super::{ContainerConfig, History, ImageConfig, Rootfs};
use crate::{ContainerId, DiffId, Error, Platform, Result, Timestamp, gojson, json};
use serde_json::{Map, Value};

/// A new image made from a container: its image's layers, and on top the container's changes.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// The image of the container; `None` if it was created from nothing.
    pub parent: Option<&'a ImageConfig>,
    /// The new layer. [`DiffId::EMPTY`] adds none.
    pub layer: DiffId,
    /// The container.
    pub container: &'a ContainerId,
    /// The container's own configuration.
    pub container_config: &'a ContainerConfig,
    /// The configuration that the new image gets.
    pub config: &'a ContainerConfig,
    /// Who; empty for nobody.
    pub author: &'a str,
    /// The message; empty for none.
    pub comment: &'a str,
    /// When.
    pub created: Timestamp,
    /// The program that does it, as Docker writes its version; empty for none.
    pub docker_version: &'a str,
    /// What the container runs on, for containers without an image.
    pub platform: &'a Platform,
}

impl Commit<'_> {
    /// Writes the configuration.
    ///
    /// # Errors
    /// [`Error::Json`], which nothing here can cause.
    pub fn author(&self) -> Result<ImageConfig> {
        let mut document = Map::new();
        let mut history = Vec::new();
        let mut diff_ids = Vec::new();
        if let Some(parent) = self.parent {
            let old: Map<String, Value> = json::parse_object("image configuration", parent.bytes())?;
            for key in ["architecture", "variant", "os", "os.version", "os.features"] {
                document.extend(
                    old.get(key).filter(|value| !value.is_null()).map(|v| (key.to_owned(), v.clone())),
                );
            }
            // As it stands, with whatever fields other programs put there.
            history = old.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
            diff_ids = parent.diff_ids().to_vec();
        } else {
            put_platform(&mut document, self.platform);
        }
        let empty_layer = self.layer == DiffId::EMPTY;
        if !empty_layer {
            diff_ids.push(self.layer);
        }
        let item = History {
            created: Some(self.created),
            created_by: self.container_config.cmd.as_deref().unwrap_or_default().join(" "),
            author: self.author.to_owned(),
            comment: self.comment.to_owned(),
            empty_layer,
        };
        history.push(value_of(&item)?);
        put_text(&mut document, "author", self.author);
        put_text(&mut document, "container", &self.container.hex());
        document.insert("container_config".to_owned(), value_of(self.container_config)?);
        put_common(&mut document, self.created, self.docker_version, self.config, history, &diff_ids)?;
        finish(document)
    }
}

/// A new image made from an archive of one root file system.
#[derive(Debug, Clone)]
pub struct Import<'a> {
    /// The only layer.
    pub layer: DiffId,
    /// The configuration that the image gets.
    pub config: &'a ContainerConfig,
    /// The message; Docker's own is `Imported from -`.
    pub comment: &'a str,
    /// When.
    pub created: Timestamp,
    /// The program that does it, as Docker writes its version; empty for none.
    pub docker_version: &'a str,
    /// What the image runs on.
    pub platform: &'a Platform,
}

impl Import<'_> {
    /// Writes the configuration.
    ///
    /// # Errors
    /// [`Error::Json`], which nothing here can cause.
    pub fn author(&self) -> Result<ImageConfig> {
        let mut document = Map::new();
        put_platform(&mut document, self.platform);
        put_text(&mut document, "comment", self.comment);
        document.insert("container_config".to_owned(), value_of(&ContainerConfig::default())?);
        let item =
            History { created: Some(self.created), comment: self.comment.to_owned(), ..History::default() };
        let history = vec![value_of(&item)?];
        put_common(&mut document, self.created, self.docker_version, self.config, history, &[self.layer])?;
        finish(document)
    }
}

fn put_common(
    document: &mut Map<String, Value>,
    created: Timestamp,
    docker_version: &str,
    config: &ContainerConfig,
    history: Vec<Value>,
    diff_ids: &[DiffId],
) -> Result<()> {
    document.insert("created".to_owned(), value_of(&created)?);
    put_text(document, "docker_version", docker_version);
    document.insert("config".to_owned(), value_of(config)?);
    document.insert("history".to_owned(), Value::Array(history));
    let rootfs = Rootfs { kind: "layers".to_owned(), diff_ids: diff_ids.to_vec() };
    document.insert("rootfs".to_owned(), value_of(&rootfs)?);
    Ok(())
}

fn put_platform(document: &mut Map<String, Value>, platform: &Platform) {
    put_text(document, "architecture", &platform.architecture);
    put_text(document, "variant", platform.variant.as_deref().unwrap_or_default());
    put_text(document, "os", &platform.os);
}

/// Go leaves out texts that are empty.
fn put_text(document: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        document.insert(key.to_owned(), Value::from(text));
    }
}

fn value_of<T: serde::Serialize + ?Sized>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::json("image configuration", &error))
}

/// Docker sorts the keys of the outermost level, and only those.
fn finish(mut document: Map<String, Value>) -> Result<ImageConfig> {
    document.sort_keys();
    ImageConfig::parse(gojson::to_vec(&document)?)
}
