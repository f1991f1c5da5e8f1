//! The driver `vfs`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use drivers::suite::{Bench, Builder, ext4_with_quotas, new_id, run, run_at, xfs_with_quotas};
use drivers::{Config, Driver, Error, LayerKind, Result, Vfs};
use model::CacheId;

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
        assert_eq!(bench.driver.directory(&id), bench.config.root.join("vfs/dir").join(id.as_str()));
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

/// A container's layer with this limit in bytes, or the driver's default.
fn limited(driver: &dyn Driver, parent: Option<&CacheId>, size: Option<u64>) -> Result<CacheId> {
    let (stage, id) = (driver.stage()?, new_id());
    driver.prepare(&stage, &id, parent, LayerKind::Writable { size })?;
    driver.publish(&stage, std::slice::from_ref(&id))?;
    Ok(id)
}

/// Whether so many MiB can be written to a file by somebody who, like root in a container, is not above quotas.
fn fits(driver: &dyn Driver, id: &CacheId, mib: u32) -> bool {
    let file = driver.mount(id, drivers::Access::Write).unwrap().join(format!("{mib}"));
    let dd = ["dd", "if=/dev/zero", "bs=1M", "conv=fsync"].map(str::to_owned);
    let to = [format!("of={}", file.display()), format!("count={mib}")];
    let mut command = std::process::Command::new("setpriv");
    command.args(["--bounding-set=-sys_resource", "--"]).args(dd).args(to);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let full = said.contains("No space left") || said.contains("Disk quota exceeded");
    assert!(output.status.success() || full, "{said}");
    output.status.success()
}

fn limits_hold(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("file", vec![1; 1 << 20]));
    let small = limited(&*bench.driver, Some(&base), Some(8 << 20)).unwrap();
    let other = bench.container(Some(&base));
    assert!(fits(&*bench.driver, &small, 4));
    assert!(!fits(&*bench.driver, &small, 16));
    assert!(fits(&*bench.driver, &other, 32));
    assert_eq!(bench.driver.counted(&small).unwrap(), None, "the image's files would be counted with it");

    let config = Config { options: vec!["size=4M".to_owned()], ..bench.config.clone() };
    let driver = open(&config).unwrap();
    for (size, expected) in [(None, false), (Some(16 << 20), true), (Some(0), true)] {
        let id = limited(&*driver, Some(&base), size).unwrap();
        assert_eq!(fits(&*driver, &id, 6), expected, "{size:?}");
    }
    assert!(fits(&*driver, &bench.layer(None, Builder::new()), 6), "an image's layer");

    // Somebody has put the whole data root into a project.
    let root = bench.config.root.join("inner");
    fs::create_dir(&root).unwrap();
    sys::quota::set_project(fs::File::open(&root).unwrap(), 77).unwrap();
    let driver = open(&Config::new(&root)).unwrap();
    let refused = limited(&*driver, None, Some(1 << 20)).unwrap_err();
    assert!(matches!(refused, Error::NoQuota { .. }), "{refused}");
    assert!(refused.to_string().contains("chattr"), "{refused}");
    limited(&*driver, None, None).unwrap();
}

/// A kernel without project quotas skips these; the vm has one.
#[test]
fn a_full_container_harms_no_other_on_ext4() {
    run_at("vfs on ext4 with quotas", open, ext4_with_quotas, limits_hold);
}

#[test]
fn a_full_container_harms_no_other_on_xfs() {
    run_at("vfs on xfs with quotas", open, xfs_with_quotas, limits_hold);
}

/// The option that Docker 25 has for file systems without extended attributes shows in `info`.
#[test]
fn losing_attributes_is_said() {
    run("losing_attributes_is_said", open, |bench: &Bench| {
        let options = vec!["vfs.xattrs=i_want_broken_containers".to_owned()];
        let driver = open(&Config { options, ..bench.config.clone() }).unwrap();
        let line = ("Extended file attributes".to_owned(), "best-effort".to_owned());
        assert_eq!(driver.status().unwrap(), [line]);
    });
}
