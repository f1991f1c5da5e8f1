//! The ways to a mount, and its end.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fusewire::mount::{self, MountOptions};
use fusewire::{Features, Session};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::memory::Memory;
use crate::{mount_at, serve, serve_at};

/// A name with everything that ends a word, a line or an option somewhere.
const HOSTILE: &[u8] = b"- a,b:c\\d\n\t\"'$x\xff\xfe";

/// What is mounted; the tests beside this one mount on names that are no text.
fn mount_table() -> String {
    String::from_utf8_lossy(&fs::read("/proc/self/mountinfo").unwrap()).into_owned()
}

#[test]
fn the_mount_table_shows_what_was_asked_for() {
    let Some(mounted) = serve(Features::default()) else { return };
    let table = mount_table();
    let target = mounted.target.to_str().unwrap();
    let line = table.lines().find(|line| line.contains(target)).unwrap();
    assert!(line.contains(" fuse.memory fuse "), "{line}");
    assert!(line.contains("nosuid,nodev") && line.contains("default_permissions"), "{line}");
}

#[test]
fn a_hostile_path_is_mounted_on() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join(OsStr::from_bytes(HOSTILE));
    fs::create_dir(&target).unwrap();
    let Some(mounted) = serve_at(target, dir, 2, Features::default()) else { return };
    fs::write(mounted.path("file"), b"content").unwrap();
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"content");
}

#[test]
fn a_target_that_is_no_directory_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = mount_at(file.path()).unwrap_err().to_string();
    assert!(text.contains("not a directory") && text.contains(file.path().to_str().unwrap()), "{text}");
}

/// The helper mounts for those who may not: here a thread that has given the capability up.
#[test]
fn who_may_not_mount_does_so_by_fusermount() {
    if !rustix::process::geteuid().is_root() || Command::new("fusermount3").arg("-V").output().is_err() {
        return eprintln!("SKIPPED: needs fusermount3, and root to have something to give up");
    }
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join(OsStr::from_bytes(HOSTILE));
    fs::create_dir(&target).unwrap();
    let (name, data) = (target.join("file"), b"content");
    let session = std::thread::scope(|scope| {
        let mount = || {
            let mut sets: CapabilitySets = rustix::thread::capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::SYS_ADMIN);
            rustix::thread::set_capabilities(None, sets).unwrap();
            mount::mount(&target, &MountOptions { source: "a,b".into(), ..MountOptions::default() })
        };
        scope.spawn(mount).join().unwrap()
    });
    let session = match session {
        Ok(device) => Session::new(device, Features::default()),
        Err(e) => return eprintln!("SKIPPED: {e}"),
    };
    let fs = Memory::new();
    std::thread::scope(|scope| {
        scope.spawn(|| session.serve(&fs, 1).unwrap());
        let ended = std::panic::catch_unwind(|| {
            std::fs::write(&name, data).unwrap();
            assert_eq!(std::fs::read(&name).unwrap(), data);
            assert!(mount_table().lines().any(|line| line.contains(" fuse a,b ")));
        });
        mount::unmount(&target, true).unwrap();
        ended.unwrap();
    });
}

#[test]
fn a_killed_server_leaves_a_mount_that_can_be_unmounted() {
    let dir = tempfile::tempdir().unwrap();
    match mount_at(dir.path()) {
        Ok(_) => mount::unmount(dir.path(), false).unwrap(),
        Err(e) => return eprintln!("SKIPPED: {e}"),
    }
    let server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mounting::server_to_be_killed", "--ignored"])
        .env(TARGET, dir.path())
        .stdout(Stdio::null())
        .spawn();
    let server = Killed(server.unwrap());
    while !mount_table().contains(dir.path().to_str().unwrap()) {
        std::thread::yield_now();
    }
    fs::write(dir.path().join("file"), b"content").unwrap();
    drop(server);
    assert_eq!(
        fs::metadata(dir.path()).unwrap_err().raw_os_error(),
        Some(rustix::io::Errno::NOTCONN.raw_os_error())
    );
    mount::unmount(dir.path(), false).unwrap();
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

const TARGET: &str = "FUSEWIRE_TEST_TARGET";

/// The server of the test above.
#[test]
#[ignore = "a process of another test"]
fn server_to_be_killed() {
    let Some(target) = std::env::var_os(TARGET) else { return };
    let device = mount_at(Path::new(&target)).unwrap();
    Session::new(device, Features::default()).serve(&Memory::new(), 2).unwrap();
}

/// All of the above once more where root is root of a user namespace only.
#[test]
fn all_tests_pass_in_a_user_namespace() {
    const INSIDE: &str = "FUSEWIRE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let inside = |program: &Path| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount"]).arg(program).env(INSIDE, "1");
        unshare.output()
    };
    if !inside(Path::new("true")).is_ok_and(|output| output.status.success()) {
        return eprintln!("SKIPPED: this user may make no user namespace");
    }
    let output = inside(&std::env::current_exe().unwrap()).unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}
