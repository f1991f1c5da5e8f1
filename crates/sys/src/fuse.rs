//! The ioctls of `/dev/fuse`, for the server of a FUSE mount (`linux/fuse.h`).

use std::num::NonZeroU32;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{At, Error, Result};
use crate::{AsFd, OwnedFd, raw};

const DEVICE: &str = "/dev/fuse";

/// Opens the FUSE device, which is nothing until something is mounted with it.
pub fn open_device() -> Result<OwnedFd> {
    let path = Path::new(DEVICE);
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).at("open", path)
}

/// Opens the device once more for the connection of `device`: a second file description, with flags of its own
/// (`FUSE_DEV_IOC_CLONE`, Linux 4.2). Both read from one queue; what was read from one of them must be answered
/// through it.
pub fn clone_device(device: impl AsFd) -> Result<OwnedFd> {
    let clone = open_device()?;
    raw::fuse_clone(clone.as_fd(), device.as_fd()).at("clone", Path::new(DEVICE))?;
    Ok(clone)
}

/// Hands the kernel `file` to stand behind files of the mount (`FUSE_DEV_IOC_BACKING_OPEN`, Linux 6.9). Needs
/// `CAP_SYS_ADMIN` in the first user namespace: `EPERM`.
pub fn register_backing(device: impl AsFd, file: impl AsFd) -> Result<NonZeroU32> {
    let id = raw::fuse_backing_open(device.as_fd(), file.as_fd()).at_fd("register for passthrough", &file)?;
    NonZeroU32::new(id).ok_or_else(|| Error::new("register for passthrough", DEVICE, Errno::IO))
}

/// Takes back what [`register_backing`] handed out; files that are open with it keep it.
pub fn unregister_backing(device: impl AsFd, id: NonZeroU32) -> Result<()> {
    raw::fuse_backing_close(device.as_fd(), id.get()).at("unregister from passthrough", Path::new(DEVICE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_device_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(register_backing(&file, &file).unwrap_err().errno, Errno::NOTTY);
        assert_eq!(unregister_backing(&file, NonZeroU32::MIN).unwrap_err().errno, Errno::NOTTY);
    }
}
