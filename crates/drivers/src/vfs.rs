//! The driver `vfs`: each layer is a whole copy of the tree, `vfs/dir/<id>` (moby.md §9.2). It works on every file
//! system and without the right to mount, and takes space and time for each copy; where the file system can share
//! blocks, little of either.
//!
//! Unlike Docker's it keeps all extended attributes, and sockets as sockets. Inspect shows no data for it.
//!
//! A container's size is limited by a project quota on its directory, where the file system has them. The copy of the
//! image counts, as Docker's does.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::OnceLock;

use model::CacheId;
use sys::{OwnedFd, Root, dir};

use crate::config::Config;
use crate::driver::{Capabilities, LayerKind};
use crate::quota::Limits;
use crate::whole::{Home, Place, Shelf, Snapshots, Source, Whole, copy, layer_name};
use crate::{Error, Prerequisite, Result, Stage, Unmet};

const NAME: &str = "vfs";

/// Docker's words for a size limit on a file system without project quotas.
const NO_QUOTA: &str = "Filesystem does not support, or has not enabled quotas";

/// The only value of the option `vfs.xattrs`.
const LOSE_XATTRS: &str = "i_want_broken_containers";

/// Layers as copies. Its format is described at the top of the source file.
pub type Vfs = Whole<Copies>;

/// Trees as copies of each other.
#[derive(Debug)]
pub struct Copies {
    home: Home,
    /// `vfs/dir`, where the layers are.
    layers: Shelf,
    settings: Settings,
    user_namespace: bool,
    limits: OnceLock<Result<Limits, Unmet>>,
}

/// The options of the driver.
#[derive(Debug, Default)]
struct Settings {
    /// The limit of containers that have none of their own, in bytes; 0 for none.
    size: u64,
    /// Attributes that the file system does not take are left out of copies.
    lose_xattrs: bool,
}

impl Settings {
    /// Unlike other drivers', keys are not the same in capitals, as with Docker.
    fn read(config: &Config) -> Result<Self> {
        let mut settings = Self::default();
        for option in config.options()? {
            match (option.key.as_str(), option.value.as_str()) {
                ("size", _) => settings.size = option.size()?,
                ("vfs.xattrs", LOSE_XATTRS) => settings.lose_xattrs = true,
                ("vfs.xattrs", other) => {
                    let text = format!("vfs.xattrs={other}: the only value is {LOSE_XATTRS}");
                    return Err(Error::Option(text));
                }
                (key, _) => return Err(Error::Option(format!("unknown option {key} for vfs"))),
            }
        }
        Ok(settings)
    }
}

impl Vfs {
    /// Opens the driver's home in the data root, and makes it if it is not there (0710, as is `dir/`). Takes the options
    /// `size` and `vfs.xattrs`.
    pub fn open(config: &Config) -> Result<Self> {
        let settings = Settings::read(config)?;
        let fd = dir::ensure(dir::open_path(&config.root)?, OsStr::new(NAME), 0o710)?;
        let home = Home { fd, path: config.root.join(NAME) };
        let layers = Shelf::open(&home, "dir")?;
        let user_namespace = config.user_namespace;
        let copies = Copies { home, layers, settings, user_namespace, limits: OnceLock::new() };
        if copies.settings.size > 0
            && let Err(unmet) = copies.limits()?
        {
            return Err(Error::Option(format!("{NO_QUOTA}: {unmet}")));
        }
        Self::new(copies, user_namespace).with_owners_of(config)
    }
}

impl Copies {
    /// The quotas of the home's file system, or why there are none.
    fn limits(&self) -> Result<Result<&Limits, &Unmet>> {
        let limits = match self.limits.get() {
            Some(limits) => limits,
            None => {
                let found = Limits::of(&self.home.fd, &self.home.path, self.user_namespace)?;
                let found = found.and_then(|limits| if limits.inherits { Err(owned()) } else { Ok(limits) });
                self.limits.get_or_init(|| found)
            }
        };
        Ok(limits.as_ref())
    }

    /// Limits the empty directory of a new layer.
    fn limit(&self, dir: &OwnedFd, kind: LayerKind) -> Result<()> {
        let size = match kind {
            LayerKind::ReadOnly => None,
            LayerKind::Writable { size } => size.or(Some(self.settings.size).filter(|size| *size > 0)),
        };
        let Some(size) = size else { return Ok(()) };
        match self.limits()? {
            Err(unmet) => {
                Err(Error::NoQuota { driver: NAME, what: NO_QUOTA, unmet: Box::new(unmet.clone()) })
            }
            Ok(limits) if size > 0 => limits.limit(dir, size).map(drop),
            Ok(_) => Ok(()),
        }
    }
}

/// What is in the home inherits its project: no directory of another project can be renamed into it.
fn owned() -> Unmet {
    Unmet::new(
        Prerequisite::Other("a data root that hands no project of its own on to what is made in it"),
        "one that does (its attribute P)",
        "put the data root elsewhere (--root), or take that away with 'chattr -R -P'",
    )
}

impl Snapshots for Copies {
    const NAME: &'static str = NAME;

    fn home(&self) -> &Home {
        &self.home
    }

    fn directory(&self, id: &CacheId) -> PathBuf {
        self.layers.path().join(id.as_str())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            whole_trees: true,
            independent_layers: false,
            page_cache_sharing: false,
            mounts: false,
            read_only_views: false,
            quota: self.limits().is_ok_and(|limits| limits.is_ok()),
        }
    }

    /// None, as Docker; but for an option that is better seen.
    fn status(&self) -> Result<Vec<(String, String)>> {
        let xattrs = ("Extended file attributes".to_owned(), "best-effort".to_owned());
        Ok(if self.settings.lose_xattrs { vec![xattrs] } else { Vec::new() })
    }

    fn make(&self, stage: &Stage, id: &CacheId, from: Option<&Source<'_>>, kind: LayerKind) -> Result<()> {
        let name = layer_name(id)?;
        let to = Root::from_fd(dir::ensure(stage, name, 0o755)?, stage.path().join(name));
        self.limit(&dir::open(stage, name)?, kind)?;
        match from {
            Some(from) => Ok(copy::tree(&self.layers.source(from)?, &to, self.settings.lose_xattrs)?),
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
