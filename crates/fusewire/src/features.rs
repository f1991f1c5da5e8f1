//! What the session asks of the kernel ([`Features`]) and what it got ([`Negotiated`]).

use crate::proto::flags::init;
use crate::proto::replies::InitOut;
use crate::proto::requests::InitIn;
use crate::proto::{MAJOR, MINOR};

/// Asked for wherever the kernel offers it, with the reason.
const ALWAYS: u64 = init::ASYNC_READ // reads of one file in parallel
    | init::ATOMIC_O_TRUNC // O_TRUNC arrives with the open, so that a copy-up can leave the data out
    | init::BIG_WRITES // more than a page at a time
    | init::DONT_MASK // a default ACL decides whether the umask applies, and the server knows it
    | init::DO_READDIRPLUS // listings that carry look-ups …
    | init::READDIRPLUS_AUTO // … where the kernel sees a use for them
    | init::ASYNC_DIO
    | init::PARALLEL_DIROPS // look-ups and listings of one directory in parallel
    | init::NO_OPEN_SUPPORT
    | init::NO_OPENDIR_SUPPORT
    | init::MAX_PAGES // requests of more than 128 KiB
    | init::CACHE_SYMLINKS
    | init::EXPLICIT_INVAL_DATA // cached pages go when the server says so, not when a time stamp moved
    | init::HANDLE_KILLPRIV_V2 // otherwise every write asks for security.capability (union-fs.md §0.4)
    | init::SETXATTR_EXT // needed with POSIX_ACL, to know when set-group-id has to go
    | init::INIT_EXT // bits above 31
    | init::HAS_EXPIRE_ONLY
    | init::DIRECT_IO_ALLOW_MMAP;

/// What a server wants. Everything is a wish: see [`Negotiated`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Files may be opened with a backing file (Linux 6.9). Excludes `writeback_cache`.
    pub passthrough: bool,
    /// The kernel collects writes and sends them later. It then believes its own sizes and modification times.
    pub writeback_cache: bool,
    /// The kernel handles POSIX ACLs: it asks for `system.posix_acl_*`, applies them in its permission checks, and
    /// leaves `umask` to the server.
    pub posix_acl: bool,
    /// Look-ups of `.` and `..` are answered, so that file handles outlive the kernel's memory of a node.
    pub export: bool,
    /// Longest write and read in bytes; at least 4 KiB, and a multiple of it.
    pub max_write: u32,
    /// With passthrough: how many stacked file systems may lie on each other below and including this one. 1: backing
    /// files must not be on a stacked file system, and this one can be a layer of the kernel's OverlayFS.
    pub max_stack_depth: u32,
    /// How many requests nobody waits for (read-ahead, releases, asynchronous I/O) may be under way.
    pub max_background: u16,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            passthrough: false,
            writeback_cache: false,
            posix_acl: true,
            export: false,
            max_write: 1 << 20,
            max_stack_depth: 1,
            max_background: 64,
        }
    }
}

/// What kernel and session agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Negotiated {
    /// Minor version of the protocol that is spoken.
    pub minor: u32,
    /// All flags that both sides set, `FUSE_*` of INIT.
    pub flags: u64,
    /// See [`Features::passthrough`]. Registering a file can still be refused ([`Backings`](crate::Backings)).
    pub passthrough: bool,
    /// See [`Features::writeback_cache`].
    pub writeback_cache: bool,
    /// See [`Features::posix_acl`].
    pub posix_acl: bool,
    /// `ENOSYS` to an open means: no file needs opening. The kernel then sends neither opens nor releases of files.
    pub no_open: bool,
    /// The same of directories.
    pub no_opendir: bool,
    /// The server has to take set-user-id away where a request says so; otherwise the kernel does.
    pub kill_suidgid: bool,
    /// [`Notifier::inval_entry`](crate::Notifier::inval_entry) can let names expire.
    pub expire_only: bool,
    /// Longest write in bytes.
    pub max_write: u32,
}

/// The answer to INIT, and what it means.
pub(crate) fn negotiate(kernel: &InitIn, wanted: &Features) -> (InitOut, Negotiated) {
    let offered = join(kernel.flags, kernel.flags2);
    let mut asked = ALWAYS;
    let mut want = |yes: bool, flag: u64| {
        if yes {
            asked |= flag;
        }
    };
    want(wanted.passthrough && !wanted.writeback_cache, init::PASSTHROUGH);
    want(wanted.writeback_cache, init::WRITEBACK_CACHE);
    want(wanted.posix_acl, init::POSIX_ACL);
    want(wanted.export, init::EXPORT_SUPPORT);
    // Without INIT_EXT the kernel looks at 32 bits only.
    let mask = if offered & init::INIT_EXT != 0 { u64::MAX } else { u64::from(u32::MAX) };
    let flags = offered & asked & mask;

    let minor = kernel.minor.min(MINOR);
    let has = |flag: u64| flags & flag != 0;
    // Kernels before MAX_PAGES (4.20) send 32 pages at most.
    let max_write = if has(init::MAX_PAGES) { wanted.max_write } else { wanted.max_write.min(128 << 10) };
    let max_write = max_write.max(4096);
    let [flags_low, flags_high] = split(flags);
    let reply = InitOut {
        major: MAJOR,
        minor,
        max_readahead: kernel.max_readahead,
        flags: flags_low,
        flags2: flags_high,
        max_background: wanted.max_background,
        congestion_threshold: wanted.max_background / 4 * 3,
        max_write,
        time_gran: 1,
        max_pages: if has(init::MAX_PAGES) { pages(max_write) } else { 0 },
        max_stack_depth: if has(init::PASSTHROUGH) { wanted.max_stack_depth } else { 0 },
        ..InitOut::default()
    };
    let negotiated = Negotiated {
        minor,
        flags,
        passthrough: has(init::PASSTHROUGH),
        writeback_cache: has(init::WRITEBACK_CACHE),
        posix_acl: has(init::POSIX_ACL),
        no_open: has(init::NO_OPEN_SUPPORT),
        no_opendir: has(init::NO_OPENDIR_SUPPORT),
        kill_suidgid: has(init::HANDLE_KILLPRIV_V2),
        expire_only: has(init::HAS_EXPIRE_ONLY),
        max_write,
    };
    (reply, negotiated)
}

/// How many of the machine's pages hold `bytes`.
fn pages(bytes: u32) -> u16 {
    let pages = bytes as usize / rustix::param::page_size();
    u16::try_from(pages.max(1)).unwrap_or(u16::MAX)
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

fn split(flags: u64) -> [u32; 2] {
    [flags, flags >> 32].map(|part| (part & u64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(minor: u32, flags: u64) -> InitIn {
        let [flags, flags2] = split(flags);
        InitIn { major: 7, minor, max_readahead: 1 << 17, flags, flags2, ..InitIn::default() }
    }

    #[test]
    fn only_what_is_offered_is_taken() {
        let wanted = Features { passthrough: true, ..Features::default() };
        let (reply, got) = negotiate(&kernel(31, init::MAX_PAGES | init::POSIX_ACL), &wanted);
        assert_eq!(got.flags, init::MAX_PAGES | init::POSIX_ACL);
        assert!(!got.passthrough && !got.no_open && got.posix_acl);
        assert_eq!((reply.minor, reply.max_stack_depth), (31, 0));
        assert_eq!(usize::from(reply.max_pages) * rustix::param::page_size(), 1 << 20);
    }

    #[test]
    fn only_what_is_wanted_is_taken() {
        let (_, got) = negotiate(&kernel(45, u64::MAX), &Features::default());
        assert!(!got.passthrough && !got.writeback_cache);
        assert_eq!(got.flags & !ALWAYS, init::POSIX_ACL);
    }

    #[test]
    fn high_flags_need_the_long_form() {
        let wanted = Features { passthrough: true, ..Features::default() };
        let (_, got) = negotiate(&kernel(45, !init::INIT_EXT), &wanted);
        assert!(!got.passthrough && !got.expire_only);
    }

    #[test]
    fn the_writeback_cache_excludes_passthrough() {
        let wanted = Features { passthrough: true, writeback_cache: true, ..Features::default() };
        let (_, got) = negotiate(&kernel(45, u64::MAX), &wanted);
        assert!(got.writeback_cache && !got.passthrough);
    }

    #[test]
    fn old_kernels_get_short_writes() {
        let (reply, got) = negotiate(&kernel(26, init::BIG_WRITES), &Features::default());
        assert_eq!((reply.max_pages, reply.max_write, got.max_write), (0, 128 << 10, 128 << 10));
    }
}
