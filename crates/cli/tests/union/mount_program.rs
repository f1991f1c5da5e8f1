//! As the `mount_program` of others: Buildah and Podman share the code that calls it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output};

use crate::user_namespace::{Namespace, open_the_device};

/// An image of two layers, and what a third container sees of them. The second removes, replaces and links.
const SCRIPT: &str = r#"
set -e
b() {
    buildah --root "$DIR/root" --runroot "$DIR/run" --storage-driver overlay \
        --storage-opt "overlay.mount_program=$DIR/fuse-overlayfs" "$@"
}
commit() { b commit --quiet --signature-policy "$DIR/policy.json" "$1" "$2" >"$DIR/log"; b rm "$1" >"$DIR/log"; }

one=$(b from scratch)
m=$(b mount "$one")
grep " $m " /proc/self/mounts | cut -d ' ' -f 1,3
mkdir "$m/dir" "$m/was"; echo a >"$m/dir/a"; echo b >"$m/dir/b"; echo c >"$m/was/c"
b umount "$one" >"$DIR/log"
commit "$one" one

two=$(b from --pull-never --signature-policy "$DIR/policy.json" localhost/one)
m=$(b mount "$two")
rm "$m/dir/a"; ln "$m/dir/b" "$m/dir/link"; echo more >>"$m/dir/b"
rm -r "$m/was"; mkdir "$m/was"; echo d >"$m/was/d"; chown 5:6 "$m/was/d"
commit "$two" two

three=$(b from --pull-never --signature-policy "$DIR/policy.json" localhost/two)
m=$(b mount "$three")
cd "$m"; find . -type f -printf '%p %n %U:%G\n' | sort; cat dir/link; cd /
b rm --all >"$DIR/log"
b rmi --all --force >"$DIR/log"
grep -c "$DIR/root/overlay/" /proc/self/mounts || true
"#;

const EXPECTED: &str = "\
fuse-overlayfs fuse.fuse-overlayfs
./dir/b 2 0:0
./dir/link 2 0:0
./was/d 1 5:6
b
more
0
";

#[test]
fn buildah_makes_an_image_of_layers_with_it() {
    let name = "buildah_makes_an_image_of_layers_with_it";
    if !testkit::machine::require_root(name) {
        return;
    }
    if Command::new("buildah").arg("--version").output().is_err() {
        return testkit::machine::skip(name, "buildah is not installed");
    }
    sys::mount::private_namespace().unwrap();
    let tmp = tempfile::tempdir().unwrap();
    open_the_device(tmp.path());

    let root = prepared(&tmp.path().join("root"));
    check(&root, Command::new("sh").args(["-c", SCRIPT]).env("DIR", &root).output().unwrap());

    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(why) => return testkit::machine::skip(name, &why.to_string()),
    };
    let user = prepared(&tmp.path().join("user"));
    chown(&user, Some(100_000), Some(100_000)).unwrap();
    let mut command = namespace.enter(Path::new("unshare"));
    command.args(["--mount", "sh", "-c", SCRIPT]).env("DIR", &user).env("HOME", &user);
    // What Podman and Buildah tell themselves after they have made the namespace.
    command.env("_CONTAINERS_USERNS_CONFIGURED", "done").env("_CONTAINERS_ROOTLESS_UID", "100000");
    command.env("XDG_RUNTIME_DIR", &user).env("XDG_CONFIG_HOME", &user).env("XDG_CACHE_HOME", &user);
    check(&user, command.output().unwrap());
}

/// A directory with the program under the name that it is known by, and a policy that lets everything in.
fn prepared(dir: &Path) -> std::path::PathBuf {
    fs::create_dir(dir).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(env!("CARGO_BIN_EXE_layercake"), dir.join("fuse-overlayfs")).unwrap();
    fs::write(dir.join("policy.json"), r#"{"default": [{"type": "insecureAcceptAnything"}]}"#).unwrap();
    dir.to_owned()
}

fn check(dir: &Path, output: Output) {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text == EXPECTED, "{}:\n{text}\n{errors}", output.status);
    // The last one may be at its last steps.
    let left = (0..500).all(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        serves_below(dir)
    });
    assert!(!left, "a server is left");
}

/// Whether a process has a path below this as an argument.
fn serves_below(dir: &Path) -> bool {
    let wanted = dir.join("root/overlay").into_os_string().into_encoded_bytes();
    let line = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let mut lines = fs::read_dir("/proc").unwrap().flatten().map(line);
    lines.any(|line| line.windows(wanted.len()).any(|part| part == wanted))
}
