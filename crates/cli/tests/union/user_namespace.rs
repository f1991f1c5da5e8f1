//! Without root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

/// What a user namespace does not allow, whatever the driver: device nodes, and attributes of the machine's root.
const SKIP: [&str; 1] = ["devices_and_fifos"];

/// The suite once more, as root of a user namespace with many ids.
#[test]
fn the_suite_passes_there() {
    let name = "user_namespace::the_suite_passes_there";
    if !testkit::machine::require_root(name) {
        return;
    }
    sys::mount::private_namespace().unwrap();
    let tmp = tempfile::tempdir().unwrap();
    open_the_device(tmp.path());
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(why) => return testkit::machine::skip(name, &why.to_string()),
    };
    let mut test = namespace.enter(&std::env::current_exe().unwrap());
    test.args(["graph::", "snapshots::", "layers::", "life::", "--skip", name, "--nocapture"]);
    test.args(SKIP.iter().flat_map(|case| ["--skip", case]));
    let output = test.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // What the driver `aufs` says as root, too.
    let skips = |line: &&str| line.contains("skipped: ") && !line.ends_with("the driver never gives a stamp");
    assert!(
        output.status.success() && text.lines().filter(skips).count() == 0,
        "in a user namespace:\n{text}"
    );
}

/// A user namespace with the ids from 100000 as 0 to 65535.
pub(super) struct Namespace(Child);

impl Namespace {
    pub(super) fn new() -> std::io::Result<Self> {
        let holder = Self(Command::new("unshare").args(["--user", "--", "sleep", "3600"]).spawn()?);
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user"));
        while of(&holder.0.id().to_string())? == of("self")? {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{}/{map}", holder.0.id()), "0 100000 65536")?;
        }
        Ok(holder)
    }

    /// A command as its user 0.
    pub(super) fn enter(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--user=/proc/{}/ns/user", self.0.id()))
            .args(["--setuid", "0", "--setgid", "0", "--"]);
        command.arg(program).env("TMPDIR", "/tmp");
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets everybody use `/dev/fuse`, as on most machines, in this thread's mount namespace.
pub(super) fn open_the_device(tmp: &Path) {
    let device = tmp.join("fuse");
    let made = Command::new("mknod").arg(&device).args(["c", "10", "229"]).status().unwrap();
    assert!(made.success());
    fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(tmp, fs::Permissions::from_mode(0o755)).unwrap();
    let bound = Command::new("mount").arg("--bind").arg(&device).arg("/dev/fuse").status().unwrap();
    assert!(bound.success());
}
