//! `--userns-remap`: containers of root whose ids are others of the host's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{World, in_worlds};

/// Whose ids they are: a user and a group of every Debian.
const REMAP: &[&str] = &["--userns-remap", "daemon"];

/// The ids of containers' user and group 0.
const ROOT: (u32, u32) = (100_000, 200_000);

/// Gives this thread, and the processes that it starts, ids to map containers to.
fn with_subordinate_ids() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    sys::mount::private_namespace().unwrap();
    for (file, first) in [("subuid", ROOT.0), ("subgid", ROOT.1)] {
        let own = dir.path().join(file);
        fs::write(&own, format!("daemon:{first}:65536\n")).unwrap();
        let etc = Path::new("/etc").join(file);
        assert!(etc.exists(), "{} is missing", etc.display());
        assert!(Command::new("mount").arg("--bind").arg(own).arg(etc).status().unwrap().success());
    }
    dir
}

fn remapped(name: &str, test: impl Fn(&World)) {
    if !testkit::machine::require_root(name) {
        return;
    }
    let _ids = with_subordinate_ids();
    in_worlds(name, &[(false, REMAP)], test);
}

/// The data root of remapped containers.
fn root(world: &World) -> PathBuf {
    world.root().join("100000.200000")
}

fn owner(path: &Path) -> (u32, u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

/// The directory of the driver that a container writes to.
fn upper(world: &World, container: &str) -> PathBuf {
    world.inspect(container, "{{.GraphDriver.Data.UpperDir}}").into()
}

#[test]
fn containers_have_other_ids_on_the_disk() {
    remapped("containers_have_other_ids_on_the_disk", |world| {
        let script = "cat /proc/self/uid_map /proc/self/gid_map; id -u; echo hi >/made; echo more >>/etc/passwd; \
                      mkdir /tmp/d; chown 7:8 /made; ls -ln /made /bin/busybox";
        let (code, said, errors) = world.container(&["--name", "one", "busybox", "sh", "-c", script]);
        assert_eq!((code, errors.as_str()), (0, ""), "{said}");
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(words[..7], ["0", "100000", "65536", "0", "200000", "65536", "0"], "{said}");
        let line = |name: &str| said.lines().find(|line| line.ends_with(name)).unwrap().to_owned();
        let owner_of = |name| line(name).split_whitespace().skip(2).take(2).collect::<Vec<_>>().join(" ");
        assert_eq!((owner_of("/made").as_str(), owner_of("/bin/busybox").as_str()), ("7 8", "0 0"));
        let upper = upper(world, "one");
        assert!(upper.starts_with(root(world)), "{}", upper.display());
        // What mode a new file gets is the runtime's umask.
        for (made, expected) in [("made", (100_007, 200_008)), ("tmp/d", ROOT)] {
            let (uid, gid, _) = owner(&upper.join(made));
            assert_eq!((uid, gid), expected, "{made}");
        }
        assert_eq!(owner(&upper.join("etc/passwd")), (ROOT.0, ROOT.1, 0o644));
        // What we read has the ids of containers.
        assert_eq!(world.ok(&["diff", "one"]), "C /etc\nC /etc/passwd\nA /made\nC /tmp\nA /tmp/d");
        world.ok(&["export", "-o", "one.tar", "one"]);
        world.ok(&["commit", "one", "two"]);
        world.ok(&["check"]);
        let (code, said, _) = world.container(&["two", "ls", "-ln", "/made"]);
        assert_eq!((code, said.split_whitespace().skip(2).take(2).collect::<Vec<_>>()), (0, vec!["7", "8"]));
        world.ok(&["cp", "one:/made", "out"]);
        assert_eq!(fs::read_to_string(world.root().with_file_name("out")).unwrap(), "hi\n");
        world.ok(&["rm", "one"]);
        world.assert_clean();
    });
}

/// moby.md §2.
#[test]
fn the_data_root_has_dockers_owners_and_modes() {
    remapped("the_data_root_has_dockers_owners_and_modes", |world| {
        world.ok(&["create", "--name", "one", "busybox", "true"]);
        let id = world.inspect("one", "{{.Id}}");
        let root = root(world);
        let upper = upper(world, "one");
        let layer = upper.parent().unwrap();
        let pass = (0, ROOT.1, 0o710);
        for dir in [world.root(), root.clone(), root.join("overlay2"), layer.to_owned()] {
            assert_eq!(owner(&dir), pass, "{}", dir.display());
        }
        for dir in [root.join("containers"), root.join("containers").join(&id)] {
            assert_eq!(owner(&dir), pass, "{}", dir.display());
        }
        assert_eq!(owner(&upper), (ROOT.0, ROOT.1, 0o755));
        assert_eq!(owner(&layer.join("work")), (ROOT.0, ROOT.1, 0o700));
        for (path, mode) in [("link", 0o644), ("lower", 0o644)] {
            assert_eq!(owner(&layer.join(path)), (0, 0, mode), "{path}");
        }
        let init = PathBuf::from(format!("{}-init", layer.display()));
        assert_eq!(owner(&init.join("diff/.dockerenv")), (ROOT.0, ROOT.1, 0o755));
        assert_eq!(owner(&init.join("committed")), (0, 0, 0o600));
        for (dir, mode) in [("image", 0o700), ("overlay2/l", 0o700)] {
            assert_eq!(owner(&root.join(dir)), (0, 0, mode), "{dir}");
        }
        world.ok(&["mount", "one"]);
        assert_eq!(owner(&layer.join("work/work")), (ROOT.0, ROOT.1, 0));
        world.ok(&["umount", "one"]);
    });
}

#[test]
fn what_is_copied_and_kept_in_volumes_belongs_to_containers() {
    remapped("what_is_copied_and_kept_in_volumes_belongs_to_containers", |world| {
        let home = world.root().with_file_name("");
        fs::write(home.join("in"), "from outside").unwrap();
        std::os::unix::fs::chown(home.join("in"), Some(5), Some(6)).unwrap();
        world.ok(&["create", "--name", "one", "-v", "kept:/etc", "busybox", "true"]);
        world.ok(&["cp", "in", "one:/tmp/in"]);
        world.ok(&["cp", "in", "one:/etc/in"]);
        assert_eq!(owner(&upper(world, "one").join("tmp/in")).0, 100_005);
        let data = root(world).join("volumes/kept/_data");
        assert_eq!(owner(&data), (ROOT.0, ROOT.1, 0o755));
        assert_eq!(owner(&data.join("passwd")), (ROOT.0, ROOT.1, 0o644));
        assert_eq!(owner(&data.join("in")).1, 200_006);
        let (code, said, _) = world.container(&["-v", "kept:/kept", "busybox", "ls", "-ln", "/kept/in"]);
        assert_eq!((code, said.split_whitespace().skip(2).take(2).collect::<Vec<_>>()), (0, vec!["5", "6"]));
        let (code, _, errors) = world.container(&["-v", "kept:/kept", "busybox", "touch", "/kept/new"]);
        assert_eq!((code, errors.as_str()), (0, ""));
        assert_eq!(owner(&data.join("new")).0, ROOT.0);
        world.ok(&["cp", "one:/etc/in", "back"]);
    });
}

#[test]
fn the_hosts_user_namespace_can_be_asked_for_and_some_things_need_it() {
    remapped("the_hosts_user_namespace_can_be_asked_for_and_some_things_need_it", |world| {
        let (code, said, _) = world.container(&["--userns", "host", "busybox", "cat", "/proc/self/uid_map"]);
        assert_eq!((code, said.split_whitespace().collect::<Vec<_>>()), (0, vec!["0", "0", "4294967295"]));
        let (code, _, errors) = world.container(&["--privileged", "busybox", "true"]);
        assert!(
            code == 125 && errors.contains("privileged mode is incompatible with user namespaces"),
            "{errors}"
        );
        let (code, _, errors) = world.container(&["--pid", "host", "busybox", "true"]);
        assert!(code == 125 && errors.contains("cannot share PID namespace"), "{errors}");
        assert!(world.ok(&["info"]).contains("Security Options:\n  userns"));
    });
}

#[test]
fn an_image_is_built_in_the_same_ids() {
    remapped("an_image_is_built_in_the_same_ids", |world| {
        let home = world.root().with_file_name("");
        fs::create_dir_all(home.join("context")).unwrap();
        fs::write(home.join("context/file"), "content").unwrap();
        let dockerfile = "FROM busybox\nCOPY --chown=3:4 file /copied\n\
                          RUN --mount=type=cache,target=/cache touch /cache/x /ran\n\
                          RUN --mount=type=bind,target=/context cat /context/file\nWORKDIR /work\n";
        fs::write(home.join("context/Dockerfile"), dockerfile).unwrap();
        world.ok(&["build", "-t", "built", "context"]);
        let (code, said, _) = world.container(&["built", "ls", "-ln", "/copied", "/ran"]);
        let owners: Vec<&str> =
            said.lines().flat_map(|line| line.split_whitespace().skip(2).take(2)).collect();
        assert_eq!((code, owners), (0, vec!["3", "4", "0", "0"]), "{said}");
        world.ok(&["check"]);
    });
}

#[test]
fn other_drivers_have_the_same_ids() {
    const VFS: &[&str] = &["--userns-remap", "daemon", "--storage-driver", "vfs"];
    const FUSE: &[&str] = &["--userns-remap", "daemon", "--storage-driver", "fuse-overlayfs"];
    let name = "other_drivers_have_the_same_ids";
    if !testkit::machine::require_root(name) {
        return;
    }
    let _ids = with_subordinate_ids();
    let kinds: &[(bool, &'static [&'static str])] = match sys::fuse::open_device() {
        Ok(_) => &[(false, VFS), (false, FUSE)],
        Err(why) => {
            testkit::machine::skip("fuse-overlayfs with other ids", &why.to_string());
            &[(false, VFS)]
        }
    };
    in_worlds(name, kinds, |world| {
        let script = "echo hi >/made; chown 7:8 /made; ls -ln /made";
        let (code, said, errors) = world.container(&["--name", "one", "busybox", "sh", "-c", script]);
        let owners: Vec<&str> = said.split_whitespace().skip(2).take(2).collect();
        assert_eq!((code, owners), (0, vec!["7", "8"]), "{errors}");
        let dir = PathBuf::from(world.ok(&["mount", "one"]));
        let (uid, gid, _) = owner(&dir.join("made"));
        assert_eq!((uid, gid), (100_007, 200_008));
        world.ok(&["umount", "one"]);
        assert_eq!(world.ok(&["diff", "one"]), "A /made");
        world.ok(&["commit", "one", "two"]);
        world.ok(&["check"]);
        let (code, said, _) = world.container(&["two", "ls", "-ln", "/made"]);
        let owners: Vec<&str> = said.split_whitespace().skip(2).take(2).collect();
        assert_eq!((code, owners), (0, vec!["7", "8"]));
    });
}
