//! The calls that rustix has no safe form of. All `unsafe` of the workspace is here.
#![allow(unsafe_code)]

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
