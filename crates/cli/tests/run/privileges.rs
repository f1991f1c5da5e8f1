//! What a container may do.

use crate::world::everywhere;

#[test]
fn a_container_has_dockers_fourteen_capabilities_and_a_filter() {
    everywhere("a_container_has_dockers_fourteen_capabilities_and_a_filter", |world| {
        let status = |args: &[&str]| {
            let words = ["busybox", "grep", "-E", "CapEff|CapBnd|Seccomp:|NoNewPrivs", "/proc/self/status"];
            let (code, out, err) = world.container(&[&["--rm"], args, &words].concat());
            assert_eq!(code, 0, "{err}");
            out.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        let usual = "CapEff: 00000000a80425fb CapBnd: 00000000a80425fb";
        assert_eq!(status(&[]), format!("{} NoNewPrivs: 0 Seccomp: 2", usual));
        let less =
            status(&["--cap-drop", "ALL", "--cap-add", "chown", "--security-opt", "no-new-privileges"]);
        assert_eq!(less, "CapEff: 0000000000000001 CapBnd: 0000000000000001 NoNewPrivs: 1 Seccomp: 2");
        assert!(status(&["--security-opt", "seccomp=unconfined"]).ends_with("Seccomp: 0"));
        let all = status(&["--privileged"]);
        // As much as the machine gives to who makes it; in a user namespace he has all.
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim();
        let own = if world.rootless { "000001ffffffffff" } else { own };
        assert!(all.contains(&format!("CapBnd: {own}")) && all.ends_with("Seccomp: 0"), "{all}");
        let refused = world.container(&["--rm", "busybox", "mount", "-t", "tmpfs", "x", "/tmp"]);
        assert_ne!(refused.0, 0, "mount(2) needs more than a container has");
    });
}

#[test]
fn a_container_sees_what_belongs_to_it() {
    everywhere("a_container_sees_what_belongs_to_it", |world| {
        let sh = |args: &[&str], script: &str| {
            let (code, out, err) =
                world.container(&[&["--rm"], args, &["busybox", "sh", "-c", script]].concat());
            assert_eq!(code, 0, "{script}: {err}");
            out.trim().to_owned()
        };
        assert_eq!(sh(&["--network", "none"], "ls /sys/class/net"), "lo");
        assert_eq!(
            sh(&["--hostname", "box"], "cat /etc/hostname; cat /proc/sys/kernel/hostname"),
            "box\nbox"
        );
        assert_eq!(sh(&["-w", "/made/here"], "pwd"), "/made/here");
        assert_eq!(sh(&[], "cat /proc/kcore /proc/keys 2>&1 | wc -c | grep -c '^0$' || true").len(), 1);
        assert_eq!(
            sh(&["--read-only", "--tmpfs", "/tmp"], "touch /x 2>/dev/null || touch /tmp/x && echo $?"),
            "0"
        );
        assert_eq!(sh(&["-e", "A=b"], "echo $A $HOME"), "b /root");
        assert_eq!(sh(&["--entrypoint", "echo"], "x"), "sh -c x");
        if !world.rootless {
            assert_eq!(sh(&["-u", "ada"], "id -u; id -g; id -G; echo $HOME"), "7\n8\n8 9\n/home/ada");
            assert_eq!(sh(&["-u", "5:6"], "id -u; id -g"), "5\n6");
        }
        let nobody = world.container(&["--rm", "-u", "nobody", "busybox", "true"]);
        let why = "Error: unable to find user nobody: no matching entries in passwd file\n";
        assert_eq!((nobody.0, nobody.2.as_str()), (125, why));
    });
}

#[test]
fn limits_are_set_or_said_to_be_discarded() {
    everywhere("limits_are_set_or_said_to_be_discarded", |world| {
        let args = ["--rm", "-m", "64m", "--pids-limit", "20", "--cpus", "0.5", "busybox", "sh", "-c"];
        let files = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max \
            /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true";
        let (code, out, err) = world.container(&[&args[..], &[files]].concat());
        assert_eq!(code, 0, "{err}");
        if world.rootless {
            assert_eq!(err.matches("Limitation discarded.").count(), 3, "{err}");
        } else if sys::process::has_unified_cgroups() || std::fs::exists("/sys/fs/cgroup/memory").unwrap() {
            assert_eq!(out, "67108864\n20\n", "{err}");
        } else {
            testkit::machine::skip("limits", "no control groups on this machine");
        }
    });
}
