//! Which system calls the processes of a container may use (seccomp(2)).
//!
//! The default follows the rules that Docker documents ("Seccomp security profiles"): everything is refused with
//! `EPERM` that is not known to be harmless; what needs a capability is allowed to containers that have it, because
//! then the kernel allows it or not by itself. Three calls depend on their arguments: `clone` and `unshare` may make no
//! new namespaces, `personality` only ordinary ones, `socket` none to the hypervisor. `clone3` hides its arguments, so
//! that it has to look as if the kernel had none (`ENOSYS`): C libraries then use `clone`.

mod calls;
mod profile;

use oci_spec::runtime as oci;
use oci_spec::runtime::{LinuxSeccompAction as Action, LinuxSeccompOperator as Operator};

pub use profile::read_profile;

/// The error of a call that is refused, and of one that the kernel shall seem not to have.
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// All flags of clone(2) that make a namespace: mount, control group, host name, IPC, user, process and network.
const NEW_NAMESPACES: u64 =
    0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;

/// `AF_VSOCK`: sockets to the hypervisor, which know no network namespaces.
const TO_HYPERVISOR: u64 = 40;

/// Personalities that a program may take: Linux, Linux with 32-bit addresses, both with the machine's name of 32 bit, and
/// the question which one it has.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The default filter of a container with these capabilities (`CAP_…`).
pub fn default_filter(capabilities: &[String]) -> oci::LinuxSeccomp {
    let has = |name: &str| capabilities.iter().any(|own| own == name);
    let mut rules = vec![allow(&calls::HARMLESS.join(" "))];
    rules.extend(PERSONALITIES.map(|value| allow_if("personality", 0, Operator::ScmpCmpEq, value, None)));
    rules.push(allow_if("socket", 0, Operator::ScmpCmpNe, TO_HYPERVISOR, None));
    if has("CAP_SYS_ADMIN") {
        rules.push(allow("clone clone3 unshare"));
    } else {
        // On s390 the flags are the second argument; there the rule refuses what is harmless.
        rules.push(allow_if("clone", 0, Operator::ScmpCmpMaskedEq, NEW_NAMESPACES, Some(0)));
        rules.push(answer("clone3", Action::ScmpActErrno, Some(ENOSYS)));
    }
    for (capability, names) in calls::BY_CAPABILITY {
        if has(capability) {
            rules.push(allow(names));
        }
    }
    let mut filter = oci::LinuxSeccomp::default();
    filter
        .set_default_action(Action::ScmpActErrno)
        .set_default_errno_ret(Some(EPERM))
        .set_architectures(Some(architectures()))
        .set_syscalls(Some(rules));
    filter
}

/// This machine's architecture, and the smaller ones whose programs its kernel runs.
fn architectures() -> Vec<oci::Arch> {
    match std::env::consts::ARCH {
        "x86_64" => vec![oci::Arch::ScmpArchX86_64, oci::Arch::ScmpArchX86, oci::Arch::ScmpArchX32],
        "aarch64" => vec![oci::Arch::ScmpArchAarch64, oci::Arch::ScmpArchArm],
        "s390x" => vec![oci::Arch::ScmpArchS390x, oci::Arch::ScmpArchS390],
        "riscv64" => vec![oci::Arch::ScmpArchRiscv64],
        "powerpc64" => vec![oci::Arch::ScmpArchPpc64le],
        _ => Vec::new(),
    }
}

/// `names` are separated by spaces.
fn allow(names: &str) -> oci::LinuxSyscall {
    answer(names, Action::ScmpActAllow, None)
}

fn allow_if(name: &str, index: usize, op: Operator, value: u64, second: Option<u64>) -> oci::LinuxSyscall {
    let argument = oci::LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
    let argument = match second {
        Some(second) => argument.value_two(second),
        None => argument,
    };
    // Every field has a default, so nothing can be missing.
    let argument = argument.build().unwrap_or_default();
    let mut rule = allow(name);
    rule.set_args(Some(vec![argument]));
    rule
}

fn answer(names: &str, action: Action, errno: Option<u32>) -> oci::LinuxSyscall {
    let mut rule = oci::LinuxSyscall::default();
    rule.set_names(names.split(' ').map(str::to_owned).collect()).set_action(action).set_errno_ret(errno);
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(filter: &oci::LinuxSeccomp) -> Vec<String> {
        let rules = filter.syscalls().iter().flatten();
        let allowing = rules.filter(|rule| rule.action() == Action::ScmpActAllow && rule.args().is_none());
        allowing.flat_map(|rule| rule.names().clone()).collect()
    }

    #[test]
    fn what_docker_documents_as_blocked_is_blocked() {
        let names = allowed(&default_filter(&[]));
        for blocked in [
            "acct",
            "add_key",
            "bpf",
            "clock_settime",
            "clone",
            "create_module",
            "delete_module",
            "finit_module",
            "get_kernel_syms",
            "get_mempolicy",
            "init_module",
            "ioperm",
            "iopl",
            "io_uring_setup",
            "kexec_file_load",
            "kexec_load",
            "keyctl",
            "lookup_dcookie",
            "mbind",
            "mount",
            "move_pages",
            "move_mount",
            "fsopen",
            "nfsservctl",
            "open_by_handle_at",
            "perf_event_open",
            "personality",
            "pivot_root",
            "quotactl",
            "reboot",
            "request_key",
            "set_mempolicy",
            "setns",
            "settimeofday",
            "stime",
            "swapon",
            "swapoff",
            "sysfs",
            "_sysctl",
            "umount",
            "umount2",
            "unshare",
            "uselib",
            "userfaultfd",
            "ustat",
            "vm86",
            "vm86old",
        ] {
            assert!(!names.contains(&blocked.to_owned()), "{blocked}");
        }
        for needed in [
            "read",
            "openat2",
            "futex",
            "execve",
            "epoll_pwait2",
            "rseq",
            "statx",
            "faccessat2",
            "close_range",
        ] {
            assert!(names.contains(&needed.to_owned()), "{needed}");
        }
    }

    #[test]
    fn no_call_is_named_twice() {
        let all = calls::HARMLESS.join(" ");
        let mut names: Vec<&str> = all.split(' ').collect();
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn a_capability_brings_its_calls() {
        let names = allowed(&default_filter(&["CAP_SYS_ADMIN".into()]));
        for call in ["mount", "unshare", "setns", "clone3", "bpf"] {
            assert!(names.contains(&call.to_owned()), "{call}");
        }
        assert!(!names.contains(&"init_module".to_owned()));
    }
}
