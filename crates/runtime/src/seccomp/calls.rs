//! The system calls of Linux by subject (syscalls(2)), as far as containers may use them. Names that an architecture does
//! not have are skipped by the runtimes; the variants of 32-bit machines stand beside the calls that they are of.

/// Harmless to everybody outside the container; names separated by spaces.
pub(super) const HARMLESS: [&str; 15] = [
    OPEN_FILES,
    DATA,
    NAMES,
    ATTRIBUTES,
    FILE_SYSTEMS,
    WAITING,
    MEMORY,
    PROCESSES,
    IDENTITY,
    SCHEDULING,
    SIGNALS,
    TIME,
    MESSAGES,
    SOCKETS,
    MACHINE,
];

const OPEN_FILES: &str = "\
    open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl memfd_create \
    memfd_secret name_to_handle_at pipe pipe2 umask";

const DATA: &str = "\
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek readahead fadvise64 \
    fadvise64_64 arm_fadvise64_64 fallocate ftruncate ftruncate64 truncate truncate64 fsync fdatasync sync \
    syncfs sync_file_range sync_file_range2 arm_sync_file_range copy_file_range sendfile sendfile64 splice tee \
    vmsplice io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 cachestat";

const NAMES: &str = "\
    access faccessat faccessat2 chdir fchdir getcwd getdents getdents64 link linkat symlink symlinkat readlink \
    readlinkat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat inotify_init \
    inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark";

const ATTRIBUTES: &str = "\
    stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx chmod fchmod fchmodat fchmodat2 chown \
    chown32 fchown fchown32 fchownat lchown lchown32 utime utimes futimesat utimensat utimensat_time64 getxattr \
    lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr \
    listxattrat removexattr lremovexattr fremovexattr removexattrat";

const FILE_SYSTEMS: &str = "\
    statfs statfs64 fstatfs fstatfs64 statmount listmount";

const WAITING: &str = "\
    select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl \
    epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 \
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 futex futex_time64 \
    futex_waitv futex_wait futex_wake futex_requeue get_robust_list set_robust_list restart_syscall membarrier";

const MEMORY: &str = "\
    brk mmap mmap2 munmap mremap mprotect madvise process_mrelease mincore mlock mlock2 mlockall munlock \
    munlockall msync mseal map_shadow_stack remap_file_pages pkey_alloc pkey_free pkey_mprotect set_thread_area \
    get_thread_area modify_ldt arch_prctl set_tls cacheflush breakpoint riscv_flush_icache riscv_hwprobe";

const PROCESSES: &str = "\
    fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp \
    setpgid getsid setsid set_tid_address pidfd_open pidfd_send_signal prctl ptrace process_vm_readv \
    process_vm_writev seccomp rseq landlock_create_ruleset landlock_add_rule landlock_restrict_self";

const IDENTITY: &str = "\
    getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid \
    getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 \
    setresuid setresuid32 setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32 \
    capget capset lsm_get_self_attr lsm_set_self_attr lsm_list_modules";

const SCHEDULING: &str = "\
    getpriority setpriority nice ioprio_get ioprio_set sched_yield sched_getaffinity sched_setaffinity \
    sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler sched_setscheduler \
    sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64 getcpu \
    getrlimit setrlimit prlimit64 ugetrlimit getrusage";

const SIGNALS: &str = "\
    kill tkill tgkill pause alarm signal sigaction sigpending sigprocmask sigreturn sigsuspend sigaltstack \
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn rt_sigsuspend \
    rt_sigtimedwait rt_sigtimedwait_time64 getitimer setitimer";

const TIME: &str = "\
    time times gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep \
    clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64 timer_create timer_delete \
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64";

const MESSAGES: &str = "\
    ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget \
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
    mq_unlink";

const SOCKETS: &str = "\
    socketcall socketpair accept accept4 bind connect listen getpeername getsockname getsockopt setsockopt recv \
    recvfrom recvmsg recvmmsg recvmmsg_time64 send sendto sendmsg sendmmsg shutdown";

const MACHINE: &str = "\
    uname sysinfo getrandom";

/// What a capability allows beyond that.
pub(super) const BY_CAPABILITY: [(&str, &str); 14] = [
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree \
         open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 \
         vhangup",
    ),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
    ("CAP_SYS_BOOT", "reboot kexec_load kexec_file_load"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module query_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYSLOG", "syslog"),
];
