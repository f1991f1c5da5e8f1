//! The image configuration: the document that an image is named after.
//!
//! An image's id is the digest of its configuration's bytes, so the bytes are what is kept; [`ImageView`]
//! is a reading of them, and fields that it does not know survive in the bytes. Docker's form is a superset
//! of OCI's (moby.md §6.1).

mod author;
mod built;
mod container;
mod host;

pub use author::{Commit, Import};
pub use built::{BUILDKIT_COMMENT, Built};
pub use container::{ContainerConfig, Empty, Healthcheck};
pub use host::{Device, HostConfig, LogConfig, MASKED_PATHS, READ_ONLY_PATHS, RestartPolicy, Ulimit};

use crate::json::{self, null_is_default};
use crate::{ChainId, DiffId, Error, ImageId, Platform, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// An image configuration: its bytes, the id that they give, and what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    bytes: Vec<u8>,
    id: ImageId,
    view: ImageView,
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Json`] if the bytes are no configuration, [`Error::NoRootfs`] if they name no layers at all.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let view: ImageView = json::parse_object("image configuration", &bytes)?;
        if view.rootfs.is_none() {
            return Err(Error::NoRootfs);
        }
        Ok(ImageConfig { id: ImageId::of(&bytes), bytes, view })
    }

    /// Checks what Docker checks before it takes a new image into its store, and only then: history must
    /// not tell of more layers than there are.
    ///
    /// # Errors
    /// [`Error::HistoryTooLong`].
    pub fn validate(&self) -> Result<()> {
        let layers_in_history = self.view.history.iter().filter(|item| !item.empty_layer).count();
        if layers_in_history > self.diff_ids().len() { Err(Error::HistoryTooLong) } else { Ok(()) }
    }

    /// The image's id.
    pub fn id(&self) -> ImageId {
        self.id
    }

    /// The document as it was read or authored, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the document says.
    pub fn view(&self) -> &ImageView {
        &self.view
    }

    /// The layers, lowest first.
    pub fn diff_ids(&self) -> &[DiffId] {
        self.view.rootfs.as_ref().map_or(&[], |rootfs| &rootfs.diff_ids)
    }

    /// The chain of all layers, `None` for an image without any.
    pub fn chain_id(&self) -> Option<ChainId> {
        ChainId::of(self.diff_ids())
    }

    /// History, oldest first, each item with the layer that it made, if it made one. Where history tells
    /// of too few layers the last ones are missing.
    pub fn history_with_layers(&self) -> impl Iterator<Item = (&History, Option<&DiffId>)> {
        let mut layers = self.diff_ids().iter();
        self.view.history.iter().map(move |item| (item, if item.empty_layer { None } else { layers.next() }))
    }

    /// What the image runs on.
    pub fn platform(&self) -> Platform {
        let variant = Some(&*self.view.variant).filter(|variant| !variant.is_empty());
        Platform {
            os_version: Some(self.view.os_version.clone()).filter(|version| !version.is_empty()),
            os_features: self.view.os_features.clone(),
            ..Platform::new(&self.view.os, &self.view.architecture, variant)
        }
    }
}

/// What an image configuration says. Absent and `null` texts are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ImageView {
    /// When the image was made; absent in some reproducible images.
    pub created: Option<Timestamp>,
    /// Who made it.
    #[serde(deserialize_with = "null_is_default")]
    pub author: String,
    /// Processor, in Go's words.
    #[serde(deserialize_with = "null_is_default")]
    pub architecture: String,
    /// Generation of the processor.
    #[serde(deserialize_with = "null_is_default")]
    pub variant: String,
    /// Operating system.
    #[serde(deserialize_with = "null_is_default")]
    pub os: String,
    /// Version of the operating system (Windows).
    #[serde(rename = "os.version", deserialize_with = "null_is_default")]
    pub os_version: String,
    /// Features of the operating system (Windows).
    #[serde(rename = "os.features", deserialize_with = "null_is_default")]
    pub os_features: Vec<String>,
    /// What containers of this image start from.
    pub config: Option<ContainerConfig>,
    /// The configuration of the container that the image was committed from. Docker up to 28.
    pub container_config: Option<ContainerConfig>,
    /// The version of Docker that made the image. Docker up to 28.
    #[serde(deserialize_with = "null_is_default")]
    pub docker_version: String,
    /// The container that the image was committed from. Docker up to 28.
    #[serde(deserialize_with = "null_is_default")]
    pub container: String,
    /// The message of an import.
    #[serde(deserialize_with = "null_is_default")]
    pub comment: String,
    /// The steps that made the image, oldest first.
    #[serde(deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    /// The layers.
    pub rootfs: Option<Rootfs>,
}

/// The layers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rootfs {
    /// Always `layers`.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub kind: String,
    /// The layers, lowest first.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub diff_ids: Vec<DiffId>,
}

/// One step in the making of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// The command.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Who.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// The message of a commit.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether the step changed no files, and so made no layer.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub empty_layer: bool,
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests;
