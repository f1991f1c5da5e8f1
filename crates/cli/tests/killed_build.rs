//! A build that is killed leaves nothing behind that the next command does not take away.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the step runs, and nothing else on this machine.
const SECONDS: &str = "98127364";

#[test]
fn the_next_command_ends_the_steps_of_a_killed_build() {
    let name = "the_next_command_ends_the_steps_of_a_killed_build";
    if !testkit::require_root(name) {
        return;
    }
    let busybox = Path::new("/bin/busybox");
    let runtimes = ["/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc"];
    if !busybox.exists() || !runtimes.iter().any(|path| Path::new(path).exists()) {
        return testkit::machine::skip(name, "busybox-static, and crun or runc, are not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, context) = (dir.path().join("root"), dir.path().join("context"));
    fs::create_dir(&context).unwrap();
    fs::copy(busybox, context.join("busybox")).unwrap();
    let file = format!(
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sleep\", \"{SECONDS}\"]\n"
    );
    fs::write(context.join("Dockerfile"), file).unwrap();
    let layercake = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_layercake"));
        command.arg("--root").arg(&root).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut build = layercake().arg("build").arg(&context).spawn().unwrap();
    while !is_running() {
        assert!(build.try_wait().unwrap().is_none(), "the build ended by itself");
        std::thread::yield_now();
    }
    build.kill().unwrap();
    build.wait().unwrap();
    // Any command that writes; this one has nothing to do.
    assert!(layercake().args(["image", "prune", "--force"]).status().unwrap().success());
    assert!(!is_running(), "the step still runs");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(root.to_str().unwrap()), "{mounts}");
    assert_eq!(fs::read_dir(root.join("layercake/work")).unwrap().count(), 0);
    assert!(layercake().arg("check").status().unwrap().success());
}

/// Whether the step's process is there and no zombie.
fn is_running() -> bool {
    let processes = fs::read_dir("/proc").expect("listing processes").flatten();
    processes.map(|entry| entry.path().join("cmdline")).any(|path| {
        let line = fs::read(path).unwrap_or_default();
        line.starts_with(b"/bin/busybox\0sleep\0")
            && line.windows(SECONDS.len()).any(|part| part == SECONDS.as_bytes())
    })
}
