//! The driver `vfs`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use drivers::suite::{Bench, Builder, run};
use drivers::{Config, Driver, Result, Vfs};

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(Vfs::open(config)?))
}

drivers::conformance!(super::open);

/// moby.md §9.2.
#[test]
fn directories_are_docker_s() {
    run("directories_are_docker_s", open, |bench: &Bench| {
        let id = bench.layer(None, Builder::new().file("file", "x"));
        let mode =
            |path: &str| fs::metadata(bench.config.root.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("vfs"), 0o710);
        assert_eq!(mode("vfs/dir"), 0o710);
        assert_eq!(mode(&format!("vfs/dir/{id}")), 0o755);
        assert_eq!(bench.driver.status().unwrap(), []);
        assert_eq!(bench.driver.metadata(&id).unwrap(), []);
    });
}

/// Docker's copies lose all attributes but capabilities, and make FIFOs of sockets (moby.md §9.2).
#[test]
fn a_copy_keeps_everything() {
    run("a_copy_keeps_everything", open, |bench: &Bench| {
        let base = bench.container(None);
        bench.edit(&base, |root| {
            testkit::tree::file(root, "a/b/file", "content");
            fs::hard_link(root.join("a/b/file"), root.join("linked")).unwrap();
            testkit::tree::symlink(root, "link", "a/b/file");
            testkit::tree::set_xattr(&root.join("a/b/file"), "user.note", b"kept");
            testkit::tree::set_xattr(&root.join("a/b"), "trusted.note", b"kept");
            testkit::tree::set_xattr(&root.join("link"), "trusted.note", b"kept");
            drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
            fs::set_permissions(root.join("a/b"), fs::Permissions::from_mode(0o1050)).unwrap();
            fs::set_permissions(root.join("linked"), fs::Permissions::from_mode(0o4000)).unwrap();
        });
        let copy = bench.container(Some(&base));
        let tree = |id| bench.look(id, testkit::tree::dump);
        assert_eq!(tree(&copy), tree(&base));
        let ino = |path: &str| bench.look(&copy, |root| fs::metadata(root.join(path)).unwrap().ino());
        assert_eq!(ino("linked"), ino("a/b/file"));
    });
}
