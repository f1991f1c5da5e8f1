//! Creates containers.

use std::collections::BTreeMap;

use model::{ContainerId, Platform};

use crate::{Engine, Result};

/// What a container shall be; what is absent comes from the image.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// Its name; a random one if absent.
    pub name: Option<String>,
    /// The image, by name or ID.
    pub image: String,
    /// Command and arguments.
    pub cmd: Vec<String>,
    /// The image's entrypoint is replaced by this; an empty word removes it.
    pub entrypoint: Option<String>,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// Labels, added to the image's.
    pub labels: BTreeMap<String, String>,
    /// User, `name|uid[:group|gid]`.
    pub user: Option<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// Host name; the short ID if absent.
    pub hostname: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// Keeps standard input open.
    pub interactive: bool,
    /// Options of the driver for this container (`size=10G`).
    pub storage_opts: Vec<(String, String)>,
    /// The platform that the image must be for.
    pub platform: Option<Platform>,
}

/// A new container.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its ID.
    pub id: ContainerId,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates a container: its init layer, its writable layer, its documents. Durable when this returns.
    pub fn create(&self, options: &CreateOptions) -> Result<Created> {
        todo!()
    }
}
