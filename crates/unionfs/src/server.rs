//! A union at its mount point, and the server that answers for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fusewire::mount::MountOptions;
use fusewire::{Backings, Features, Session};

use crate::config::MountAt;
use crate::error::Error;
use crate::fuse::Served;
use crate::union::Union;

/// A directory of every layer is open while the kernel knows it.
const MANY_FILES: i32 = 8191;

/// A mounted union. Requests wait until [`Server::run`].
pub struct Server {
    union: Arc<Union>,
    session: Session,
    target: PathBuf,
    backings: Option<Box<dyn Backings>>,
}

impl Union {
    /// Mounts.
    ///
    /// # Errors
    /// What the kernel, or `fusermount3` for those who may not mount themselves, says.
    pub fn mount(self, target: &Path, at: &MountAt) -> Result<Server, Error> {
        let may_pass = matches!(sys::userns::privilege(), Ok(sys::userns::Privilege::Root));
        let passthrough = self.options.passthrough && may_pass && self.has_upper();
        let features = Features {
            passthrough,
            // The kernel does one or the other. Without passthrough small writes are collected.
            writeback_cache: !passthrough && self.has_upper(),
            posix_acl: !self.options.noacl && !self.options.no_xattrs,
            ..Features::default()
        };
        let options = MountOptions {
            source: at.source.clone(),
            subtype: at.subtype.clone(),
            allow_other: at.allow_other,
            default_permissions: true,
            read_only: at.read_only || !self.has_upper(),
            nosuid: !at.suid,
            nodev: !at.dev,
            noexec: !at.exec,
            noatime: at.noatime,
            context: at.context.clone(),
            ..MountOptions::default()
        };
        let device = fusewire::mount::mount(target, &options)?;
        let session = Session::new(device, features);
        let backings: Option<Box<dyn Backings>> =
            if passthrough { Some(Box::new(session.backings())) } else { None };
        Ok(Server { union: Arc::new(self), session, target: target.to_owned(), backings })
    }
}

impl Server {
    /// Where it is mounted.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Serves on this thread and others until the union is unmounted. Files are made with exactly the permissions that
    /// their makers ask for, so this process's umask becomes 0; and as many may be open as the system allows.
    ///
    /// # Errors
    /// The connection to the kernel broke.
    pub fn run(self) -> Result<(), Error> {
        sys::process::clear_umask();
        sys::process::expect_many_files(MANY_FILES);
        let threads = self.union.options.threads;
        let served = Served::new(self.union, self.session.notifier(), self.backings);
        self.session.serve(&served, threads).map_err(Error::Session)
    }
}

/// Unmounts the union at `target`. Its name is free at once; its server ends when nobody uses it any more.
///
/// # Errors
/// What the kernel, or `fusermount3` for those who may not unmount themselves, says.
pub fn unmount(target: &Path) -> Result<(), Error> {
    Ok(fusewire::mount::unmount(target, true)?)
}
