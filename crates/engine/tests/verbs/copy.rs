//! `cp`: what Docker 28.5 does with the same paths, and what no archive and no container may do.

use std::io::Cursor;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use archive::tar::{Entry, Kind, Limits, Reader};
use drivers::Access;
use engine::Result;
use engine::copy::CopyOptions;
use model::ContainerId;
use testkit::archive::{Builder, entry};

use crate::both::worlds;
use crate::world::World;

const PLAIN: CopyOptions = CopyOptions { follow: false, keep_owners: false };
const FOLLOW: CopyOptions = CopyOptions { follow: true, keep_owners: false };

/// A container and a directory of the host, with the same things in them that the notes on Docker were taken with.
struct Case {
    world: World,
    id: ContainerId,
    host: tempfile::TempDir,
}

fn image() -> Vec<u8> {
    let owned = |e: &mut Entry| (e.uid, e.gid) = (5, 6);
    Builder::new()
        .dir_with("d", owned)
        .file_with("d/f", "f\n", owned)
        .hardlink("d/f2", "d/f")
        .symlink("d/lf", "f")
        .dir("d/sub")
        .file("d/sub/g", "g\n")
        .symlink("d/up", "../../../../x")
        .symlink("ld", "/d")
        .symlink("lsub", "d/sub")
        .symlink("dangling", "/nowhere")
        .symlink("abs", "/etc")
        .dir("var/tmp")
        .symlink("tmp", "/var/tmp")
        .dir("etc")
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .build()
}

fn cases() -> Vec<Case> {
    let case = |world: World| {
        let id = world.container_of("cc", image());
        let host = tempfile::tempdir().unwrap();
        let at = |path: &str| host.path().join(path);
        std::fs::create_dir_all(at("dir/s")).unwrap();
        std::fs::write(at("dir/s/q"), "q\n").unwrap();
        symlink("s", at("dir/ls")).unwrap();
        std::fs::write(at("own"), "own\n").unwrap();
        std::fs::set_permissions(at("own"), std::fs::Permissions::from_mode(0o4751)).unwrap();
        for (link, target) in [("ldir", "dir"), ("lown", "own"), ("ldang", "nothere")] {
            symlink(target, at(link)).unwrap();
        }
        Case { world, id, host }
    };
    worlds().into_iter().map(case).collect()
}

impl Case {
    fn host(&self, path: &str) -> PathBuf {
        // Not `join` alone: it keeps what the path ends in, but would take an absolute one for the whole.
        PathBuf::from(format!("{}/{path}", self.host.path().display()))
    }

    fn out(&self, path: &str, local: &str, options: CopyOptions) -> Result<u64> {
        self.world.engine.copy_out(&self.id, Path::new(path), &self.host(local), options)
    }

    fn put(&self, local: &str, path: &str, options: CopyOptions) -> Result<u64> {
        self.world.engine.copy_in(&self.host(local), &self.id, Path::new(path), options)
    }

    fn stream_in(&self, archive: Vec<u8>, path: &str) -> Result<()> {
        self.world.engine.copy_to(&self.id, Path::new(path), Box::new(Cursor::new(archive)))
    }

    fn stream_out(&self, path: &str, follow: bool) -> Result<Vec<String>> {
        let mut archive = Vec::new();
        self.world.engine.copy_from(&self.id, Path::new(path), follow, &mut archive)?;
        let mut reader = Reader::new(&archive[..], Limits::default());
        let mut lines = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let link = match member.entry.kind {
                Kind::Symlink => format!(" -> {}", text(&member.entry.link)),
                Kind::HardLink => format!(" = {}", text(&member.entry.link)),
                _ => String::new(),
            };
            lines.push(text(&member.entry.path) + &link);
        }
        Ok(lines)
    }

    /// Names in the container that begin with `path`, without attributes.
    fn inside(&self, path: &str) -> Vec<String> {
        self.stream_out(path, false).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.stream_out(path, false).is_ok()
    }

    /// The content of a file of the container.
    fn read(&self, path: &str) -> String {
        let mut archive = Vec::new();
        self.world.engine.copy_from(&self.id, Path::new(path), true, &mut archive).unwrap();
        let mut reader = Reader::new(&archive[..], Limits::default());
        reader.next_member().unwrap().unwrap();
        std::io::read_to_string(reader).unwrap()
    }

    /// Everything below a path of the host, sorted.
    fn tree(&self, path: &str) -> Vec<String> {
        let root = self.host(path);
        let lines =
            testkit::tree::dump_without(&root, testkit::tree::Without { times: true, dir_times: true });
        lines.iter().skip(1).map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
    }
}

fn error<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

const D: [&str; 6] = ["f", "f2", "lf", "sub", "sub/g", "up"];

#[test]
fn archives_of_a_path_have_dockers_names() {
    for case in cases() {
        let of = |path, follow| case.stream_out(path, follow).unwrap();
        let d = |name: &str| {
            vec![
                format!("{name}/"),
                format!("{name}/f"),
                format!("{name}/f2 = {name}/f"),
                format!("{name}/lf -> f"),
                format!("{name}/sub/"),
                format!("{name}/sub/g"),
                format!("{name}/up -> ../../../../x"),
            ]
        };
        assert_eq!(of("/d", false), d("d"));
        assert_eq!(of("d", false), d("d"));
        assert_eq!(of("/d/.", false), d("."));
        assert_eq!(of("/ld/", false), d("ld"));
        assert_eq!(of("/ld/.", false), d("."));
        assert_eq!(of("/ld", false), ["ld -> /d"]);
        assert_eq!(of("/ld", true), d("d"));
        assert_eq!(of("/d/../d/f", false), ["f"]);
        assert_eq!(of("/ld/f", false), ["f"]);
        assert_eq!(of("/dangling", false), ["dangling -> /nowhere"]);
        assert_eq!(of("/", false)[..3], ["/", "/.dockerenv", "/abs -> /etc"]);
        assert_eq!(of("/.", false)[..3], ["./", "./.dockerenv", "./abs -> /etc"]);
        assert_eq!(of(".", false)[..2], ["./", "./.dockerenv"]);
    }
}

#[test]
fn paths_that_lead_nowhere_get_dockers_messages() {
    for case in cases() {
        let of = |path, follow| error(case.stream_out(path, follow));
        assert_eq!(of("", false), "bad parameter: pathcannot be empty");
        assert_eq!(of("/nodir/nofile", false), "Could not find the file /nodir/nofile in container cc");
        assert_eq!(of("/dangling/", false), "Could not find the file /dangling/ in container cc");
        assert_eq!(of("/dangling", true), "Could not find the file /nowhere in container cc");
        assert_eq!(of("/d/f/", false), "lstat /d/f/: not a directory");
        assert_eq!(of("/d/f/.", false), "lstat /d/f/.: not a directory");
        assert_eq!(of("/d/f/x", false), "lstat /d/f/x: not a directory");
        assert_eq!(error(case.out("/d/f", "nodir/x/f", PLAIN)), {
            let dir = case.host("nodir/x");
            format!("invalid output path: directory {dir:?} does not exist")
        });
        assert_eq!(error(case.out("/d/f", "nodir/", PLAIN)), "no such directory");
        assert_eq!(error(case.out("/d/f", "own/", PLAIN)), {
            format!("stat {}: not a directory", case.host("own/").display())
        });
        assert_eq!(error(case.out("/d", "own", PLAIN)), "cannot copy directory");
        assert_eq!(error(case.out("/d/.", "own", PLAIN)), "cannot copy directory");
        let device = case.world.engine.copy_out(&case.id, Path::new("/d/f"), Path::new("/dev/null"), PLAIN);
        let expected =
            "invalid output path: \"/dev/null\" must be a directory or a regular file: got a device";
        assert_eq!(error(device), expected);
    }
}

#[test]
fn out_of_a_container_in_all_cases() {
    for case in cases() {
        std::fs::create_dir(case.host("o")).unwrap();
        let out = |path, local| _ = case.out(path, local, PLAIN).unwrap();
        out("/d", "o");
        assert_eq!(case.tree("o/d"), D);
        out("/d", "o"); // once more, over what is there
        assert_eq!(case.tree("o/d"), D);
        for (path, local) in
            [("/d", "new1"), ("/d", "new2/"), ("/d/.", "new3"), ("/d/.", "new4/"), ("/ld/", "new5")]
        {
            out(path, local);
            assert_eq!(case.tree(local), D, "{path} {local}");
        }
        out("/d/f", "file");
        assert_eq!(std::fs::read_to_string(case.host("file")).unwrap(), "f\n");
        out("/d/sub/g", "file");
        assert_eq!(std::fs::read_to_string(case.host("file")).unwrap(), "g\n");
        std::fs::create_dir(case.host("all")).unwrap();
        out("/d/.", "all");
        assert_eq!(case.tree("all"), D);
        // Links of the host are followed, to what is there and to what is not.
        out("/d/f", "lown");
        assert_eq!(std::fs::read_to_string(case.host("own")).unwrap(), "f\n");
        out("/d/f", "ldir");
        assert!(case.host("dir/f").is_file());
        out("/d/f", "ldang");
        assert!(case.host("nothere").is_file() && case.host("ldang").is_symlink());
        // Links of the container are copied, or followed with -L under their own name.
        out("/ld", "link");
        assert_eq!(std::fs::read_link(case.host("link")).unwrap(), Path::new("/d"));
        case.out("/ld", "o", FOLLOW).unwrap();
        assert_eq!(case.tree("o/ld"), D);
    }
}

#[test]
fn files_replace_files_and_directories_merge_but_never_the_other_kind() {
    for case in cases() {
        std::fs::create_dir_all(case.host("o2/d")).unwrap();
        std::fs::write(case.host("o2/d/sub"), "").unwrap();
        std::fs::create_dir_all(case.host("o3/f")).unwrap();
        let shown = |path: &str| case.host(path).display().to_string();
        assert_eq!(
            error(case.out("/d", "o2", PLAIN)),
            format!("cannot overwrite non-directory \"d/sub\" with directory {:?}", shown("o2"))
        );
        assert_eq!(
            error(case.out("/d/f", "o3", PLAIN)),
            format!("cannot overwrite directory \"f\" with non-directory {:?}", shown("o3"))
        );
        case.put("own", "/own", PLAIN).unwrap();
        std::fs::create_dir(case.host("t")).unwrap();
        let archive = Builder::new().dir("own").build();
        assert_eq!(
            error(case.stream_in(archive, "/")),
            "cannot overwrite non-directory \"own\" with directory \"/\""
        );
    }
}

#[test]
fn into_a_container_in_all_cases() {
    for case in cases() {
        let into = |local, path| _ = case.put(local, path, PLAIN).unwrap();
        let dir = |name: &str| {
            vec![format!("{name}/"), format!("{name}/ls -> s"), format!("{name}/s/"), format!("{name}/s/q")]
        };
        for (local, path) in [
            ("own", "/"),
            ("own", "/abs"),      // a link to a directory: into it
            ("own", "/dangling"), // a link to nothing: what it leads to is made
            ("own", "/lsub/zz"),
            ("own", "/d/lf"), // a link to a file: that file is replaced
        ] {
            into(local, path);
        }
        for file in ["/own", "/etc/own", "/nowhere", "/d/sub/zz", "/d/f"] {
            assert_eq!(case.read(file), "own\n", "{file}");
        }
        assert_eq!(case.inside("/d/lf"), ["lf -> f"]);
        for (local, path, made) in [
            ("dir", "/new1", "/new1"),
            ("dir/", "/new2", "/new2"),
            ("dir/.", "/new3", "/new3"),
            ("dir", "/new4/", "/new4"),
            ("dir/.", "/new5/", "/new5"),
            ("dir", "/d", "/d/dir"),
            ("ldir/", "/l2", "/l2"),
            ("ldir/.", "/l3", "/l3"),
            ("ldir/", "/var", "/var/ldir"),
        ] {
            into(local, path);
            assert_eq!(case.inside(made), dir(made.rsplit('/').next().unwrap()), "{local} {path}");
        }
        into("dir/.", "/var/tmp");
        assert_eq!(case.inside("/var/tmp/s"), ["s/", "s/q"]);
        into("ldir", "/l1");
        assert_eq!(case.inside("/l1"), ["l1 -> dir"]);
        into("ldang", "/l7");
        assert_eq!(case.inside("/l7"), ["l7 -> nothere"]);
        case.put("ldir", "/l4", FOLLOW).unwrap();
        assert_eq!(case.inside("/l4"), dir("l4"));
        case.put("lown", "/var", FOLLOW).unwrap();
        assert_eq!(case.read("/var/lown"), "own\n");
        assert_eq!(case.world.engine.mounts().unwrap(), [], "what was mounted for a copy is unmounted");
    }
}

#[test]
fn what_cannot_be_copied_into_a_container_gets_dockers_messages() {
    for case in cases() {
        case.put("own", "/own", PLAIN).unwrap();
        let shown = |path: &str| case.host(path).display().to_string();
        let into = |local, path| error(case.put(local, path, PLAIN));
        assert_eq!(into("own", "/nodir/x"), "Could not find the file /nodir in container cc");
        assert_eq!(into("own", "/nodir/"), "no such directory");
        assert_eq!(into("own", "/own/"), "no such directory");
        assert_eq!(into("own", "/own/x"), "extraction point is not a directory");
        assert_eq!(into("dir", "/own"), "cannot copy directory");
        assert_eq!(into("dir/.", "/own"), "cannot copy directory");
        assert_eq!(into("nosuch", "/"), format!("lstat {}: no such file or directory", shown("nosuch")));
        assert_eq!(into("own/", "/x"), "not a directory");
        assert_eq!(
            error(case.put("ldang", "/x", FOLLOW)),
            format!("lstat {}: no such file or directory", shown("nothere"))
        );
        assert_eq!(
            error(case.stream_in(Vec::new(), "/nodir")),
            "destination \"cc:/nodir\" must be a directory"
        );
        assert_eq!(error(case.stream_in(Vec::new(), "/own")), "destination \"cc:/own\" must be a directory");
    }
}

#[test]
fn owners_modes_and_times_are_kept_as_docker_keeps_them() {
    if !testkit::require_root("owners") {
        return;
    }
    for case in cases() {
        std::os::unix::fs::chown(case.host("own"), Some(123), Some(456)).unwrap();
        std::fs::set_permissions(case.host("own"), std::fs::Permissions::from_mode(0o4751)).unwrap();
        case.put("own", "/own", PLAIN).unwrap();
        let mut archive = Vec::new();
        case.world.engine.copy_from(&case.id, Path::new("/own"), false, &mut archive).unwrap();
        let found = Reader::new(&archive[..], Limits::default()).next_member().unwrap().unwrap().entry;
        assert_eq!((found.mode, found.uid, found.gid), (0o4751, 123, 456));

        case.out("/d", "plain", PLAIN).unwrap();
        case.out("/d", "kept", CopyOptions { keep_owners: true, ..PLAIN }).unwrap();
        let owner =
            |path: &str| std::fs::symlink_metadata(case.host(path)).map(|m| (m.uid(), m.gid())).unwrap();
        assert_eq!((owner("plain"), owner("plain/f")), ((0, 0), (0, 0)));
        assert_eq!((owner("kept"), owner("kept/f")), ((5, 6), (5, 6)));
        let meta = std::fs::metadata(case.host("kept")).unwrap();
        let time = testkit::archive::TIME;
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (time.secs, i64::from(time.nanos)));
        assert_eq!(std::fs::metadata(case.host("kept/f")).unwrap().nlink(), 2);
    }
}

#[test]
fn the_directory_that_is_unpacked_into_keeps_its_mode() {
    for case in cases() {
        std::fs::create_dir(case.host("o5")).unwrap();
        std::fs::set_permissions(case.host("o5"), std::fs::Permissions::from_mode(0o700)).unwrap();
        case.out("/d/.", "o5", PLAIN).unwrap();
        assert_eq!(std::fs::metadata(case.host("o5")).unwrap().mode() & 0o7777, 0o700);
    }
}

#[test]
fn the_length_is_that_of_dockers_archive() {
    for case in cases() {
        assert_eq!(case.put("own", "/own", PLAIN).unwrap(), 2048);
        assert_eq!(case.out("/d/f", "x", PLAIN).unwrap(), 2048);
    }
}

#[test]
fn archives_come_in_compressed_too() {
    for case in cases() {
        let plain = Builder::new().file("tmp/file", "1").build();
        let mut gzip = archive::compress::encoder(archive::compress::Compression::Gzip, Vec::new()).unwrap();
        std::io::Write::write_all(&mut gzip, &plain).unwrap();
        case.stream_in(gzip.finish().unwrap(), "/d").unwrap();
        assert_eq!(case.read("/d/tmp/file"), "1");
        // A link among an entry's parents is followed inside the container.
        case.stream_in(plain, "/").unwrap();
        assert_eq!(case.read("/var/tmp/file"), "1");
        let junk = error(case.stream_in(b"no archive".to_vec(), "/d"));
        assert!(junk.contains("tar"), "{junk}");
    }
}

#[test]
fn special_files_are_made_on_the_host() {
    if !testkit::require_root("device nodes") {
        return;
    }
    for case in cases() {
        let mut fifo = entry("fifo", Kind::Fifo, 0o600);
        fifo.uid = 7;
        case.stream_in(Builder::new().entry(fifo, b"").char_device("null", 1, 3).build(), "/d").unwrap();
        case.out("/d", "special", PLAIN).unwrap();
        use std::os::unix::fs::FileTypeExt;
        assert!(std::fs::metadata(case.host("special/fifo")).unwrap().file_type().is_fifo());
        let null = std::fs::metadata(case.host("special/null")).unwrap();
        assert_eq!((null.file_type().is_char_device(), null.rdev()), (true, 0x103));
    }
}

#[test]
fn a_container_that_is_mounted_stays_mounted() {
    for case in cases() {
        let dir = case.world.engine.mount(&case.id, Access::Write).unwrap();
        case.put("own", "/own", PLAIN).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("own")).unwrap(), "own\n");
        std::fs::write(dir.join("d/f"), "changed").unwrap();
        assert_eq!(case.read("/d/f"), "changed");
        let mounts = case.world.engine.driver().capabilities().mounts;
        assert_eq!(case.world.engine.unmount(&case.id).unwrap(), mounts);
    }
}

#[test]
fn a_read_only_container_is_not_written_to() {
    for case in cases() {
        let path = case.world.tmp.path().join(format!("containers/{}/hostconfig.json", case.id.hex()));
        let mut host: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        host["ReadonlyRootfs"] = true.into();
        std::fs::write(&path, host.to_string()).unwrap();
        assert_eq!(error(case.put("own", "/x", PLAIN)), "container rootfs is marked read-only");
        assert!(!case.has("/x"));
    }
}

#[test]
fn what_is_in_a_volume_or_bind_mount_is_copied_there() {
    for case in cases() {
        let wanted = engine::volumes::CreateVolume { name: Some("vol".into()), ..Default::default() };
        case.world.engine.create_volume(&wanted).unwrap();
        let bound = case.host("bound");
        std::fs::create_dir(&bound).unwrap();
        case.world.edit(&case.id, |document| {
            document["MountPoints"] = serde_json::json!({
                "/d/sub": {"Destination": "/d/sub", "Type": "volume", "Name": "vol", "RW": true},
                "/bound": {"Destination": "/bound", "Type": "bind", "Source": bound, "RW": true},
                "/closed": {"Destination": "/closed", "Type": "bind", "Source": bound, "RW": false},
                "/t": {"Destination": "/t", "Type": "tmpfs", "RW": true},
            });
        });
        let data = case.world.engine.store().volumes().path(&"vol".parse().unwrap());
        // `lsub` is a link of the container's tree that leads to the volume.
        for (path, file) in [("/d/sub/x", "x"), ("/lsub/y", "y")] {
            case.put("own", path, PLAIN).unwrap();
            assert!(data.join(file).exists(), "{path}");
        }
        case.put("own", "/bound", PLAIN).unwrap();
        assert!(bound.join("own").exists());
        assert!(case.world.engine.diff(&case.id).unwrap().is_empty());
        assert!(!case.stream_out("/lsub/x", false).unwrap().is_empty());
        // A link in a volume is the container's: it leads no further than the volume.
        symlink("/etc/passwd", data.join("out")).unwrap();
        assert!(error(case.stream_out("/d/sub/out", true)).contains("Could not find the file"));
        assert_eq!(error(case.put("own", "/closed", PLAIN)), "mounted volume is marked read-only");
        assert_eq!(
            error(case.put("own", "/t/x", PLAIN)),
            "/t/x is in the tmpfs /t: nothing can be copied there"
        );
    }
}

/// CVE-2018-15664, CVE-2021-41089, CVE-2026-42306: links of a container that lead to files of the host.
#[test]
fn no_link_of_a_container_leads_to_the_host() {
    for case in cases() {
        let secret = case.host("secret");
        std::fs::create_dir(&secret).unwrap();
        std::fs::write(secret.join("file"), "secret").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o700)).unwrap();
        let to_host = secret.to_str().unwrap();
        let links = Builder::new()
            .symlink("abs-link", to_host)
            .symlink("up-link", format!("../../../../../../../../../../..{to_host}"))
            .symlink("proc-link", "/proc/self/root")
            .build();
        case.stream_in(links, "/").unwrap();
        for link in ["/abs-link", "/up-link"] {
            for path in [format!("{link}/file"), format!("{link}/."), format!("{link}/")] {
                assert!(!case.has(&path), "{path} was read");
            }
            assert!(case.stream_out(link, true).is_err());
            assert!(case.put("own", &format!("{link}/new"), PLAIN).is_err());
            assert!(case.put("dir", &format!("{link}/"), PLAIN).is_err());
        }
        assert!(!case.has(&format!("/proc-link{to_host}/file")));
        let through = Builder::new().file("abs-link/evil", "x").file("up-link/evil", "x").build();
        assert!(case.stream_in(through, "/").is_err());
        assert_eq!(std::fs::read_dir(&secret).unwrap().count(), 1);
        assert_eq!(std::fs::metadata(&secret).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(std::fs::read_to_string(secret.join("file")).unwrap(), "secret");
    }
}

/// CVE-2018-15664 as a race: a directory that becomes a link to the host's, again and again, while it is copied to.
#[test]
fn a_link_that_is_swapped_in_meanwhile_is_not_followed() {
    for case in cases() {
        let victim = case.host("victim");
        std::fs::create_dir(&victim).unwrap();
        let dir = case.world.engine.mount(&case.id, Access::Write).unwrap();
        std::fs::create_dir(dir.join("swap")).unwrap();
        symlink(&victim, dir.join("other")).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    for (from, to) in
                        [("swap", "kept"), ("other", "swap"), ("swap", "other"), ("kept", "swap")]
                    {
                        std::fs::rename(dir.join(from), dir.join(to)).unwrap();
                    }
                }
            });
            for _ in 0..40 {
                let _ = case.put("own", "/swap/own", PLAIN);
                let _ = case.stream_in(Builder::new().file("evil", "x").build(), "/swap");
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
        case.world.engine.unmount(&case.id).unwrap();
    }
}

/// The other direction: what is in the destination on the host does not lead out of it.
#[test]
fn no_link_in_the_destination_is_written_through() {
    for case in cases() {
        let victim = case.host("victim");
        std::fs::create_dir(&victim).unwrap();
        std::fs::create_dir_all(case.host("o")).unwrap();
        symlink(&victim, case.host("o/d")).unwrap();
        let message = error(case.out("/d", "o", PLAIN));
        assert!(message.starts_with("cannot overwrite non-directory \"d\""), "{message}");
        symlink(victim.join("file"), case.host("o/f")).unwrap();
        case.out("/d/f", "o/", PLAIN).unwrap();
        assert!(case.host("o/f").is_file() && !case.host("o/f").is_symlink(), "the link itself is replaced");
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
    }
}

/// CVE-2014-6407 and its kin, as streams for `cp -`.
#[test]
fn hostile_archives_stay_in_the_container() {
    for case in cases() {
        let outside = case.host.path().to_str().unwrap().to_owned();
        let stream = |archive: Builder| case.stream_in(archive.build(), "/d");
        assert_eq!(
            error(stream(Builder::new().file("../../etc/evil", "x"))),
            "invalid entry name \"../../etc/evil\""
        );
        stream(Builder::new().file("/etc/evil", "x")).unwrap();
        assert_eq!(case.read("/d/etc/evil"), "x");
        assert_eq!(
            error(stream(Builder::new().hardlink("hl", "../etc/passwd"))),
            "invalid hardlink target \"../etc/passwd\""
        );
        let absolute = Builder::new().symlink("a", &outside).file("a/evil", "x");
        assert!(stream(absolute).is_err());
        let relative = Builder::new().symlink("b", format!("../../../../../..{outside}")).file("b/evil", "x");
        assert!(stream(relative).is_err());
        // A link and then a file of the same name: the file takes the link's place.
        let swapped = Builder::new().symlink("c", format!("{outside}/own")).file("c", "mine");
        stream(swapped).unwrap();
        assert_eq!(case.read("/d/c"), "mine");
        // A hard link to a symbolic link, then a write to it.
        let hard =
            Builder::new().symlink("e", format!("{outside}/own")).hardlink("e2", "e").file("e2", "mine");
        stream(hard).unwrap();
        assert_eq!(std::fs::read_to_string(case.host("own")).unwrap(), "own\n");
        assert!(!case.host("evil").exists());
        assert!(error(stream(Builder::new().char_device("wh", 0, 0))).contains("0:0"));
        let odd = Entry { kind: Kind::Contiguous, ..entry("odd", Kind::Regular, 0o644) };
        assert_eq!(error(stream(Builder::new().entry(odd, b"abc"))), "unhandled tar header type 55");
        // Twice the same path: the later counts.
        stream(Builder::new().file("twice", "1").file("twice", "22")).unwrap();
        assert_eq!(case.read("/d/twice"), "22");
    }
}

#[test]
fn overlay_notes_in_an_archive_are_not_set() {
    for case in cases() {
        let notes = Builder::new().dir_with("o", |e| {
            e.xattrs = vec![
                (b"trusted.overlay.opaque".to_vec(), b"y".to_vec()),
                (b"user.overlay.opaque".to_vec(), b"y".to_vec()),
            ];
        });
        case.stream_in(notes.build(), "/").unwrap();
        let dir = case.world.engine.mount(&case.id, Access::Read).unwrap();
        let parent = sys::dir::open_path(&dir).unwrap();
        let keys = sys::xattr::list(&parent, "o".as_ref()).unwrap();
        assert!(!keys.iter().any(|key| sys::xattr::is_overlay(key)), "{keys:?}");
        case.world.engine.unmount(&case.id).unwrap();
    }
}

#[test]
fn a_store_that_is_open_for_reading_is_not_written_to() {
    let world = World::new();
    let id = world.container_of("cc", image());
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("f"), "").unwrap();
    let engine = world.reader();
    assert!(
        error(engine.copy_in(&host.path().join("f"), &id, Path::new("/"), PLAIN)).contains("reading only")
    );
    engine.copy_out(&id, Path::new("/d/f"), &host.path().join("g"), PLAIN).unwrap();
}
