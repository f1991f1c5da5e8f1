//! Namespaces, and attributes of mounts.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::last_error;

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
