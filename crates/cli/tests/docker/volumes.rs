//! Volumes, and what flags of `create` make of a container: what layercake writes dockerd reads, and writes the same itself.

use std::fs;

use serde_json::{Value, json};

use crate::archives::{APP, Fixture};
use crate::daemon::Daemon;
use crate::witnessed;
use crate::world::World;

witnessed! { volumes_are_both_ones a_flag_means_to_both_the_same }

fn volumes_are_both_ones(world: &World) {
    load(world);
    world.layercake(&["volume", "create", "--label", "a=b", "ours"]);
    world.layercake(&["volume", "create", "unused"]);
    // The image has a volume with content, /srv/old, and one without, /data.
    world.layercake(&["create", "--name", "box", "-v", "ours:/mnt", "-v", "new:/etc/conf:ro", APP]);
    let listed = volumes(&world.layercake(&LIST));
    assert_eq!(listed.len(), 5);
    let inspected = without_times(&world.layercake(&["volume", "inspect", "ours"]));
    let mounts = mounts(&world.layercake(&MOUNTS));
    let old = anonymous(world, "/srv/old");
    assert!(fs::read_dir(world.root("volumes").join(&old).join("_data")).unwrap().next().is_some());

    let daemon = world.start();
    assert_eq!(volumes(&daemon.docker(&LIST)), listed);
    assert_eq!(without_times(&daemon.docker(&["volume", "inspect", "ours"])), inspected);
    assert_eq!(self::mounts(&daemon.docker(&MOUNTS)), mounts);
    let refused = daemon.try_docker(&["volume", "rm", "ours"]);
    let ours = world.command(&["volume", "rm", "ours"]).output().unwrap();
    assert!(!refused.status.success() && !ours.status.success());
    assert!(daemon.try_docker(&["volume", "rm", "unused"]).status.success());
    daemon.docker(&["volume", "create", "--label", "by=docker", "theirs"]);
    daemon.docker(&["create", "--name", "crate", "-v", "theirs:/x", APP]);
    let listed = volumes(&daemon.docker(&LIST));
    let inspected = without_times(&daemon.docker(&["volume", "inspect", "theirs"]));
    daemon.stop();

    assert_eq!(volumes(&world.layercake(&LIST)), listed);
    assert_eq!(without_times(&world.layercake(&["volume", "inspect", "theirs"])), inspected);
    world.layercake(&["rm", "-v", "crate"]);
    world.layercake(&["volume", "rm", "theirs"]);
    world.layercake(&["volume", "create", "--label", "c=d", "again"]);
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
    let listed = volumes(&world.layercake(&LIST));

    let daemon = world.start();
    assert_eq!(volumes(&daemon.docker(&LIST)), listed);
    daemon.docker(&["rm", "-v", "box"]);
    daemon.stop();
    assert_eq!(volumes(&world.layercake(&LIST)), ["again c=d", "new ", "ours a=b"]);
}

const LIST: [&str; 4] = ["volume", "ls", "--format", "{{.Name}} {{.Labels}}"];
const MOUNTS: [&str; 4] = ["inspect", "--format", "{{json .Mounts}}", "box"];

fn load(world: &World) {
    let saved = world.path("saved.tar");
    fs::write(&saved, Fixture::Classic.saved()).unwrap();
    world.layercake(&["load", "-q", "-i", saved.to_str().unwrap()]);
}

fn volumes(listed: &str) -> Vec<String> {
    let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The mounts by destination.
fn mounts(document: &str) -> Vec<Value> {
    let mut mounts: Vec<Value> = serde_json::from_str(document).unwrap();
    mounts.sort_by_key(|mount| mount["Destination"].to_string());
    mounts
}

/// The documents, without the times of the directories: a daemon has its own zone. 20.10 has `{}` where others have
/// `null`.
fn without_times(documents: &str) -> Value {
    let mut documents: Value = serde_json::from_str(documents).unwrap();
    for document in documents.as_array_mut().unwrap() {
        document.as_object_mut().unwrap().remove("CreatedAt");
        for (_, value) in document.as_object_mut().unwrap() {
            if *value == json!({}) {
                *value = Value::Null;
            }
        }
    }
    documents
}

/// The name of the volume without a name that the container `box` has at `path`.
fn anonymous(world: &World, path: &str) -> String {
    let mounts: Value = serde_json::from_str(&world.layercake(&MOUNTS)).unwrap();
    let mount = mounts.as_array().unwrap().iter().find(|mount| mount["Destination"] == path);
    mount.unwrap()["Name"].as_str().unwrap().to_owned()
}

/// What one of them has and the other not, with the reason.
const OWN: [(&str, &str); 7] = [
    ("MaskedPaths", "28.5 hides two more than 20.10"),
    ("Runtime", "28.5 writes the name that --runtime or its settings say, 20.10 too"),
    ("MemorySwap", "without accounting of swap, a daemon of a host with cgroup v1 sets no limit"),
    ("OomKillDisable", "null on hosts with cgroup v2"),
    ("KernelMemory", "20.10 only"),
    ("KernelMemoryTCP", "20.10 only"),
    ("ConsoleSize", "of the client's terminal"),
];

fn a_flag_means_to_both_the_same(world: &World) {
    load(world);
    fs::create_dir(world.path("bind")).unwrap();
    let bind = world.path("bind");
    let bound = format!("{}:/bound:ro,rslave", bind.display());
    let mounted = format!("type=bind,src={},dst=/mounted,readonly", bind.display());
    let lines: [&[&str]; 6] = [
        &[
            "-it",
            "-w",
            "/x",
            "-u",
            "1:2",
            "-e",
            "A=b",
            "-l",
            "k=v",
            "--entrypoint",
            "/x",
            "--expose",
            "80",
            "-h",
            "h",
        ],
        &[
            "-a",
            "stdout",
            "--stop-signal",
            "USR1",
            "--stop-timeout",
            "5",
            "--domainname",
            "d",
            "--group-add",
            "5",
        ],
        &["-m", "64m", "--cpus", "1.5", "--pids-limit", "20", "--cpu-shares", "5", "--oom-score-adj", "7"],
        &[
            "--cap-add",
            "CAP_NET_ADMIN",
            "--cap-drop",
            "CAP_MKNOD",
            "--security-opt",
            "no-new-privileges",
            "--read-only",
        ],
        &[
            "--tmpfs",
            "/run:size=1m",
            "--shm-size",
            "1m",
            "--ulimit",
            "nofile=10:20",
            "--device",
            "/dev/null:/dev/x:r",
        ],
        &[
            "-v",
            "/anonymous",
            "-v",
            "named:/named",
            "-v",
            &bound,
            "--mount",
            &mounted,
            "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
            "--mount",
            "dst=/nameless",
            "--mount",
            "src=other,dst=/other,volume-nocopy,readonly,volume-label=a=b",
        ],
    ];
    let create = |name: &str, line: &[&str]| {
        let first: Vec<String> = ["create", "--network", "host", "--name", name].map(str::to_owned).into();
        first.into_iter().chain(line.iter().map(|word| (*word).to_owned())).chain([APP.to_owned()]).collect()
    };
    for (n, line) in lines.iter().enumerate() {
        let line: Vec<String> = create(&format!("ours{n}"), line);
        world.layercake(&line.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let daemon = world.start();
    for (n, line) in lines.iter().enumerate() {
        let line: Vec<String> = create(&format!("theirs{n}"), line);
        daemon.docker(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let [ours, theirs] = ["ours", "theirs"].map(|who| document(&daemon, &format!("{who}{n}")));
        for part in ["Config", "HostConfig"] {
            let theirs = theirs[part].as_object().unwrap();
            for (key, value) in theirs.iter().filter(|(key, _)| !OWN.iter().any(|(own, _)| own == key)) {
                assert_eq!(some(&ours[part][key]), some(value), "{part}.{key} of {:?}", lines[n]);
            }
        }
        assert_eq!(nameless(&ours["Mounts"]), nameless(&theirs["Mounts"]), "{:?}", lines[n]);
        assert_eq!((&ours["Path"], &ours["Args"]), (&theirs["Path"], &theirs["Args"]));
    }
    let [ours, theirs] = ["ours5", "theirs5"].map(|name| {
        let id = daemon.docker(&["inspect", "--format", "{{.Id}}", name]);
        let file = world.root("containers").join(id.trim_end()).join("config.v2.json");
        let document: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        document["MountPoints"].clone()
    });
    daemon.stop();
    assert_eq!(nameless(&ours), nameless(&theirs));
}

/// 20.10 writes `null` for lists that 28.5 writes empty.
fn some(value: &Value) -> Value {
    if *value == json!([]) || *value == json!({}) { Value::Null } else { value.clone() }
}

fn document(daemon: &Daemon<'_>, name: &str) -> Value {
    serde_json::from_str::<Value>(&daemon.docker(&["inspect", name])).unwrap()[0].clone()
}

/// The mounts by destination, without the names that are random.
fn nameless(mounts: &Value) -> Value {
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let plain = |text: &str| {
        text.split('/').map(|part| if hex(part) { "RANDOM" } else { part }).collect::<Vec<_>>().join("/")
    };
    let mut all: Vec<Value> = match mounts {
        Value::Array(list) => list.clone(),
        Value::Object(map) => map.values().cloned().collect(),
        _ => Vec::new(),
    };
    for mount in &mut all {
        for key in ["Name", "Source"] {
            if let Some(text) = mount[key].as_str() {
                mount[key] = plain(text).into();
            }
        }
    }
    all.sort_by_key(|mount| mount["Destination"].to_string());
    Value::Array(all)
}
