//! What a machine must have for a test. What is missing is said, never passed over in silence.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Whether this process is root; else says that the test `what` is skipped.
pub fn require_root(what: &str) -> bool {
    let root = sys::process::euid() == 0;
    if !root {
        println!("skipped: {what}: needs root");
    }
    root
}

/// Says that a test is skipped.
pub fn skip(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
}

/// The variable by which a test knows that it is the copy inside the namespace.
const INSIDE: &str = "LAYERCAKE_TEST_IN_USER_NAMESPACE";

/// Runs the test `name` (its full path as `cargo test` shows it) again, as an ordinary user who is root in a user
/// namespace with one id. Returns `true` in that copy, which then does the test; `false` outside, when the copy has
/// passed or the machine has no user namespaces.
pub fn in_user_namespace(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let exe = std::env::current_exe().expect("this test's binary");
    let nobody = 65534;
    let unshare = |args: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--"]).args(args).env(INSIDE, "1").env("TMPDIR", "/tmp");
        if sys::process::euid() == 0 {
            command.uid(nobody).gid(nobody);
        }
        command.output()
    };
    match unshare(&[exe.as_os_str(), "--list".as_ref()]) {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            skip(name, String::from_utf8_lossy(&output.stderr).trim());
            return false;
        }
        Err(e) => {
            skip(name, &format!("unshare: {e}"));
            return false;
        }
    }
    let output =
        unshare(&[exe.as_os_str(), "--exact".as_ref(), name.as_ref(), "--nocapture".as_ref()]).unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in a user namespace:\n{text}");
    assert!(text.contains("1 passed"), "no test is called {name}:\n{text}");
    false
}
