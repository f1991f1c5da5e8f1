//! Size limits of containers that run, on file systems with project quotas. A kernel without them skips this; the
//! virtual machine of `cargo xtask vm` has one.

use drivers::suite::{Place, ext4_with_quotas, xfs_with_quotas};
use testkit::machine;

use crate::world::{World, in_worlds};

/// Writes all that can be written, and prints how many bytes that is.
const FILL: &str = "cat /dev/zero >/tmp/big; wc -c </tmp/big";

#[test]
fn a_container_writes_up_to_its_limit_on_ext4() {
    limited("a limit on ext4", ext4_with_quotas);
}

#[test]
fn a_container_writes_up_to_its_limit_on_xfs() {
    limited("a limit on xfs", xfs_with_quotas);
}

fn limited(name: &str, place: Place) {
    in_worlds(name, &[(false, &[])], |world| {
        sys::mount::private_namespace().unwrap();
        let ground = match place() {
            Ok(ground) => ground,
            Err(why) => return machine::skip(name, &why),
        };
        let root = ground.config.root.to_str().unwrap();
        let ok = |args: &[&str]| world.ok(&[&["--root", root], args].concat());
        ok(&["import", "tree.tar", "busybox:latest"]);

        assert!((3 << 20..=4 << 20).contains(&filled(world, root, &[], &["--storage-opt", "size=4M"])));
        let default = ["--storage-opt", "overlay2.size=2M"];
        assert!((1 << 20..=2 << 20).contains(&filled(world, root, &default, &[])));
        assert!((3 << 20..=4 << 20).contains(&filled(world, root, &default, &["--storage-opt", "size=4M"])));
        let info = ok(&[&default[..], &["info"]].concat());
        assert!(info.contains("\n  Size Limit: 2MiB\n"), "{info}");

        ok(&["create", "--name", "small", "--storage-opt", "size=8M", "busybox", "true"]);
        assert_eq!(ok(&["inspect", "-f", "{{index .HostConfig.StorageOpt \"size\"}}", "small"]), "8M");
        let size = ok(&["ps", "-a", "--size", "--format", "{{.Size}}"]);
        assert!(size.starts_with("0B "), "{size}");
    });
}

/// How much a container can write.
fn filled(world: &World, root: &str, globals: &[&str], options: &[&str]) -> u64 {
    let (command, words) = (["run", "--runtime", world.runtime, "--rm"], ["busybox", "sh", "-c", FILL]);
    let said = world.ok(&[&["--root", root], globals, &command, options, &words].concat());
    said.trim().parse().unwrap()
}

#[test]
fn without_quotas_a_limit_is_refused_in_docker_s_words() {
    let name = "a limit without quotas";
    in_worlds(name, &[(false, &[])], |world| {
        let refused = world.run(&["create", "--storage-opt", "size=1M", "busybox", "true"]);
        if refused.status.success() {
            return machine::skip(name, "the temporary directory has project quotas");
        }
        let said = String::from_utf8(refused.stderr).unwrap();
        let docker =
            "Error: --storage-opt is supported only for overlay over xfs with 'pquota' mount option: ";
        assert!(said.starts_with(docker), "{said}");
        let refused = world.run(&["--storage-opt", "overlay2.size=1M", "ps"]);
        let said = String::from_utf8(refused.stderr).unwrap();
        let docker =
            "Error: Storage option overlay2.size not supported. Filesystem does not support Project Quota: ";
        assert!(said.starts_with(docker), "{said}");
        assert_eq!(world.ok(&["ps", "-aq"]), "");
    });
}
