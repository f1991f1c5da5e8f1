//! The calls that rustix has no safe form of. All `unsafe` of the workspace is here.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::ioctl;

/// ioprio_set(2) to the idle class for this process. A kernel that refuses leaves the priority as it was.
pub(crate) fn idle_io_priority() {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_IDLE: libc::c_int = 3 << 13;
    // SAFETY: the call takes three integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE) };
}

/// unshare(2) with `CLONE_FS`: this thread gets a working directory and a umask of its own. Call it only on a thread
/// that ends soon: the rest of the process no longer sees its chdir.
pub(crate) fn unshare_working_directory() -> rustix::io::Result<()> {
    // SAFETY: CLONE_FS alone copies the thread's file system attributes; no memory and no descriptor is affected.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FS) }
}

/// unshare(2) with `CLONE_NEWNS`: this thread, and those it starts, get a copy of the mount namespace.
pub(crate) fn unshare_mounts() -> rustix::io::Result<()> {
    // SAFETY: CLONE_NEWNS (which implies CLONE_FS) copies the thread's mounts; no memory or descriptor is affected.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
}

/// unshare(2) of the user and the mount namespace in one call. Fails with `EINVAL` in a process that has threads.
pub(crate) fn unshare_user_and_mounts() -> rustix::io::Result<()> {
    use rustix::thread::UnshareFlags;
    // SAFETY: without CLONE_FILES no descriptor changes, which is what makes the call unsafe.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
}

/// A user namespace with nobody in it but a process that does nothing, until this is dropped.
pub(crate) struct UserNamespace {
    pid: libc::pid_t,
    alive: Option<OwnedFd>,
}

impl UserNamespace {
    /// clone(2) with `CLONE_NEWUSER`. Nothing is mapped yet.
    pub(crate) fn new() -> rustix::io::Result<Self> {
        let (wait, alive) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let flags = libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
        // SAFETY: without a stack and without CLONE_VM this is fork(2): the child has a copy of everything. It does
        // nothing but system calls, which needs no lock that another thread may have held.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        if pid == 0 {
            let mut byte = 0_u8;
            // SAFETY: both descriptors are open, the pointer is to a live local, and _exit runs no code of ours.
            unsafe {
                libc::close(alive.as_raw_fd());
                libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1);
                libc::_exit(0)
            }
        }
        match libc::pid_t::try_from(pid) {
            Ok(pid) if pid > 0 => Ok(Self { pid, alive: Some(alive) }),
            _ => Err(last_error()),
        }
    }

    /// The process.
    pub(crate) fn pid(&self) -> libc::pid_t {
        self.pid
    }
}

impl Drop for UserNamespace {
    fn drop(&mut self) {
        drop(self.alive.take());
        // SAFETY: the process is our child, and its status is of no interest.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}

/// malloc_trim(3) of the GNU C library.
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call is safe at any time in any thread and takes no pointer.
    unsafe {
        libc::malloc_trim(0);
    }
}

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

/// The size of a page of memory.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// A file mapped for reading; what it holds is never looked at.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: std::ptr::NonNull<std::ffi::c_void>,
    len: usize,
}

impl Mapping {
    /// mmap(2) of the first `len` bytes of a file.
    pub(crate) fn new(file: BorrowedFd<'_>, len: usize) -> rustix::io::Result<Self> {
        // SAFETY: the kernel chooses an address that is free; no reference to the memory is ever made.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(last_error());
        }
        Ok(Self { start: std::ptr::NonNull::new(start).ok_or(rustix::io::Errno::INVAL)?, len })
    }

    /// The addresses, up to the end of the last page.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        let start = self.start.as_ptr().addr();
        start..start + self.len.next_multiple_of(page_size())
    }

    /// madvise(2) with `MADV_POPULATE_READ` (Linux 5.14): reads a part of whole pages, and has it in this process's
    /// tables.
    pub(crate) fn populate(&self, part: std::ops::Range<usize>) -> rustix::io::Result<()> {
        let part = part.start.min(self.len)..part.end.min(self.len);
        // SAFETY: the part lies in the mapping, and the advice changes no content.
        let code = unsafe {
            libc::madvise(self.start.as_ptr().byte_add(part.start), part.len(), libc::MADV_POPULATE_READ)
        };
        if code == 0 { Ok(()) } else { Err(last_error()) }
    }

    /// mincore(2): of each page whether it is in memory.
    pub(crate) fn resident(&self) -> rustix::io::Result<Vec<bool>> {
        let mut pages = vec![0_u8; self.len.div_ceil(page_size())];
        // SAFETY: the addresses are the mapping's, and the vector has a byte for each of its pages.
        let code = unsafe { libc::mincore(self.start.as_ptr(), self.len, pages.as_mut_ptr()) };
        if code == 0 { Ok(pages.iter().map(|page| page & 1 == 1).collect()) } else { Err(last_error()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and there is no reference into it.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}

/// Closes every descriptor above standard error: close_range(2), Linux 5.9. For a process that has just been
/// executed and has opened nothing itself.
pub(crate) fn close_inherited() {
    // SAFETY: the caller owns no descriptor yet; what was inherited has no owner in this process.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) };
}

/// Ignores SIGHUP from now on.
pub(crate) fn ignore_hangup() {
    // SAFETY: SIG_IGN installs no code of ours.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

/// Blocks these signals for this thread and those that it starts; they are read from the descriptor, which does not
/// wait if `at_once`.
pub(crate) fn signal_fd(signals: &[i32], at_once: bool) -> rustix::io::Result<OwnedFd> {
    // SAFETY: a set of signals is plain data for which zero is a valid value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    let flags = libc::SFD_CLOEXEC | if at_once { libc::SFD_NONBLOCK } else { 0 };
    // SAFETY: all calls take a pointer to the live set; no handler is installed.
    let fd = unsafe {
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::signalfd(-1, &set, flags)
    };
    if fd < 0 {
        return Err(last_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// No signal is blocked for this thread any more.
pub(crate) fn unblock_signals() {
    // SAFETY: a set of signals is plain data for which zero is a valid value.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: both calls take a pointer to the live set.
    unsafe {
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// The signal of this number, real-time signals included; `None` if there is no such signal.
pub(crate) fn signal(number: i32) -> Option<rustix::process::Signal> {
    // SAFETY: numbers are checked to be the kernel's; nothing is done with signals that the C library reserves but
    // to send them to processes that are not this one.
    (1..=64).contains(&number).then(|| unsafe { rustix::process::Signal::from_raw_unchecked(number) })
}

/// The login name of a user, as the machine's name service knows it.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    Some(find_user(Ok(uid))?.name)
}

/// A user or group as the machine's name service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub name: String,
    pub id: u32,
}

/// getpwnam_r(3), or getpwuid_r(3) for a number.
pub(crate) fn find_user(key: Result<u32, &CStr>) -> Option<Known> {
    let mut buf: Vec<libc::c_char> = vec![0; 16 << 10];
    let mut found = std::ptr::null_mut();
    // SAFETY: `passwd` is plain data for which zero is a valid value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let (room, len) = (buf.as_mut_ptr(), buf.len());
    // SAFETY: every pointer is to a live local, the name ends with NUL, and the length is the buffer's.
    let code = unsafe {
        match key {
            Ok(id) => libc::getpwuid_r(id, &mut entry, room, len, &mut found),
            Err(name) => libc::getpwnam_r(name.as_ptr(), &mut entry, room, len, &mut found),
        }
    };
    if code != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: on success `pw_name` is a NUL-terminated string inside `buf`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Some(Known { name: name.to_str().ok()?.to_owned(), id: entry.pw_uid })
}

/// getgrnam_r(3), or getgrgid_r(3) for a number.
pub(crate) fn find_group(key: Result<u32, &CStr>) -> Option<Known> {
    // A group brings its members along.
    let mut buf: Vec<libc::c_char> = vec![0; 1 << 20];
    let mut found = std::ptr::null_mut();
    // SAFETY: `group` is plain data for which zero is a valid value.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    let (room, len) = (buf.as_mut_ptr(), buf.len());
    // SAFETY: every pointer is to a live local, the name ends with NUL, and the length is the buffer's.
    let code = unsafe {
        match key {
            Ok(id) => libc::getgrgid_r(id, &mut entry, room, len, &mut found),
            Err(name) => libc::getgrnam_r(name.as_ptr(), &mut entry, room, len, &mut found),
        }
    };
    if code != 0 || found.is_null() || entry.gr_name.is_null() {
        return None;
    }
    // SAFETY: on success `gr_name` is a NUL-terminated string inside `buf`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.gr_name) };
    Some(Known { name: name.to_str().ok()?.to_owned(), id: entry.gr_gid })
}

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

/// mount_setattr(2) of the mount that a descriptor of open_tree(2) stands for.
pub(crate) fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    set: u64,
    clear: u64,
    namespace: Option<BorrowedFd<'_>>,
) -> rustix::io::Result<()> {
    let namespace = namespace.and_then(|fd| u64::try_from(fd.as_raw_fd()).ok()).unwrap_or(0);
    let attributes = [set, clear, 0, namespace]; // struct mount_attr: set, clear, propagation, user namespace
    // SAFETY: the path is an empty string with its NUL, and the struct has the size that is told.
    let code = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
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

fn last_error() -> rustix::io::Errno {
    let code = std::io::Error::last_os_error().raw_os_error();
    rustix::io::Errno::from_raw_os_error(code.unwrap_or(libc::EIO))
}
