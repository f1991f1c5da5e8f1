//! Files: extended attributes, handles, attributes of an inode.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::last_error;

/// getxattrat(2), Linux 6.13: also of what an `O_PATH` descriptor stands for (an empty name).
pub(crate) fn getxattrat(
    dir: BorrowedFd<'_>,
    name: &CStr,
    key: &CStr,
    value: &mut [u8],
) -> rustix::io::Result<usize> {
    #[repr(C)]
    struct Args {
        value: u64,
        size: u32,
        flags: u32,
    }
    const GETXATTRAT: libc::c_long = 464;
    let size = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let mut args = Args { value: value.as_mut_ptr() as u64, size, flags: 0 };
    // SAFETY: both strings end with NUL and live during the call; `args` has the size that is told, and names `size`
    // bytes of `value` that may be written.
    let n = unsafe {
        libc::syscall(
            GETXATTRAT,
            dir.as_raw_fd(),
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH,
            key.as_ptr(),
            &raw mut args,
            size_of::<Args>(),
        )
    };
    usize::try_from(n).map_err(|_| last_error())
}

/// listxattrat(2), Linux 6.13.
pub(crate) fn listxattrat(dir: BorrowedFd<'_>, name: &CStr, list: &mut [u8]) -> rustix::io::Result<usize> {
    const LISTXATTRAT: libc::c_long = 465;
    // SAFETY: the string ends with NUL and lives during the call; the kernel writes at most `list.len()` bytes.
    let n = unsafe {
        libc::syscall(
            LISTXATTRAT,
            dir.as_raw_fd(),
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH,
            list.as_mut_ptr(),
            list.len(),
        )
    };
    usize::try_from(n).map_err(|_| last_error())
}

/// The head of `struct file_handle`, and room for the longest handle there is (`MAX_HANDLE_SZ`).
#[repr(C)]
pub(crate) struct FileHandle {
    pub len: u32,
    pub kind: i32,
    pub bytes: [u8; 128],
}

/// name_to_handle_at(2) of `name`, or of what the descriptor stands for if it is empty.
pub(crate) fn name_to_handle(dir: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<FileHandle> {
    let mut handle = FileHandle { len: 128, kind: 0, bytes: [0; 128] };
    let mut mount = 0;
    // SAFETY: the string ends with NUL; `handle` says how much room it has, and is laid out as the kernel's struct.
    let code = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw mut handle,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if code < 0 { Err(last_error()) } else { Ok(handle) }
}

/// open_by_handle_at(2) with `O_PATH`. `mount` is any open file or directory of the file system.
pub(crate) fn open_by_handle(mount: BorrowedFd<'_>, handle: &mut FileHandle) -> rustix::io::Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: `handle` is laid out as the kernel's struct and says how long it is.
    let fd = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), std::ptr::from_mut(handle), flags)
    };
    let fd = libc::c_int::try_from(fd).map_err(|_| last_error())?;
    if fd < 0 {
        return Err(last_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `struct fsxattr` (kernel `include/uapi/linux/fs.h`).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct FileAttributes {
    pub flags: u32,
    extent_size: u32,
    extents: u32,
    pub project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// `FS_IOC_FSGETXATTR`.
pub(crate) fn file_attributes(fd: BorrowedFd<'_>) -> rustix::io::Result<FileAttributes> {
    const FSGETXATTR: libc::c_ulong = 0x801c_581f; // _IOR('X', 31, struct fsxattr)
    let mut attributes = FileAttributes::default();
    // SAFETY: the kernel writes one `struct fsxattr`, which is how the value is laid out.
    let code = unsafe { libc::ioctl(fd.as_raw_fd(), FSGETXATTR, &raw mut attributes) };
    if code < 0 { Err(last_error()) } else { Ok(attributes) }
}

/// `FS_IOC_FSSETXATTR`.
pub(crate) fn set_file_attributes(fd: BorrowedFd<'_>, attributes: &FileAttributes) -> rustix::io::Result<()> {
    const FSSETXATTR: libc::c_ulong = 0x401c_5820; // _IOW('X', 32, struct fsxattr)
    // SAFETY: the kernel reads one `struct fsxattr`, which is how the value is laid out.
    let code = unsafe { libc::ioctl(fd.as_raw_fd(), FSSETXATTR, std::ptr::from_ref(attributes)) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}
