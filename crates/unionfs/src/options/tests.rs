use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{IdRange, Options};

fn read(lists: &[&str]) -> Result<(Config, MountAt), Refused> {
    parse(lists, MountAt::default())
}

/// The options of `lowerdir=/l` and `list`.
fn options(list: &str) -> Options {
    read(&["lowerdir=/l", list]).unwrap().0.options
}

fn at(list: &str) -> MountAt {
    read(&["lowerdir=/l", list]).unwrap().1
}

fn refusal(list: &str) -> String {
    read(&["lowerdir=/l", list]).unwrap_err().to_string()
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn what_podman_gives() {
    let list = "lowerdir=/s/l/AB:/s/l/CD,upperdir=/s/x/diff,workdir=/s/x/work,userxattr,volatile,\
                context=\"system_u:object_r:container_file_t:s0:c1,c2\"";
    let (config, at) = read(&[list]).unwrap();
    assert_eq!(config.lowers, paths(&["/s/l/AB", "/s/l/CD"]));
    assert_eq!(config.upper, Some(Upper { dir: "/s/x/diff".into(), work: "/s/x/work".into() }));
    assert_eq!((config.options.user_xattrs, config.options.volatile), (Some(true), true));
    assert_eq!(at.context, ["context=system_u:object_r:container_file_t:s0:c1,c2"]);
}

#[test]
fn layers_come_topmost_first_however_they_are_given() {
    let all = |lists: &[&str]| read(lists).map(|(config, _)| (config.lowers, config.data_lowers)).unwrap();
    assert_eq!(all(&["lowerdir=a:b"]), (paths(&["a", "b"]), vec![]));
    assert_eq!(all(&["lowerdir+=a,lowerdir+=b", "datadir+=c"]), (paths(&["a", "b"]), paths(&["c"])));
    assert_eq!(all(&["lowerdir=a:b::c::d"]), (paths(&["a", "b"]), paths(&["c", "d"])));
    assert_eq!(all(&["lowerdir=a", "lowerdir=b,lowerdir+=c:d"]), (paths(&["b", "c:d"]), vec![]));
    for list in
        ["", "ro", "lowerdir=", "lowerdir", "lowerdir=:a", "lowerdir=a:", "lowerdir=::a", "lowerdir=a::b:c"]
    {
        assert!(read(&[list]).is_err(), "{list}");
    }
}

#[test]
fn an_upper_needs_a_work_directory() {
    assert_eq!(refusal("upperdir=/u"), "upperdir needs workdir, a directory of the same file system");
    assert_eq!(read(&["lowerdir=/l,workdir=/w"]).unwrap().0.upper, None);
}

#[test]
fn words_of_the_kernel() {
    assert_eq!(options("redirect_dir=nofollow").redirect_dir, RedirectDir::NoFollow);
    assert_eq!(options("xino=on").xino, Xino::On);
    assert!(options("").metacopy && !options("metacopy=off").metacopy);
    for nothing in ["index=off", "index=on", "nfs_export=off", "verity=off", "uuid=auto", "override_creds"] {
        assert_eq!(options(nothing), Options::default(), "{nothing}");
    }
    assert_eq!(refusal("redirect_dir=maybe"), "redirect_dir=maybe: wants one of off, follow, nofollow, on");
    assert!(refusal("redirect_dir=on,userxattr").contains("does not go with userxattr"));
    assert!(refusal("nfs_export=on").starts_with("nfs_export=on: "));
}

#[test]
fn words_of_fuse_overlayfs() {
    let range = |outside, inside, count| IdRange { inside, outside, count };
    // fuse-overlayfs(1): a file of user 0 shows as the host's user 1000.
    assert_eq!(
        options("uidmapping=0:1000:1:1:110000:65536").uid_map,
        [range(0, 1000, 1), range(1, 110_000, 65536)]
    );
    assert_eq!(options("gidmapping=6:2000:1").gid_map, [range(6, 2000, 1)]);
    // Podman's spelling, with a colon before each triple.
    assert_eq!(options("uidmapping=:0:1:1000:1000:0:1").uid_map, [range(0, 1, 1000), range(1000, 0, 1)]);
    assert_eq!(options("squash_to_root").squash, Squash::Root);
    let to = |uid, gid| Squash::To { uid, gid };
    for list in ["squash_to_root,squash_to_uid=7", "squash_to_uid=7,squash_to_root"] {
        assert_eq!(options(list).squash, to(Some(7), Some(0)));
    }
    assert_eq!(options("squash_to_gid=8").squash, to(None, Some(8)));
    assert!(options("fsync=0").volatile && options("noxattrs").no_xattrs && options("noxattrs=1").no_xattrs);
    assert!(options("static_nlink").static_nlink && options("noacl").noacl);
    assert_eq!((options("threaded=0").threads, options("max_threads=3").threads), (1, 3));
    assert_eq!(options("timeout=0.5").timeout, Duration::from_millis(500));
    assert_eq!(options("fast_ino=1,lazytime,clone_fd,plugins=,xattr_permissions=0"), Options::default());
    for list in ["xattr_permissions=2", "plugins=x", "timeout=-1", "timeout=x", "squash_to_uid=-1", "noacl=1"]
    {
        assert!(refusal(list).starts_with(&format!("{list}: ")), "{}", refusal(list));
    }
}

#[test]
fn maps_are_whole_and_do_not_overlap() {
    for map in [
        "",
        ":",
        "::0:1:1",
        "0:1:1:",
        "1",
        "1:2",
        "1:2:3:4",
        "1:2:0",
        "1:2:-3",
        "4294967295:0:1",
        "a:b:c",
        "0:0:2:1:5:1",
        "0:0:2:5:1:1",
    ] {
        let list = format!("uidmapping={map}");
        assert!(refusal(&list).starts_with(&list), "{list}");
    }
    assert!(refusal("uidmapping=0:0:2:1:5:1").ends_with("0:0:2 and 1:5:1 overlap"));
}

#[test]
fn words_of_mount() {
    let mounted =
        at("ro,nosuid,nodev,noexec,noatime,allow_other,fsname=x\\,y,subtype=z,_netdev,x-systemd.automount");
    let expected = MountAt {
        source: "x,y".to_owned(),
        subtype: "z".to_owned(),
        allow_other: true,
        suid: false,
        dev: false,
        exec: false,
        read_only: true,
        noatime: true,
        context: vec![],
    };
    assert_eq!(mounted, expected);
    // What Podman gives for a volume of the kind `:O`.
    assert_eq!(at("private"), MountAt::default());
    let opposites = at("ro,nosuid,nodev,noexec,noatime,allow_other,rw,suid,dev,exec,relatime,noallow_other");
    assert_eq!(opposites, MountAt::default());
    assert!(at("context=a:b").context == ["context=a:b"]);
    for list in ["context=\"a", "context=\"a\"b", "context=", "ro=1", "fsname="] {
        assert!(read(&["lowerdir=/l", list]).is_err(), "{list}");
    }
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    for list in [
        "bogus",
        "bogus=1",
        "allow_root",
        "auto_unmount",
        "sync",
        "remount",
        "debug",
        "strictatime",
        "\u{fc}",
    ] {
        assert!(refusal(list).starts_with(&format!("{list}: ")), "{}", refusal(list));
    }
    assert_eq!(refusal("bogus"), "bogus: unknown option");
    assert!(refusal("rw,user_id=0,group_id=0,remount").starts_with("remount: "));
    assert!(parse([OsStr::from_bytes(b"lowerdir=a,\xff")], MountAt::default()).is_err());
}

#[test]
fn a_backslash_stands_before_separators_only() {
    let lowers = |list: &str| read(&[list]).map(|(config, _)| config.lowers);
    assert_eq!(lowers(r"lowerdir=a\:b:c\,d\\").unwrap(), paths(&["a:b", r"c,d\"]));
    for list in [r"lowerdir=a\b", r"lowerdir=a\", r"lowerdir+=\040"] {
        assert!(lowers(list).unwrap_err().to_string().contains("backslash"), "{list}");
    }
}

/// Bytes of a path, many of them special.
fn path() -> impl Strategy<Value = PathBuf> {
    let byte = prop_oneof![Just(b':'), Just(b','), Just(b'\\'), Just(b'='), Just(b'"'), 1..=255u8];
    prop::collection::vec(byte, 1..12).prop_map(|bytes| Path::new(OsStr::from_bytes(&bytes)).to_owned())
}

fn option(name: &str, paths: &[PathBuf], by: &str) -> OsString {
    let mut out = OsString::from(name);
    for (at, path) in paths.iter().enumerate() {
        out.push(if at == 0 { "=" } else { by });
        out.push(escape(path.as_os_str()));
    }
    out
}

proptest! {
    #[test]
    fn escaped_paths_read_back(
        lowers in prop::collection::vec(path(), 1..5),
        data in prop::collection::vec(path(), 0..3),
        upper in path(),
        work in path(),
        single in any::<bool>(),
    ) {
        let mut lists = Vec::new();
        if single {
            lists.extend(lowers.iter().map(|l| option("lowerdir+", std::slice::from_ref(l), "")));
            lists.extend(data.iter().map(|l| option("datadir+", std::slice::from_ref(l), "")));
        } else {
            let mut lower = option("lowerdir", &lowers, ":");
            for layer in &data {
                lower.push("::");
                lower.push(escape(layer.as_os_str()));
            }
            lists.push(lower);
        }
        lists.push(option("upperdir", std::slice::from_ref(&upper), ""));
        lists.push(option("workdir", std::slice::from_ref(&work), ""));
        let joined = lists.join(OsStr::new(","));
        let upper = Some(Upper { dir: upper, work });
        for lists in [lists, vec![joined]] {
            let (config, _) = parse(&lists, MountAt::default()).unwrap();
            prop_assert_eq!(&config.lowers, &lowers);
            prop_assert_eq!(&config.data_lowers, &data);
            prop_assert_eq!(&config.upper, &upper);
        }
    }

    #[test]
    fn nothing_makes_it_panic(text: Vec<u8>, words in r#"(lowerdir|context|uidmapping|ro|timeout|[=:,\\"0-9]){0,12}"#) {
        for list in [OsStr::from_bytes(&text), OsStr::new(&words)] {
            let _ = parse([list], MountAt::default());
        }
    }
}
