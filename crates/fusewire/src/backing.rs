//! Passthrough: files that the kernel reads and writes without asking the server (`filesystems/fuse-passthrough` of the
//! kernel's documentation; Linux 6.9).

use std::num::NonZeroU32;
use std::sync::Arc;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::Result;

/// A file that the kernel holds open for a session, to stand behind files of the mount.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BackingId(pub NonZeroU32);

/// Where files are registered for passthrough.
///
/// The kernel does not use the registered descriptor itself: it opens the file once more with the flags of whoever
/// opened the file of the mount, and the credentials of the server. So an identifier that was registered from a
/// read-only descriptor writes, if the user has opened for writing: register only what may be written, or what lies on
/// a read-only mount.
pub trait Backings: Send + Sync {
    /// Hands the kernel a file to keep. The descriptor may be closed afterwards.
    ///
    /// `PERM`: this server may not, now or later (it needs `CAP_SYS_ADMIN` in the first user namespace). `LOOP`: the
    /// file is on a stacked file system ([`Features::max_stack_depth`](crate::Features::max_stack_depth)).
    /// `OPNOTSUPP`: not a regular file, or passthrough was not negotiated.
    fn register(&self, file: BorrowedFd<'_>) -> Result<BackingId>;

    /// Takes it back. Files that are open with it keep it until they are closed.
    fn unregister(&self, id: BackingId);
}

/// Registers by ioctl(2) on the device of the session.
#[derive(Clone, Debug)]
pub struct DeviceBackings {
    device: Arc<OwnedFd>,
}

impl DeviceBackings {
    pub(crate) fn new(device: Arc<OwnedFd>) -> Self {
        Self { device }
    }

    /// The device of the session, for a process that may register files on behalf of this one.
    pub fn device(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl Backings for DeviceBackings {
    fn register(&self, file: BorrowedFd<'_>) -> Result<BackingId> {
        sys::fuse::register_backing(&self.device, file).map(BackingId).map_err(|e| e.errno)
    }

    fn unregister(&self, id: BackingId) {
        // It fails only for an identifier that is not registered (any more).
        let _ = sys::fuse::unregister_backing(&self.device, id.0);
    }
}
