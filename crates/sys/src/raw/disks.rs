//! File systems and what they stand on: device-mapper, loop devices, quotas, ioctls with a plain buffer.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::last_error;

/// The UUID of the file system behind a descriptor (`FS_IOC_GETFSUUID`, Linux 6.9).
pub(crate) fn fs_uuid(fd: BorrowedFd<'_>) -> rustix::io::Result<[u8; 16]> {
    const GETFSUUID: libc::c_ulong = 0x8011_1500; // _IOR(0x15, 0, struct fsuuid2)
    let mut answer = [0u8; 17]; // a length, and up to 16 bytes
    // SAFETY: the kernel writes a struct of 17 bytes.
    let code = unsafe { libc::ioctl(fd.as_raw_fd(), GETFSUUID, answer.as_mut_ptr()) };
    if code < 0 {
        return Err(last_error());
    }
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&answer[1..]);
    Ok(uuid)
}

/// An ioctl of `/dev/mapper/control`; `buffer` holds a `struct dm_ioctl`, which says how long it is with its data.
pub(crate) fn dm_ioctl(control: BorrowedFd<'_>, command: u8, buffer: &mut [u8]) -> rustix::io::Result<()> {
    const HEAD: usize = 312;
    let told = buffer.get(12..16).and_then(|b| b.try_into().ok()).map_or(u32::MAX, u32::from_ne_bytes);
    if buffer.len() < HEAD || told as usize > buffer.len() {
        return Err(rustix::io::Errno::INVAL);
    }
    // _IOWR(0xfd, command, struct dm_ioctl)
    let request = 3 << 30 | (HEAD as libc::c_ulong) << 16 | 0xfd << 8 | libc::c_ulong::from(command);
    // SAFETY: the kernel reads and writes as many bytes as the structure tells, which are not more than there are.
    let code = unsafe { libc::ioctl(control.as_raw_fd(), request, buffer.as_mut_ptr()) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

/// The number of a loop device that nobody uses (`LOOP_CTL_GET_FREE`).
pub(crate) fn loop_free(control: BorrowedFd<'_>) -> rustix::io::Result<u32> {
    const GET_FREE: libc::c_ulong = 0x4c82;
    // SAFETY: the call takes no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE) };
    u32::try_from(number).map_err(|_| last_error())
}

/// Gives a loop device its file (`LOOP_CONFIGURE`, Linux 5.8).
pub(crate) fn loop_configure(device: BorrowedFd<'_>, config: &LoopConfig) -> rustix::io::Result<()> {
    const CONFIGURE: libc::c_ulong = 0x4c0a;
    // SAFETY: the kernel reads one `struct loop_config`, which this is laid out as.
    let code = unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE, std::ptr::from_ref(config)) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

/// `struct loop_config` with its `struct loop_info64`.
#[repr(C)]
pub(crate) struct LoopConfig {
    pub file: u32,
    pub block_size: u32,
    pub numbers: [u64; 5],
    pub number: u32,
    pub encryption: [u32; 2],
    pub flags: u32,
    pub file_name: [u8; 64],
    pub cipher: [u8; 64],
    pub key: [u8; 32],
    pub init: [u64; 2],
    pub reserved: [u64; 8],
}

/// The size of a block device in bytes (`BLKGETSIZE64`).
pub(crate) fn block_size(device: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    const GETSIZE64: libc::c_ulong = 0x8008_1272;
    let mut size = 0u64;
    // SAFETY: the kernel writes one number of 64 bits.
    let code = unsafe { libc::ioctl(device.as_raw_fd(), GETSIZE64, &raw mut size) };
    if code < 0 { Err(last_error()) } else { Ok(size) }
}

/// Says that a part of a block device is not needed (`BLKDISCARD`).
pub(crate) fn block_discard(device: BorrowedFd<'_>, start: u64, length: u64) -> rustix::io::Result<()> {
    const DISCARD: libc::c_ulong = 0x1277;
    let range = [start, length];
    // SAFETY: the kernel reads two numbers of 64 bits.
    let code = unsafe { libc::ioctl(device.as_raw_fd(), DISCARD, range.as_ptr()) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

/// Lets an ext4 grow to so many blocks (`EXT4_IOC_RESIZE_FS`); `root` is any directory of it.
pub(crate) fn ext4_grow(root: BorrowedFd<'_>, blocks: u64) -> rustix::io::Result<()> {
    const RESIZE: libc::c_ulong = 0x4008_6610;
    // SAFETY: the kernel reads one number of 64 bits.
    let code = unsafe { libc::ioctl(root.as_raw_fd(), RESIZE, &raw const blocks) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

/// Lets an xfs grow to so many blocks, with at most that part of it for inodes (`XFS_IOC_FSGROWFSDATA`).
pub(crate) fn xfs_grow(root: BorrowedFd<'_>, blocks: u64, inode_percent: u32) -> rustix::io::Result<()> {
    const GROW: libc::c_ulong = 0x4010_586e;
    #[repr(C)]
    struct Growth {
        blocks: u64,
        inode_percent: u32,
    }
    let growth = Growth { blocks, inode_percent };
    // SAFETY: the kernel reads one `struct xfs_growfs_data`, which this is laid out as.
    let code = unsafe { libc::ioctl(root.as_raw_fd(), GROW, &raw const growth) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

/// The feature flags of a mounted XFS (`XFS_IOC_FSGEOMETRY_V1`, kernel `fs/xfs/libxfs/xfs_fs.h`).
pub(crate) fn xfs_features(fd: BorrowedFd<'_>) -> rustix::io::Result<u32> {
    const FSGEOMETRY_V1: libc::c_ulong = 0x8070_5864; // _IOR('X', 100, struct xfs_fsop_geom_v1)
    const FLAGS: usize = 23; // its field `flags`, counted in numbers of 32 bits
    let mut geometry = [0u32; 28];
    // SAFETY: the kernel writes a struct of 112 bytes, which is the size of the array.
    let code = unsafe { libc::ioctl(fd.as_raw_fd(), FSGEOMETRY_V1, geometry.as_mut_ptr()) };
    if code < 0 { Err(last_error()) } else { Ok(geometry[FLAGS]) }
}

/// quotactl_fd(2), Linux 5.14, of the file system that `fd` is on. `argument` is what the command reads or writes; it
/// has to have the size that the command takes.
pub(crate) fn quota_by_fd<T>(
    fd: BorrowedFd<'_>,
    command: u32,
    id: u32,
    argument: &mut T,
) -> rustix::io::Result<()> {
    const QUOTACTL_FD: libc::c_long = 443;
    // SAFETY: the pointer is to a live value, of the size that the caller answers for.
    let code =
        unsafe { libc::syscall(QUOTACTL_FD, fd.as_raw_fd(), command, id, std::ptr::from_mut(argument)) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

/// quotactl(2) of the file system on the block device `node`, for kernels without [`quota_by_fd`].
pub(crate) fn quota_by_node<T>(
    node: &CStr,
    command: u32,
    id: u32,
    argument: &mut T,
) -> rustix::io::Result<()> {
    // SAFETY: the string ends with NUL; the pointer is to a live value, of the size that the caller answers for.
    let code = unsafe {
        libc::syscall(libc::SYS_quotactl, command, node.as_ptr(), id, std::ptr::from_mut(argument))
    };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

/// ioctl(2) with a structure that is all numbers and text. The request's number must be that of a call that reads and
/// writes as many bytes as its number says (`_IOC_SIZE`), and follows no pointer among them.
pub(crate) fn plain_ioctl(fd: BorrowedFd<'_>, request: u32, args: &mut [u8]) -> rustix::io::Result<()> {
    if args.len() < (request >> 16 & 0x3fff) as usize {
        return Err(rustix::io::Errno::INVAL);
    }
    // SAFETY: the buffer has the bytes that the number promises, and lives during the call.
    let code = unsafe { libc::ioctl(fd.as_raw_fd(), libc::c_ulong::from(request), args.as_mut_ptr()) };
    if code < 0 { Err(last_error()) } else { Ok(()) }
}
