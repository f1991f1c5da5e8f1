//! Mounting: the descriptor that a [`Session`](crate::Session) serves.
//!
//! Where this process may mount (as root, or in a user namespace of its own), it does so itself; otherwise the
//! set-user-id helper `fusermount3` of libfuse does, which is on every machine where users mount FUSE file systems.

mod helper;
mod own;

use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sys::At;

/// Why nothing was mounted, or unmounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    /// `fusermount3` refused, or is not there.
    #[error("{op} {} by fusermount3: {reason}", target.display())]
    Helper {
        /// `mount at` or `unmount`.
        op: &'static str,
        /// Where.
        target: PathBuf,
        /// What it said.
        reason: String,
    },
}

/// How to mount. The default is what is safe for a file system that another user's files come from: no set-user-id, no
/// devices, and permissions that the kernel checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountOptions {
    /// First column of the mount table.
    pub source: String,
    /// The type is shown as `fuse.` and this; nothing if it is empty.
    pub subtype: String,
    /// Users other than the mounting one may enter. `fusermount3` wants `user_allow_other` in `/etc/fuse.conf` for it.
    pub allow_other: bool,
    /// The kernel checks permissions by mode, owner and ACL. Without it the server has to.
    pub default_permissions: bool,
    /// Nothing can be changed.
    pub read_only: bool,
    /// Longest read in bytes; 0 for the longest there is.
    pub max_read: u32,
    /// Set-user-id and file capabilities have no effect.
    pub nosuid: bool,
    /// Device files cannot be opened.
    pub nodev: bool,
    /// Programs cannot be executed.
    pub noexec: bool,
    /// Reading does not set access times.
    pub noatime: bool,
    /// Options of the security module, such as `context=system_u:object_r:container_file_t:s0`.
    pub context: Vec<String>,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            source: "fuse".into(),
            subtype: String::new(),
            allow_other: false,
            default_permissions: true,
            read_only: false,
            max_read: 0,
            nosuid: true,
            nodev: true,
            noexec: false,
            noatime: false,
            context: Vec::new(),
        }
    }
}

/// Mounts on the directory `target`, links in it followed, and returns the device. From then on users of `target` wait
/// until the session answers.
pub fn mount(target: &Path, options: &MountOptions) -> Result<OwnedFd, Error> {
    // Opened before anything else, so that all that follows is about this one directory, whatever its path contains.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = rustix::fs::open(target, flags, Mode::empty()).at("open", target)?;
    match own::mount(&place, target, options) {
        Err(e) if e.errno == Errno::PERM => helper::mount(&place, target, options),
        result => Ok(result?),
    }
}

/// Unmounts `target`; a link in its last component is not followed. `lazy`: its name is free at once, the mount goes
/// with its last user.
pub fn unmount(target: &Path, lazy: bool) -> Result<(), Error> {
    let result = if lazy { sys::mount::detach(target) } else { sys::mount::unmount(target) };
    match result {
        Err(e) if e.errno == Errno::PERM => helper::unmount(target, lazy),
        result => Ok(result?),
    }
}
