//! The driver `fuse-overlayfs`: a union file system in user space makes the tree (moby.md §9.4). It needs the right to
//! mount FUSE file systems and nothing else of the kernel.
//!
//! Image layers keep deletions as their archives have them, as files `.wh.…`; writable layers have what the union
//! writes, which is what the kernel's OverlayFS would. Both kinds of marks count in every layer.
//!
//! Each mount has a server, a process of the [`Server`] program that this driver is told to use. It lives in the
//! namespaces of the process that called [`Driver::mount`](crate::Driver::mount), and until the mount ends.
//!
//! Where it does otherwise than Docker, beside what [`crate::stacked`] says:
//!
//! - What changed is read from the upper directory; Docker compares whole trees.
//! - Options that nobody knows are refused; Docker accepts them all and does nothing.

mod server;

use std::path::Path;

use changeset::{Marks, Whiteouts, XattrSpace};
use sys::OwnedFd;

use crate::config::Config;
use crate::driver::Capabilities;
use crate::prerequisite::{require_kernel, unmountable};
use crate::stacked::{Stacked, Tree, Union};
use crate::{Error, Prerequisite, Result, Unmet};
pub use server::Server;

/// Layers stacked by a union file system in user space.
pub type FuseOverlayfs = Stacked<UserUnion>;

/// A union file system in user space.
#[derive(Debug)]
pub struct UserUnion {
    /// The driver's name.
    driver: &'static str,
    /// Whether writable layers keep deletions as AUFS does.
    aufs: bool,
    server: Option<Server>,
    user_namespace: bool,
}

impl FuseOverlayfs {
    /// Whether this process can mount unions here. 4.18 is the first kernel that lets a user namespace mount FUSE.
    pub(crate) fn probe(config: &Config) -> Result<(), Unmet> {
        require_kernel(&sys::process::kernel_release(), 4, 18)?;
        if config.union_server.is_none() {
            let (what, found) = (Prerequisite::Program("layercake union"), UserUnion::NO_SERVER);
            return Err(Unmet::new(what, found, "choose another --storage-driver"));
        }
        sys::fuse::open_device().map_err(|e| {
            let remedy = "load the module with 'modprobe fuse', and let this user open the device";
            Unmet::new(Prerequisite::Device("/dev/fuse"), e.to_string(), remedy)
        })?;
        let may_mount = std::thread::scope(|scope| scope.spawn(sys::mount::private_namespace).join());
        may_mount.unwrap_or(Ok(())).map_err(|e| unmountable("fuse", &e, config.user_namespace))
    }
}

impl UserUnion {
    const NO_SERVER: &'static str = "there is no program to serve its mounts";

    /// The union of the driver `aufs`.
    pub(crate) fn of_aufs(config: &Config) -> Self {
        Self { driver: "aufs", aufs: true, ..Self::plain(config) }
    }

    fn plain(config: &Config) -> Self {
        let (server, user_namespace) = (config.union_server.clone(), config.user_namespace);
        Self { driver: Self::NAME, aufs: false, server, user_namespace }
    }
}

impl Union for UserUnion {
    const NAME: &'static str = "fuse-overlayfs";
    const WORK_MODE: u32 = 0o710;
    const NO_QUOTA: &'static str = "--storage-opt is not supported";
    const LIMITS: bool = false;

    fn new(config: &Config) -> Result<Self> {
        if let Some(option) = config.options()?.first() {
            return Err(Error::Option(format!("fuse-overlayfs: unknown option {}", option.key)));
        }
        Ok(Self::plain(config))
    }

    fn check_home(_: &OwnedFd, _: &Path) -> Result<()> {
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            whole_trees: false,
            independent_layers: true,
            // Only where the kernel lets the server pass files through, which takes root.
            page_cache_sharing: false,
            mounts: true,
            read_only_views: true,
            quota: false,
        }
    }

    fn whiteouts(&self) -> Whiteouts {
        Whiteouts::Files
    }

    fn marks(&self) -> Marks {
        let space = if self.user_namespace { XattrSpace::User } else { XattrSpace::Trusted };
        Marks { space, files: true }
    }

    fn status(&self, _: &OwnedFd, _: &Path) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn mount(&self, tree: Tree<'_>, target: &Path) -> Result<()> {
        match &self.server {
            Some(server) => server.mount(&tree, target, self.user_namespace, self.aufs),
            None => Err(Error::Unsupported { driver: self.driver, what: Self::NO_SERVER }),
        }
    }

    fn has_ended(work: &OwnedFd) -> Result<bool> {
        server::has_ended(work)
    }
}
