//! What is different for an ordinary user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use testkit::archive::Builder;

/// An ordinary user without a name, a home, or ranges of ids.
const SOMEBODY: u32 = 12345;

/// Runs a program as that user, who is at home.
fn as_somebody(home: &Path, program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={SOMEBODY}"), format!("--regid={SOMEBODY}")]).arg("--clear-groups");
    command.arg(program).args(args).current_dir(home).env("HOME", home).env_remove("LAYERCAKE_ROOT");
    command.env_remove("XDG_DATA_HOME").stdin(Stdio::null()).output().expect("running setpriv")
}

/// layercake where that user can reach it. Copied by another process: a child that another test starts just now must not
/// have the program open for writing.
fn copied_program(dir: &Path) -> PathBuf {
    let program = dir.join("layercake");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_layercake")).arg(&program).status();
    assert!(copied.expect("running cp").success());
    program
}

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
    let program = copied_program(dir.path());

    let as_somebody = |program: &Path, args: &[&str]| as_somebody(&home, program, args);
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

/// Steps run in the user's namespace, and what they make is theirs there.
#[test]
fn an_ordinary_user_builds() {
    let name = "an_ordinary_user_builds";
    if !testkit::require_root(name) {
        return;
    }
    let busybox = Path::new("/bin/busybox");
    let runtimes = ["/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc"];
    if !busybox.exists() || !runtimes.iter().any(|path| Path::new(path).exists()) {
        return testkit::machine::skip(name, "busybox-static, and crun or runc, are not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(home.join("context")).unwrap();
    fs::copy(busybox, home.join("context/busybox")).unwrap();
    let file = "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/busybox\n\
                RUN echo made >/made && busybox rm /bin/busybox\nRUN read it </made; echo \"it was $it\"\n";
    fs::write(home.join("context/Dockerfile"), file).unwrap();
    for path in ["", "context", "context/busybox", "context/Dockerfile"] {
        chown(home.join(path), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    let program = copied_program(dir.path());
    let as_somebody = |program: &Path, args: &[&str]| as_somebody(&home, program, args);
    if !as_somebody(Path::new("unshare"), &["--user", "true"]).status.success() {
        return testkit::machine::skip(name, "ordinary users get no user namespace here");
    }
    for driver in ["vfs", "overlay2"] {
        let args = [
            "--storage-driver",
            driver,
            "--root",
            driver,
            "build",
            "--progress",
            "plain",
            "-t",
            "x",
            "context",
        ];
        let output = as_somebody(&program, &args);
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && said.contains("overlay2") {
            testkit::machine::skip(name, &format!("overlay2 without root: {said}"));
            continue;
        }
        assert!(output.status.success(), "{driver}: {said}");
        assert!(said.contains("it was made"), "{driver}: {said}");
        let check = as_somebody(&program, &["--storage-driver", driver, "--root", driver, "check"]);
        assert!(check.status.success(), "{driver}: {}", String::from_utf8_lossy(&check.stdout));
    }
}
