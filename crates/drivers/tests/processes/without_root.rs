//! The driver `btrfs` of an ordinary user who is root of a user namespace, on a file system that root has mounted.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use drivers::suite::{btrfs, new_id, run_at};
use drivers::{Access, Config, Error, LayerKind};

/// The variable that tells the copy of this binary, inside the namespace, where to work.
const INSIDE: &str = "LAYERCAKE_WITHOUT_ROOT";
const NOBODY: u32 = 65534;

#[test]
fn layers_are_made_compared_and_removed() {
    if let Ok(root) = std::env::var(INSIDE) {
        return inside(Path::new(&root));
    }
    let name = "without_root::layers_are_made_compared_and_removed";
    run_at(
        name,
        |config| drivers::open("btrfs", config),
        btrfs,
        |bench| {
            let root = &bench.config.root;
            fs::remove_dir_all(root.join("btrfs")).unwrap();
            chown(root, Some(NOBODY), Some(NOBODY)).unwrap();
            for above in root.ancestors().skip(1).take(2) {
                fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
            }
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--"]).arg(std::env::current_exe().unwrap());
            command.args(["--exact", name, "--nocapture"]).env(INSIDE, root).uid(NOBODY).gid(NOBODY);
            let output = match command.output() {
                Ok(output) => output,
                Err(e) => return testkit::machine::skip(name, &format!("unshare: {e}")),
            };
            let text = [output.stdout, output.stderr]
                .map(|said| String::from_utf8_lossy(&said).into_owned())
                .concat();
            if text.contains("unshare failed") {
                return testkit::machine::skip(name, &text);
            }
            assert!(output.status.success() && text.contains("1 passed"), "in the user namespace:\n{text}");
        },
    );
}

fn inside(root: &Path) {
    sys::process::clear_umask();
    let config = Config { user_namespace: true, ..Config::new(root) };
    let driver = drivers::open("btrfs", &config).unwrap();
    assert!(!driver.capabilities().quota);
    let [base, container] = [new_id(), new_id()];
    let stage = driver.stage().unwrap();
    driver.prepare(&stage, &base, None, LayerKind::ReadOnly).unwrap();
    let staged = driver.staged_root(&stage, &base).unwrap();
    testkit::tree::file(staged.path(), "a/file", "below");
    testkit::tree::file(staged.path(), "b/file", "below");
    let limited = LayerKind::Writable { size: Some(1 << 20) };
    let refused = driver.prepare(&stage, &new_id(), Some(&base), limited).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
    driver.prepare(&stage, &container, Some(&base), LayerKind::Writable { size: None }).unwrap();
    driver.publish(&stage, &[base.clone(), container.clone()]).unwrap();

    let tree = driver.mount(&container, Access::Write).unwrap();
    fs::write(tree.join("a/file"), "above").unwrap();
    let dir = sys::dir::open_path(&tree.join("b")).unwrap();
    sys::btrfs::create(&dir, "inner".as_ref()).unwrap();
    fs::write(tree.join("b/inner/file"), "x").unwrap();
    drop(dir);
    assert_eq!(fs::read_to_string(driver.layer_root(&base).unwrap().path().join("a/file")).unwrap(), "below");
    let changes: Vec<String> = driver
        .changes(&container, Some(&base))
        .unwrap()
        .iter()
        .map(|change| format!("{} {}", change.kind, change.path.display()))
        .collect();
    assert_eq!(changes, ["C /a", "C /a/file", "C /b", "A /b/inner", "A /b/inner/file"]);
    assert_eq!(driver.usage(&container, Some(&base)).unwrap(), 6);
    assert_eq!(driver.counted(&container).unwrap(), None);

    driver.discard(&container).unwrap();
    drop(stage);
    assert_eq!(driver.sweep().unwrap().removed, 1);
    assert!(!driver.has_trash().unwrap());
    assert_eq!(driver.list().unwrap(), [base]);
}
