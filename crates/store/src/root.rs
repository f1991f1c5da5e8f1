//! The data root: its directories, and whether they may be changed.

use std::path::{Path, PathBuf};

use sys::OwnedFd;

use crate::backrefs::Backrefs;
use crate::error::{Error, Result};
use crate::small::{find_dir, names_in, os};
use crate::{
    Blobs, BuildCache, Containers, Distribution, Downloads, Images, Layers, Mounts, References, Running,
    Sizes, Volumes,
};
use crate::{daemon, owner, references};

/// Whether a data root may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is created, locked or changed, whoever else works on it. What is missing counts as empty.
    Read,
    /// What is missing is created. Refused while a Docker daemon runs on it.
    Write,
}

/// The private directory of layercake in the data root. Docker ignores it.
pub(crate) const PRIVATE: &str = "layercake";

/// The directories of the layout with their modes (moby.md §2), parents first; `*` stands for the driver's name. The
/// driver's own directory is the driver's to make.
const LAYOUT: [(&str, u32); 19] = [
    ("containers", 0o710),
    ("image", 0o700),
    ("image/*", 0o700),
    ("image/*/distribution", 0o700),
    ("image/*/imagedb", 0o700),
    ("image/*/imagedb/content", 0o700),
    ("image/*/imagedb/content/sha256", 0o700),
    ("image/*/imagedb/metadata", 0o700),
    ("image/*/imagedb/metadata/sha256", 0o700),
    ("image/*/layerdb", 0o700),
    ("image/*/layerdb/mounts", 0o755),
    ("image/*/layerdb/sha256", 0o755),
    ("image/*/layerdb/tmp", 0o755),
    ("layercake", 0o700),
    ("layercake/index", 0o700),
    ("layercake/sizes", 0o700),
    ("layercake/work", 0o700),
    ("tmp", 0o700),
    ("volumes", 0o701),
];

/// An open data root, for one storage driver.
#[derive(Debug)]
pub struct DataRoot {
    path: PathBuf,
    driver: String,
    mode: Mode,
    pub(crate) container_root: Option<(u32, u32)>,
    pub(crate) dirs: Dirs,
}

/// The directories that are worked in. In a root that is open for writing all of them are there.
#[derive(Debug)]
pub(crate) struct Dirs {
    pub(crate) root: OwnedFd,
    pub(crate) private: Option<OwnedFd>,
    pub(crate) index: Option<OwnedFd>,
    pub(crate) sizes: Option<OwnedFd>,
    pub(crate) work: Option<OwnedFd>,
    pub(crate) containers: Option<OwnedFd>,
    pub(crate) image: Option<OwnedFd>,
    pub(crate) content: Option<OwnedFd>,
    pub(crate) metadata: Option<OwnedFd>,
    pub(crate) layers: Option<OwnedFd>,
    pub(crate) mounts: Option<OwnedFd>,
    pub(crate) layer_tmp: Option<OwnedFd>,
    pub(crate) distribution: Option<OwnedFd>,
    pub(crate) volumes: Option<OwnedFd>,
}

impl DataRoot {
    /// Opens the data root at `path` for the storage driver `driver`.
    ///
    /// # Errors
    /// [`Error::NoDataRoot`] if there is no such directory, [`Error::Ownership`] if it is somebody else's, and for
    /// [`Mode::Write`] [`Error::DaemonRunning`].
    pub fn open(path: &Path, driver: &str, mode: Mode) -> Result<Self> {
        let name_is_plain = driver.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if driver.is_empty() || !name_is_plain {
            return Err(Error::DriverName(driver.to_owned()));
        }
        let root = match sys::dir::open_path(path) {
            Err(e) if e.is_not_found() => return Err(Error::NoDataRoot(path.to_owned())),
            other => other?,
        };
        owner::check(path, &root, find_dir(&root, PRIVATE)?)?;
        if mode == Mode::Write {
            daemon::refuse_if_live(path)?;
        }
        let mut dirs = Dirs::open(root, driver)?;
        if mode == Mode::Write && !dirs.are_complete() {
            make_layout(&dirs.root, driver)?;
            dirs = Dirs::open(dirs.root, driver)?;
        }
        let root =
            Self { path: path.to_owned(), driver: driver.to_owned(), mode, container_root: None, dirs };
        if mode == Mode::Write {
            root.complete()?;
        }
        Ok(root)
    }

    /// The same for containers whose user and group 0 are these of the host (moby.md §2): what containers have to pass
    /// through gets that group, what they may write to belongs to both.
    ///
    /// # Errors
    /// System calls.
    pub fn for_containers_of(mut self, root: (u32, u32)) -> Result<Self> {
        self.container_root = Some(root);
        if self.mode == Mode::Write {
            for dir in std::iter::once(&self.dirs.root).chain(&self.dirs.containers) {
                self.let_pass(dir)?;
            }
        }
        Ok(self)
    }

    /// Lets group 0 of containers pass through a directory.
    pub(crate) fn let_pass(&self, dir: &OwnedFd) -> Result<()> {
        let Some((_, gid)) = self.container_root else { return Ok(()) };
        let meta = sys::meta::of_fd(dir)?;
        if meta.gid != gid {
            sys::meta::chown_fd(dir, meta.uid, gid)?;
        }
        Ok(())
    }

    /// Creates the files that every data root has.
    fn complete(&self) -> Result<()> {
        let marked = || owner::is_marked(self.writable(&self.dirs.private)?);
        let named = || references::exists(self.writable(&self.dirs.image)?);
        if marked()? && named()? {
            return Ok(());
        }
        // Others may open the same new root.
        let lock = self.commit()?;
        if !marked()? {
            owner::mark(&lock)?;
        }
        if !named()? {
            references::create(&lock)?;
        }
        Ok(())
    }

    /// As [`DataRoot::open`] for writing, and makes the directory (0710) and those above it first if they are not
    /// there. What it makes becomes durable with the first commit.
    ///
    /// # Errors
    /// As [`DataRoot::open`].
    pub fn create(path: &Path, driver: &str) -> Result<Self> {
        Self::make(path)?;
        Self::open(path, driver, Mode::Write)
    }

    /// Makes the directory of a data root (0710) and those above it, if they are not there: for callers that look
    /// into the root before they know the driver.
    ///
    /// # Errors
    /// System calls.
    pub fn make(path: &Path) -> Result<()> {
        make_directories(path, 0o710).map(drop)
    }

    /// The drivers that have an `image/<driver>` directory in the data root at `path`, sorted: what was used here
    /// before. Empty if there is no data root.
    ///
    /// # Errors
    /// System calls other than for missing directories.
    pub fn drivers(path: &Path) -> Result<Vec<String>> {
        let image = crate::small::absent(sys::dir::open_path(&path.join("image")))?;
        names_in(image.as_ref())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The storage driver that it was opened for.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Whether it may be changed.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The root directory itself.
    pub fn fd(&self) -> &OwnedFd {
        &self.dirs.root
    }

    /// Image layers.
    pub fn layers(&self) -> Layers<'_> {
        Layers { root: self }
    }

    /// Writable layers of containers.
    pub fn mounts(&self) -> Mounts<'_> {
        Mounts { root: self }
    }

    /// Images.
    pub fn images(&self) -> Images<'_> {
        Images { root: self }
    }

    /// Names of images.
    pub fn references(&self) -> References<'_> {
        References { root: self }
    }

    /// Which blob holds which layer.
    pub fn distribution(&self) -> Distribution<'_> {
        Distribution { root: self }
    }

    /// Containers.
    pub fn containers(&self) -> Containers<'_> {
        Containers { root: self }
    }

    /// Volumes.
    pub fn volumes(&self) -> Volumes<'_> {
        Volumes { root: self }
    }

    /// Containers that run.
    pub fn running(&self) -> Running<'_> {
        Running { root: self }
    }

    /// Who uses what.
    pub fn backrefs(&self) -> Backrefs<'_> {
        Backrefs { root: self }
    }

    /// Remembered sizes.
    pub fn sizes(&self) -> Sizes<'_> {
        Sizes { root: self }
    }

    /// Blobs on their way from a registry.
    pub fn downloads(&self) -> Downloads<'_> {
        Downloads { root: self }
    }

    /// Kept blobs.
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs { root: self }
    }

    /// What builds remember.
    pub fn build_cache(&self) -> BuildCache<'_> {
        BuildCache { root: self }
    }

    /// Which daemon works on this data root at the moment, if any.
    ///
    /// # Errors
    /// System calls.
    pub fn live_daemon(&self) -> Result<Option<daemon::Holder>> {
        daemon::holder(&self.path)
    }

    /// Makes everything on the data root's file system durable, data and names: one call for a whole image.
    ///
    /// # Errors
    /// System calls.
    pub fn sync(&self) -> Result<()> {
        Ok(sys::dir::sync_fs(&self.dirs.root)?)
    }

    /// A directory that exists whenever the root is open for writing.
    pub(crate) fn writable<'a>(&self, dir: &'a Option<OwnedFd>) -> Result<&'a OwnedFd> {
        match (self.mode, dir) {
            (Mode::Write, Some(fd)) => Ok(fd),
            _ => Err(Error::ReadOnly(self.path.clone())),
        }
    }

    /// A path below `image/<driver>`, relative to the root, for findings.
    pub(crate) fn image_path(&self, below: &str) -> PathBuf {
        Path::new("image").join(&self.driver).join(below)
    }
}

impl Dirs {
    fn open(root: OwnedFd, driver: &str) -> Result<Self> {
        let walk = |path: &str| -> Result<Option<OwnedFd>> {
            let mut at: Option<OwnedFd> = None;
            for name in path.split('/') {
                let name = if name == "*" { driver } else { name };
                at = match &at {
                    None => find_dir(&root, name)?,
                    Some(above) => find_dir(above, name)?,
                };
                if at.is_none() {
                    return Ok(None);
                }
            }
            Ok(at)
        };
        Ok(Self {
            private: walk(PRIVATE)?,
            index: walk("layercake/index")?,
            sizes: walk("layercake/sizes")?,
            work: walk("layercake/work")?,
            containers: walk("containers")?,
            image: walk("image/*")?,
            content: walk("image/*/imagedb/content/sha256")?,
            metadata: walk("image/*/imagedb/metadata/sha256")?,
            layers: walk("image/*/layerdb/sha256")?,
            mounts: walk("image/*/layerdb/mounts")?,
            layer_tmp: walk("image/*/layerdb/tmp")?,
            distribution: walk("image/*/distribution")?,
            volumes: walk("volumes")?,
            root,
        })
    }

    fn are_complete(&self) -> bool {
        let all = [
            &self.private,
            &self.index,
            &self.sizes,
            &self.work,
            &self.containers,
            &self.image,
            &self.content,
            &self.metadata,
            &self.layers,
            &self.mounts,
            &self.layer_tmp,
            &self.distribution,
            &self.volumes,
        ];
        all.iter().all(|dir| dir.is_some())
    }
}

/// Creates what is missing of the layout; what is there keeps its mode.
fn make_layout(root: &OwnedFd, driver: &str) -> Result<()> {
    for (path, mode) in LAYOUT {
        let mut at = sys::dir::reopen(root)?;
        for name in path.split('/') {
            at = sys::dir::ensure(&at, os(if name == "*" { driver } else { name }), mode)?;
        }
    }
    Ok(())
}

/// Makes a trusted path: `mode` for the last directory, 0711 for those above it, as Docker does.
fn make_directories(path: &Path, mode: u32) -> Result<OwnedFd> {
    match sys::dir::open_path(path) {
        Err(e) if e.is_not_found() => {}
        other => return Ok(other?),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::NoDataRoot(path.to_owned()));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let above = make_directories(parent, 0o711)?;
    Ok(sys::dir::ensure(&above, name, mode)?)
}
