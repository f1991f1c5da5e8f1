//! The device of FUSE.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::ioctl;

/// The device `clone`, freshly opened, joins the connection of `device`: `FUSE_DEV_IOC_CLONE`.
pub(crate) fn fuse_clone(clone: BorrowedFd<'_>, device: BorrowedFd<'_>) -> rustix::io::Result<()> {
    const CLONE: ioctl::Opcode = ioctl::opcode::read::<u32>(229, 0);
    let device: RawFd = device.as_raw_fd();
    // SAFETY: the kernel reads one 32-bit number behind the pointer, which is to a live local, and writes nothing.
    unsafe { ioctl::ioctl(clone, ioctl::Setter::<CLONE, RawFd>::new(device)) }
}

/// `FUSE_DEV_IOC_BACKING_OPEN`; answers the identifier.
pub(crate) fn fuse_backing_open(device: BorrowedFd<'_>, file: BorrowedFd<'_>) -> rustix::io::Result<u32> {
    // SAFETY: the kernel reads one `BackingMap` behind the pointer and writes nothing.
    unsafe { ioctl::ioctl(device, BackingMap { fd: file.as_raw_fd(), flags: 0, padding: 0 }) }
}

/// `FUSE_DEV_IOC_BACKING_CLOSE`.
pub(crate) fn fuse_backing_close(device: BorrowedFd<'_>, id: u32) -> rustix::io::Result<()> {
    const CLOSE: ioctl::Opcode = ioctl::opcode::write::<u32>(229, 2);
    // SAFETY: the kernel reads one 32-bit number behind the pointer and writes nothing.
    unsafe { ioctl::ioctl(device, ioctl::Setter::<CLOSE, u32>::new(id)) }
}

/// `struct fuse_backing_map`.
#[repr(C)]
struct BackingMap {
    fd: RawFd,
    flags: u32,
    padding: u64,
}

// SAFETY: the number belongs to this structure, the pointer is to it, and the call's result is the identifier.
unsafe impl ioctl::Ioctl for BackingMap {
    type Output = u32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> ioctl::Opcode {
        ioctl::opcode::write::<BackingMap>(229, 1)
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::from_mut(self).cast()
    }

    unsafe fn output_from_ptr(out: ioctl::IoctlOutput, _: *mut std::ffi::c_void) -> rustix::io::Result<u32> {
        u32::try_from(out).map_err(|_| rustix::io::Errno::IO)
    }
}
