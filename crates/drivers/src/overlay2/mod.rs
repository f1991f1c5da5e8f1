//! The driver `overlay2`: the kernel's OverlayFS makes the tree (moby.md §8).
//!
//! Where it does otherwise than Docker, beside what [`crate::stacked`] says:
//!
//! - Mounts are made by the new mount API where the kernel has it: no page limit, up to 500 lowers.
//! - On kernels that were told to rename directories by redirect or to copy up metadata alone (module parameters
//!   `redirect_dir`, `metacopy`), mounts turn that off: `diff` reads the upper directory only.

mod probe;

pub(crate) use probe::overlays_work;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

use changeset::{Marks, Whiteouts, XattrSpace};
use sys::mount::{Branch, Overlay};
use sys::{OwnedFd, dir};

use crate::config::Config;
use crate::driver::Capabilities;
use crate::stacked::{Stacked, Tree, Union};
use crate::{Error, Result, aside};

/// Layers stacked by the kernel's OverlayFS.
pub type Overlay2 = Stacked<KernelOverlay>;

/// The kernel's OverlayFS.
#[derive(Debug)]
pub struct KernelOverlay {
    user_namespace: bool,
    /// `overlay2.size`, in bytes; 0 if containers have no limit.
    size: u64,
    options: OnceLock<Options>,
}

/// The mount options of this kernel.
type Options = Vec<(&'static str, Option<&'static str>)>;

/// A directory without anything in it: what is below a base layer in a view for reading, for an overlay needs two.
const EMPTY: &str = "empty";

impl KernelOverlay {
    /// One that was given no options.
    pub(crate) fn plain(user_namespace: bool) -> Self {
        Self { user_namespace, size: 0, options: OnceLock::new() }
    }

    fn options(&self) -> &Options {
        self.options.get_or_init(|| options(self.user_namespace))
    }

    fn xattr_space(&self) -> XattrSpace {
        if self.user_namespace { XattrSpace::User } else { XattrSpace::Trusted }
    }
}

impl Union for KernelOverlay {
    const NAME: &'static str = "overlay2";
    const WORK_MODE: u32 = 0o700;
    const NO_QUOTA: &'static str =
        "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
    const LIMITS: bool = true;

    fn new(config: &Config) -> Result<Self> {
        let size = Settings::read(config)?.size;
        Ok(Self { user_namespace: config.user_namespace, size, options: OnceLock::new() })
    }

    fn default_size(&self) -> u64 {
        self.size
    }

    fn check_home(home: &OwnedFd, path: &Path) -> Result<()> {
        crate::backing::require_ftype(home, path)?.map_err(|unmet| Error::prerequisite(Self::NAME, unmet))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            whole_trees: false,
            independent_layers: true,
            page_cache_sharing: true,
            mounts: true,
            read_only_views: true,
            quota: false,
        }
    }

    fn whiteouts(&self) -> Whiteouts {
        Whiteouts::Overlay(self.xattr_space())
    }

    fn marks(&self) -> Marks {
        self.xattr_space().into()
    }

    fn status(&self, home: &OwnedFd, path: &Path) -> Result<Vec<(String, String)>> {
        let found = probe::probe(home, path, self)?;
        let line = |name: &str, value: &dyn ToString| (name.to_owned(), value.to_string());
        Ok(vec![
            line("Backing Filesystem", &crate::backing::name(path)?),
            line("Supports d_type", &found.d_type),
            line("Using metacopy", &found.metacopy),
            line("Native Overlay Diff", &found.native_diff),
            line("userxattr", &self.user_namespace),
        ])
    }

    fn mount(&self, mut tree: Tree<'_>, target: &Path) -> Result<()> {
        if tree.lowers.len() < 2 && tree.upper.is_none() {
            let beside = dir::ensure(tree.home, OsStr::new(aside::NAME), 0o700)?;
            let fd = dir::ensure(&beside, OsStr::new(EMPTY), 0o755)?;
            tree.lowers.push(Branch { fd, path: Path::new(aside::NAME).join(EMPTY) });
        }
        let Tree { lowers, upper, path, label, .. } = tree;
        let mut options: Vec<(&str, Option<&str>)> = self.options().clone();
        if !label.is_empty() {
            options.push(("context", Some(label)));
        }
        let overlay = Overlay { lowers, upper, options, home: path };
        Ok(overlay.mount(target).map(drop)?)
    }

    fn has_ended(_: &OwnedFd) -> Result<bool> {
        Ok(true)
    }
}

/// The options of this driver (moby.md §10.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// `overlay2.size`: how many bytes a container may write if it has no limit of its own; 0 is no limit.
    size: u64,
    /// `overlay2.override_kernel_check`: the kernel's version does not matter.
    override_kernel_check: bool,
}

impl Settings {
    fn read(config: &Config) -> Result<Self> {
        let mut settings = Self::default();
        for option in config.options()? {
            match option.key.to_lowercase().as_str() {
                "overlay2.size" => settings.size = option.size()?,
                "overlay2.override_kernel_check" => settings.override_kernel_check = option.boolean()?,
                key => return Err(Error::Option(format!("overlay2: unknown option {key}"))),
            }
        }
        Ok(settings)
    }
}

/// Docker's options for this kernel (moby.md §8.2), and those that keep uppers readable without a mount.
pub(super) fn options(user_namespace: bool) -> Options {
    let parameter = |name: &str| {
        let value = std::fs::read_to_string(Path::new("/sys/module/overlay/parameters").join(name));
        value.ok().map(|value| value.trim().to_owned())
    };
    let is_on = |name: &str| parameter(name).is_some_and(|value| value == "Y");
    let mut options = Options::new();
    if parameter("index").is_some() {
        options.push(("index", Some("off")));
    }
    if user_namespace {
        // With userxattr neither redirects nor metacopy are possible.
        options.push(("userxattr", None));
        return options;
    }
    if is_on("redirect_dir") || is_on("metacopy") {
        options.push(("redirect_dir", Some("off")));
        options.push(("metacopy", Some("off")));
    }
    options
}
