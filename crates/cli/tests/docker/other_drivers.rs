//! The same with other storage drivers than overlay2, and only with the distribution's Docker: later ones have lost
//! `overlay`.

use std::fs;
use std::path::Path;

use crate::archives::{self, APP, Fixture};
use crate::from_docker::everything_made_by_docker_is_layercakes;
use crate::said::Tool;
use crate::to_docker::everything_made_by_layercake_is_dockers;
use crate::witness::{Witness, skip};
use crate::world::World;

fn on(driver: &'static str, test: fn(&World)) {
    if !rustix::process::geteuid().is_root() {
        return skip(driver, "needs root");
    }
    match Witness::Distribution.find() {
        Ok(docker) => test(&World::on(docker, driver)),
        Err(why) => skip(driver, &why),
    }
}

#[test]
fn everything_made_by_docker_with_overlay_is_layercakes() {
    on("overlay", everything_made_by_docker_is_layercakes);
}

#[test]
fn everything_made_by_layercake_with_overlay_is_dockers() {
    on("overlay", everything_made_by_layercake_is_dockers);
}

#[test]
fn everything_made_by_docker_with_vfs_is_layercakes() {
    on("vfs", everything_made_by_docker_is_layercakes);
}

#[test]
fn everything_made_by_layercake_with_vfs_is_dockers() {
    on("vfs", everything_made_by_layercake_is_dockers);
}

#[test]
fn either_goes_on_with_what_the_other_wrote_with_fuse_overlayfs() {
    if !Path::new("/usr/bin/fuse-overlayfs").exists() {
        return skip("fuse-overlayfs", "the program that Docker mounts with is not installed");
    }
    on("fuse-overlayfs", |world| {
        let archive = world.path("images.tar");
        fs::write(&archive, Fixture::Classic.saved()).unwrap();
        world.layercake(&["load", "--input", archive.to_str().unwrap()]);
        world.layercake(&["create", "--name", "ours", APP]);
        let merged = world.layercake(&["mount", "ours"]);
        let merged = Path::new(merged.trim_end());
        fs::write(merged.join("etc/conf/a"), "changed\n").unwrap();
        fs::remove_file(merged.join("srv/second")).unwrap();
        fs::create_dir(merged.join("made")).unwrap();
        world.layercake(&["umount", "ours"]);
        let changes = |tool: &dyn Tool, name: &str| {
            let mut lines = tool.lines(&["diff", name]);
            lines.sort();
            lines
        };
        let ours = changes(world, "ours");

        let daemon = world.start();
        assert_eq!(changes(&daemon, "ours"), ours);
        daemon.docker(&["commit", "ours", "witness/ours:1"]);
        daemon.docker(&["create", "--name", "theirs", "witness/ours:1"]);
        let copied = archives::archive(&[("copied".to_owned(), b"x\n".to_vec())].into());
        daemon.docker_with(&copied, &["cp", "-", "theirs:/srv"]);
        let theirs = changes(&daemon, "theirs");
        daemon.stop();

        assert_eq!(changes(world, "theirs"), theirs);
        assert!(theirs.contains(&"A /srv/copied".to_owned()), "{theirs:?}");
        assert!(world.layercake(&["check"]).ends_with("no damage\n"));
        let merged = world.layercake(&["mount", "theirs"]);
        let read = |name: &str| fs::read_to_string(Path::new(merged.trim_end()).join(name));
        assert_eq!(
            (read("etc/conf/a").unwrap(), read("srv/copied").unwrap()),
            ("changed\n".into(), "x\n".into())
        );
        assert!(read("srv/second").is_err());
        world.layercake(&["umount", "theirs"]);
    });
}
