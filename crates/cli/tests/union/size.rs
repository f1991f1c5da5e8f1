//! `ps --size` remembers what a container takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::archive::Builder;

/// A change that went past the driver is what a walk would find.
#[test]
fn the_upper_layer_is_not_walked_again() {
    let name = "the_upper_layer_is_not_walked_again";
    if !testkit::machine::require_root(name) {
        return;
    }
    if let Err(why) = fs::File::open("/dev/fuse") {
        return testkit::machine::skip(name, &format!("/dev/fuse: {why}"));
    }
    sys::mount::private_namespace().unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let layercake = |args: &[&str]| layercake(tmp.path(), args);
    fs::write(tmp.path().join("rootfs.tar"), Builder::new().file("file", "x").build()).unwrap();
    layercake(&["import", "rootfs.tar", "x:1"]);
    layercake(&["create", "--name", "c1", "x:1", "sh"]);
    let root = PathBuf::from(layercake(&["mount", "c1"]));
    fs::create_dir_all(root.join("deep/er")).unwrap();
    fs::write(root.join("deep/er/file"), "12345").unwrap();
    layercake(&["unmount", "c1"]);

    let file = root.with_file_name("diff").join("deep/er/file");
    let size = || layercake(&["ps", "--all", "--size", "--format", "{{.Size}}"]);
    // It is remembered once the clock has moved on from the unmount.
    let seen = (0..500).find_map(|n| {
        std::thread::sleep(Duration::from_millis(10));
        let before = size();
        fs::write(&file, "1".repeat(6 + n)).unwrap();
        (size() == before).then_some((before, 6 + n))
    });
    let (remembered, bytes) = seen.expect("every time the upper layer is walked");
    assert!(!remembered.starts_with(&format!("{bytes}B ")), "{remembered}");

    layercake(&["mount", "c1"]);
    assert!(size().starts_with(&format!("{bytes}B ")), "a mounted container may change: it is walked");
    layercake(&["unmount", "c1"]);
    assert!(size().starts_with(&format!("{bytes}B ")), "what was remembered is from before the mount");
}

fn layercake(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layercake"));
    command.arg("--root").arg(dir.join("store")).args(["--storage-driver", "fuse-overlayfs"]).args(args);
    let output = command.current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
