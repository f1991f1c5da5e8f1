//! What the kernel does with the driver's mounts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use drivers::Access;
use drivers::suite::{Bench, Builder, run};

/// Bytes of a file that are in the page cache, or `None` without fincore(1).
fn cached(path: &Path) -> Option<u64> {
    let output = Command::new("fincore")
        .args(["--bytes", "--noheadings", "--output", "RES"])
        .arg(path)
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The advantage of union file systems: what one container has read, the other has in memory.
#[test]
fn two_containers_share_the_page_cache_of_their_image() {
    run("two_containers_share_the_page_cache_of_their_image", super::open, |bench: &Bench| {
        let size = 4 << 20;
        let image = bench.layer(None, Builder::new().file("library", vec![7; size]));
        let [one, two] = [(); 2].map(|()| bench.container(Some(&image)));
        let [one, two] =
            [&one, &two].map(|id| bench.driver.mount(id, Access::Write).unwrap().join("library"));
        let lower = bench.driver.layer_root(&image).unwrap().path().join("library");

        let ino = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!((ino(&one), ino(&two)), (ino(&lower), ino(&lower)));

        sys::dir::sync_fs(sys::dir::open_path(&bench.config.root).unwrap()).unwrap();
        let drop_cache = Command::new("dd")
            .arg(format!("if={}", lower.display()))
            .args(["iflag=nocache", "count=0"])
            .output();
        let (Ok(_), Some(cold)) = (drop_cache, cached(&lower)) else {
            return testkit::machine::skip("the page cache", "needs dd and fincore");
        };
        if cold > size as u64 / 2 {
            return testkit::machine::skip("the page cache", "this file system keeps its files in memory");
        }
        assert_eq!(fs::read(&one).unwrap().len(), size);
        // Never read through the second container, and yet there.
        assert_eq!(cached(&two), Some(size as u64));
        assert_eq!(cached(&lower), Some(size as u64));

        // A copy-up ends the sharing for the container that writes, and for that one only.
        fs::write(&one, "own").unwrap();
        assert_eq!(fs::metadata(&two).unwrap().len(), size as u64);
        assert_eq!(fs::metadata(&lower).unwrap().len(), size as u64);
    });
}

/// Without the new mount API, 128 lowers go by their short names into one page of options.
#[test]
fn the_longest_chain_of_docker_fits_into_a_page_of_options() {
    let token = "l/ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let id = "0".repeat(64);
    let options = format!(
        "index=off,lowerdir={},upperdir={id}/diff,workdir={id}/work",
        vec![token; drivers::Config::DOCKER_LOWERS].join(":")
    );
    assert!(options.len() < 4096, "{} bytes", options.len());
}

/// Many at once on one layer: one mount, and no error.
#[test]
fn processes_that_mount_at_once_make_one_mount() {
    run("processes_that_mount_at_once_make_one_mount", super::open, |bench: &Bench| {
        let image = bench.layer(None, Builder::new().file("file", "x"));
        let id = bench.container(Some(&image));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| bench.reopen().mount(&id, Access::Write).unwrap());
            }
        });
        assert_eq!(sys::mount::table(&bench.config.root).unwrap().len(), 1);
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..16).map(|_| scope.spawn(|| bench.reopen().unmount(&id).unwrap())).collect();
            let ended: Vec<bool> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            assert_eq!(ended.iter().filter(|ended| **ended).count(), 1, "one of them ended the mount");
        });
        assert_eq!(sys::mount::table(&bench.config.root).unwrap(), []);
    });
}

/// Copy-up, whiteout and opaque directory look in the upper as `diff` expects them; a rename of a directory that is
/// not the container's own is refused as on every Docker.
#[test]
fn what_a_container_does_shows_in_its_upper() {
    run("what_a_container_does_shows_in_its_upper", super::open, |bench: &Bench| {
        let image =
            bench.layer(None, Builder::new().dir("dir").file("dir/a", "x").dir("moved").file("gone", "x"));
        let id = bench.container(Some(&image));
        let upper = bench.driver.layer_root(&id).unwrap().path().to_owned();
        bench.edit(&id, |root| {
            fs::remove_file(root.join("gone")).unwrap();
            fs::remove_dir_all(root.join("dir")).unwrap();
            fs::create_dir(root.join("dir")).unwrap();
            let refused = fs::rename(root.join("moved"), root.join("elsewhere")).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::CrossesDevices);
        });
        let fd = sys::dir::open_path(&upper).unwrap();
        assert!(sys::meta::of(&fd, "gone".as_ref()).unwrap().is_whiteout());
        let opaque = sys::xattr::get(&fd, "dir".as_ref(), "trusted.overlay.opaque".as_ref()).unwrap();
        assert_eq!(opaque.as_deref(), Some(&b"y"[..]));
    });
}
