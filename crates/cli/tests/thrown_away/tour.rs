//! `layercake tour`, the real one: as root, as an ordinary user, without overlays, and ended before its end.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::world::{SOMEBODY, World, is_root};

/// What every tour shows, in this order.
const ALWAYS: &[&str] = &[
    "1. Images and layers",
    "$ layercake load -i demo.tar",
    "Loaded image: demo/app:1.0",
    "$ layercake history demo/app:1.0",
    "ADD rootfs.tar / # buildkit",
    "2. Sharing promotes smaller images",
    "SHARED SIZE   UNIQUE SIZE",
    "3. Image layers on the disk",
    "4. Two containers",
    "$ layercake create --name two demo/app:1.0",
    "0B (virtual 376kB)",
    "$ one=$(layercake mount one); echo $one",
    "5. Reading a file",
    "Welcome to the demo image.",
    "6. Writing to a file for the first time: copy-up",
    "7. Deleting a file: a whiteout",
    "8. Deleting a directory: an opaque directory",
    "9. Renaming a directory: EXDEV",
    "10. Container size on disk",
    "5B (virtual 376kB)",
    "11. Commit: the container layer becomes an image layer",
    "$ layercake history demo/app:2.0",
    "say hello",
    "12. Removing",
    "Deleted: sha256:",
    " is gone. That was the tour.",
];

/// What a tour with overlays shows.
const OVERLAY: &[&str] = &[
    " Storage Driver: overlay2",
    "$ ls -ln store/overlay2/l",
    "lrwxrwxrwx ",
    "committed  diff  link",
    "diff  link  lower  work",
    "c--------- ",
    "lowerdir",
    "upperdir=",
    " $one/etc/motd\n",
    "Hello from one.",
    " 327685 ",
    "C /usr/share/dict/words",
    "TODO",
    ".overlay.opaque=\"y\"",
    "= -1 EXDEV (Invalid cross-device link)",
    "\"$one/opt/app2\") = 0",
    "D /opt/app",
    "A /opt/app2/run",
    "328kB (virtual 704kB)",
];

/// The directory in which a tour took place.
fn place(text: &str) -> PathBuf {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("$ cd ")).expect(text);
    line.into()
}

#[track_caller]
fn assert_shows(text: &str, expected: &[&str]) {
    let mut rest = text;
    for line in expected {
        let at =
            rest.find(line).unwrap_or_else(|| panic!("no {line:?} after what came before it in\n{text}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn shows_everything_as_root() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let text = world.succeeds(&[], &["tour"]);
    assert_shows(&text, ALWAYS);
    world.assert_nothing_left(&place(&text));
    if text.contains("Storage Driver: overlay2") {
        assert_shows(&text, OVERLAY);
        assert!(text.contains("trusted.overlay.opaque"));
    } else {
        eprintln!("SKIPPED, no overlay can be mounted here");
    }
    assert!(!text.contains('\x1b'), "colours in a pipe");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "wide lines");
}

#[test]
fn shows_everything_as_an_ordinary_user() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let text = world.succeeds(SOMEBODY, &["tour"]);
    assert_shows(&text, ALWAYS);
    world.assert_nothing_left(&place(&text));
    if text.contains("Storage Driver: overlay2") {
        assert_shows(&text, OVERLAY);
        assert!(text.contains("user.overlay.opaque"));
    } else {
        eprintln!("SKIPPED, no overlay can be mounted by an ordinary user here");
    }
}

/// The same by our own union file system.
#[test]
fn shows_everything_in_user_space() {
    if !is_root() {
        return;
    }
    if let Err(why) = sys::fuse::open_device() {
        return eprintln!("SKIPPED, {why}");
    }
    let world = World::new();
    let text = world.succeeds(&[], &["--storage-driver", "fuse-overlayfs", "tour"]);
    assert_shows(&text, ALWAYS);
    assert_shows(
        &text,
        &[
            "because you asked for the driver fuse-overlayfs",
            "Storage Driver: fuse-overlayfs",
            "$ ls -ln store/fuse-overlayfs/l",
            "$ ls -lnA ",
            " .wh.cache\n",
            "Hello from one.",
            " 327685 ",
            "c--------- ",
            ".overlay.opaque=\"y\"",
            "= -1 EXDEV (Invalid cross-device link)",
            "D /opt/app",
        ],
    );
    assert!(!text.contains("Skipped:"), "{text}");
    world.assert_nothing_left(&place(&text));
}

#[test]
fn says_what_it_skips_without_overlays() {
    let world = World::new();
    let text = world.succeeds(&[], &["--storage-driver", "vfs", "tour"]);
    assert_shows(&text, ALWAYS);
    assert_shows(
        &text,
        &[
            "Skipped:",
            "driver vfs",
            "Storage Driver: vfs",
            "$ ls -ln store/vfs/dir",
            "With vfs a container reads",
        ],
    );
    assert_eq!(text.matches("Skipped:").count(), 6);
    world.assert_nothing_left(&place(&text));
}

#[test]
fn leaves_nothing_when_it_is_killed() {
    for before in [&[][..], SOMEBODY] {
        if !before.is_empty() && !is_root() {
            return;
        }
        let world = World::new();
        let mut tour = world.command(before, &["tour"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(tour.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("$ two=$(layercake mount two)") {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "{text}");
        }
        tour.kill().unwrap();
        tour.wait().unwrap();
        world.assert_nothing_left(&place(&text));
    }
}

#[test]
fn goes_on_quietly_when_nobody_reads() {
    let world = World::new();
    let mut tour =
        world.command(&[], &["tour"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(tour.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("$ cd ") {
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "{text}");
    }
    drop(out);
    let mut errors = String::new();
    tour.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(tour.wait().unwrap().success(), "{errors}");
    assert_eq!(errors, "");
    world.assert_nothing_left(&place(&text));
}

#[test]
fn a_kept_store_can_be_used_and_removed_as_it_says() {
    let world = World::new();
    let text = world.succeeds(&[], &["tour", "--keep"]);
    let dir = place(&text);
    let lines = |prefix: &str| text.lines().find_map(|line| line.split_once(prefix)).expect(prefix).1;
    let script = format!(
        "set -e; {}; layercake ps -aq; layercake check >/dev/null; {}",
        lines("To look around:  "),
        lines("To remove it:  ")
    );
    let path = format!("{}:{}", world.dir.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", &script]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.assert_nothing_left(&dir);
}
