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

use crate::driver::Capabilities;
use crate::select::Config;
use crate::stacked::{Stacked, Tree, Union};
use crate::{Error, Result};
pub use server::Server;

/// Layers stacked by a union file system in user space.
pub type FuseOverlayfs = Stacked<UserUnion>;

/// A union file system in user space.
#[derive(Debug)]
pub struct UserUnion {
    server: Option<Server>,
    user_namespace: bool,
}

impl FuseOverlayfs {
    /// Whether this process can mount unions here; the reason if not.
    pub(crate) fn supported(config: &Config) -> Result<(), String> {
        if config.union_server.is_none() {
            return Err(UserUnion::NO_SERVER.to_owned());
        }
        sys::fuse::open_device().map_err(|e| e.to_string())?;
        let may_mount = std::thread::scope(|scope| scope.spawn(sys::mount::private_namespace).join());
        may_mount.unwrap_or(Ok(())).map_err(|e| e.to_string())
    }
}

impl UserUnion {
    const NO_SERVER: &'static str = "there is no program to serve its mounts";
}

impl Union for UserUnion {
    const NAME: &'static str = "fuse-overlayfs";
    const WORK_MODE: u32 = 0o710;
    const NO_QUOTA: &'static str = "--storage-opt is not supported";

    fn new(config: &Config) -> Result<Self> {
        if let Some(option) = config.options()?.first() {
            return Err(Error::Option(format!("fuse-overlayfs: unknown option {}", option.key)));
        }
        Ok(Self { server: config.union_server.clone(), user_namespace: config.user_namespace })
    }

    fn check_home(&self, _: &OwnedFd) -> Result<()> {
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
            Some(server) => server.mount(&tree, target, self.user_namespace),
            None => Err(Error::Unsupported { driver: Self::NAME, what: Self::NO_SERVER }),
        }
    }

    fn has_ended(work: &OwnedFd) -> Result<bool> {
        server::has_ended(work)
    }
}
