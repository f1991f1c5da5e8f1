//! This process: priorities, memory, what it inherited.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::last_error;

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

/// malloc_trim(3) of the GNU C library.
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call is safe at any time in any thread and takes no pointer.
    unsafe {
        libc::malloc_trim(0);
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
