//! Volumes, bind mounts and tmpfs in containers that run.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::{World, everywhere};

/// Runs a script in a container with these flags; it has to succeed.
fn sh(world: &World, args: &[&str], script: &str) -> String {
    let (code, out, err) = world.container(&[&["--rm"], args, &["busybox", "sh", "-c", script]].concat());
    assert_eq!(code, 0, "{args:?} {script}: {err}");
    out.trim().to_owned()
}

#[test]
fn a_volume_outlives_its_containers_and_gets_what_the_image_has() {
    everywhere("a_volume_outlives_its_containers_and_gets_what_the_image_has", |world| {
        assert_eq!(sh(world, &["-v", "data:/etc"], "head -1 /etc/passwd; echo kept >/etc/new"), ROOT);
        assert_eq!(fs::read_to_string(world.root().join("volumes/data/_data/new")).unwrap(), "kept\n");
        assert_eq!(
            sh(world, &["--mount", "src=data,dst=/other"], "cat /other/new; head -1 /other/passwd"),
            kept()
        );
        let empty =
            sh(world, &["--mount", "src=bare,dst=/etc,volume-nocopy"], "test -e /etc/passwd || echo empty");
        assert_eq!(empty, "empty");
        world.ok(&["volume", "rm", "data", "bare"]);
        assert_eq!(world.ok(&["volume", "ls", "--quiet"]), "");
        world.assert_clean();
    });
}

const ROOT: &str = "root:x:0:0:root:/root:/bin/sh";

fn kept() -> String {
    format!("kept\n{ROOT}")
}

#[test]
fn what_may_only_be_read_cannot_be_written_to() {
    everywhere("what_may_only_be_read_cannot_be_written_to", |world| {
        let host = world.root().join("host");
        fs::create_dir_all(&host).unwrap();
        fs::write(host.join("file"), "of the host\n").unwrap();
        // The test is root's, the container perhaps somebody else's.
        for (path, mode) in [(host.clone(), 0o777), (host.join("file"), 0o666)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let bind = format!("{}:/bound:ro", host.display());
        let script = "cat /bound/file; touch /bound/x /vol/x 2>/dev/null || echo refused";
        assert_eq!(sh(world, &["-v", &bind, "-v", "vol:/vol:ro"], script), "of the host\nrefused");
        let file = format!("{}:/single", host.join("file").display());
        assert_eq!(
            sh(world, &["--read-only", "-v", &file], "echo more >>/single; cat /single").lines().count(),
            2
        );
        assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "of the host\nmore\n");
    });
}

#[test]
fn containers_share_a_volume_while_they_run() {
    everywhere("containers_share_a_volume_while_they_run", |world| {
        world.background("writer", &["-v", "shared:/data", "-v", "/nameless"]);
        world.background("reader", &["--volumes-from", "writer:ro"]);
        world.ok(&["exec", "writer", "sh", "-c", "echo written >/data/file; echo too >/nameless/file"]);
        assert_eq!(world.ok(&["exec", "reader", "cat", "/data/file", "/nameless/file"]), "written\ntoo");
        assert!(!world.run(&["exec", "reader", "touch", "/data/x"]).status.success());
        assert!(!world.run(&["volume", "rm", "shared"]).status.success());
        assert_eq!(world.ok(&["volume", "ls", "--quiet"]).lines().count(), 2);
        world.ok(&["rm", "--force", "--volumes", "writer"]);
        assert_eq!(world.ok(&["volume", "ls", "--quiet"]).lines().count(), 2, "the reader uses both");
        world.ok(&["rm", "--force", "--volumes", "reader"]);
        assert_eq!(world.ok(&["volume", "ls", "--quiet"]), "shared");
        world.assert_clean();
    });
}

#[test]
fn files_are_copied_into_a_container_that_runs() {
    everywhere("files_are_copied_into_a_container_that_runs", |world| {
        world.background("box", &["-v", "data:/data"]);
        // The archive that the image was made of lies where commands are run.
        for place in ["/tmp/", "/data/"] {
            world.ok(&["cp", "tree.tar", &format!("box:{place}")]);
            assert_eq!(world.ok(&["exec", "box", "ls", place]), "tree.tar");
        }
        world.ok(&["rm", "--force", "box"]);
        world.assert_clean();
    });
}

#[test]
fn a_tmpfs_is_the_containers_alone() {
    everywhere("a_tmpfs_is_the_containers_alone", |world| {
        let args = ["--tmpfs", "/a:size=64k", "--mount", "type=tmpfs,dst=/b,tmpfs-size=128k,tmpfs-mode=700"];
        let script =
            "for d in /a /b; do df -k $d | tail -1 | awk '{print $1, $2}'; done; stat -c %a /b; touch /a/x";
        assert_eq!(sh(world, &args, script), "tmpfs 64\ntmpfs 128\n700");
        assert_eq!(world.ok(&["volume", "ls", "--quiet"]), "");
    });
}
