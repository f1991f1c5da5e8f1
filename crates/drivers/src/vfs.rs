//! The driver `vfs`: each layer is a whole copy of the tree, `vfs/dir/<id>` (moby.md §9.2). It works on every file
//! system and without the right to mount, and takes space and time for each copy; where the file system can share
//! blocks, little of either.
//!
//! Unlike Docker's it keeps all extended attributes, and sockets as sockets. Inspect shows no data for it, `info` no
//! lines, as Docker's.

use std::ffi::OsStr;

use model::CacheId;
use sys::{Root, dir};

use crate::config::Config;
use crate::driver::{Capabilities, LayerKind};
use crate::whole::{Home, Place, Shelf, Snapshots, Source, Whole, copy, layer_name};
use crate::{Error, Result, Stage};

const NAME: &str = "vfs";

/// Docker's words for a size limit on a file system without project quotas.
const NO_QUOTA: &str = "Filesystem does not support, or has not enabled quotas";

/// Layers as copies. Its format is described at the top of the source file.
pub type Vfs = Whole<Copies>;

/// Trees as copies of each other.
#[derive(Debug)]
pub struct Copies {
    home: Home,
    /// `vfs/dir`, where the layers are.
    layers: Shelf,
}

impl Vfs {
    /// Opens the driver's home in the data root, and makes it if it is not there (0710, as is `dir/`).
    pub fn open(config: &Config) -> Result<Self> {
        for option in config.options()? {
            let text = match option.key.as_str() {
                "size" if option.size()? == 0 => continue,
                "size" => NO_QUOTA.to_owned(),
                key => format!("unknown option {key} for vfs"),
            };
            return Err(Error::Option(text));
        }
        let fd = dir::ensure(dir::open_path(&config.root)?, OsStr::new(NAME), 0o710)?;
        let home = Home { fd, path: config.root.join(NAME) };
        let layers = Shelf::open(&home, "dir")?;
        Ok(Self::new(Copies { home, layers }, config.user_namespace))
    }
}

impl Snapshots for Copies {
    const NAME: &'static str = NAME;

    fn home(&self) -> &Home {
        &self.home
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            whole_trees: true,
            independent_layers: false,
            page_cache_sharing: false,
            mounts: false,
            read_only_views: false,
            quota: false,
        }
    }

    fn make(&self, stage: &Stage, id: &CacheId, from: Option<&Source<'_>>, kind: LayerKind) -> Result<()> {
        if let LayerKind::Writable { size: Some(_) } = kind {
            return Err(Error::Unsupported { driver: NAME, what: NO_QUOTA });
        }
        let name = layer_name(id)?;
        let to = Root::from_fd(dir::ensure(stage, name, 0o755)?, stage.path().join(name));
        match from {
            Some(from) => Ok(copy::tree(&self.layers.source(from)?, &to)?),
            None => Ok(()),
        }
    }

    fn root(&self, place: Place<'_>, id: &CacheId) -> Result<Option<Root>> {
        self.layers.root(place, id)
    }

    fn publish(&self, stage: &Stage, id: &CacheId) -> Result<()> {
        self.layers.publish(stage, id)
    }

    fn list(&self) -> Result<Vec<CacheId>> {
        self.layers.list()
    }

    fn discard(&self, id: &CacheId) -> Result<()> {
        self.layers.discard(&self.home, id)
    }

    fn sync(&self) -> Result<()> {
        self.layers.sync()
    }
}
