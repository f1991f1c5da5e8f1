//! What is different for an ordinary user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::archive::Builder;

/// An ordinary user without a name, a home, or ranges of ids.
const SOMEBODY: u32 = 12345;

/// It once led through the process that keeps the user's namespace, which ends when nothing is mounted.
#[test]
fn with_vfs_the_path_of_a_container_stays() {
    let name = "with_vfs_the_path_of_a_container_stays";
    if !testkit::require_root(name) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&home).unwrap();
    fs::write(home.join("rootfs.tar"), Builder::new().file("hello", "hello\n").build()).unwrap();
    chown(&home, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    // By another process: a child that another test starts just now must not have the program open for writing.
    let program = dir.path().join("layercake");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_layercake")).arg(&program).status();
    assert!(copied.unwrap().success());

    let as_somebody = |program: &Path, args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={SOMEBODY}"), format!("--regid={SOMEBODY}")]).arg("--clear-groups");
        command.arg(program).args(args).current_dir(&home).env("HOME", &home).env_remove("LAYERCAKE_ROOT");
        command.env_remove("XDG_DATA_HOME").stdin(Stdio::null()).output().unwrap()
    };
    if !as_somebody(Path::new("unshare"), &["--user", "true"]).status.success() {
        return testkit::machine::skip(name, "ordinary users get no user namespace here");
    }
    let layercake = |args: &[&str]| {
        let output = as_somebody(&program, &[&["--storage-driver", "vfs"], args].concat());
        let (text, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {errors}");
        text.trim().to_owned()
    };
    layercake(&["import", "rootfs.tar", "x:1"]);
    layercake(&["create", "--name", "c1", "x:1", "sh"]);
    let path = layercake(&["mount", "c1"]);
    assert!(Path::new(&path).starts_with(&home), "{path}");
    assert_eq!(fs::read_to_string(Path::new(&path).join("hello")).unwrap(), "hello\n");
}
