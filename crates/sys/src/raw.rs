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

/// The login name of a user, as the machine's name service knows it.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let mut buf: Vec<libc::c_char> = vec![0; 16 << 10];
    let mut found = std::ptr::null_mut();
    // SAFETY: `passwd` is plain data for which zero is a valid value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    // SAFETY: every pointer is to a live local, and the length is the buffer's.
    let code = unsafe { libc::getpwuid_r(uid, &mut entry, buf.as_mut_ptr(), buf.len(), &mut found) };
    if code != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: on success `pw_name` is a NUL-terminated string inside `buf`, which is still alive.
    let name = unsafe { std::ffi::CStr::from_ptr(entry.pw_name) };
    name.to_str().ok().map(str::to_owned)
}
