//! Data roots of drivers other than overlay2 (tests/fixtures): those that a real daemon wrote, and one of `aufs` by its
//! documented format. We say of them what Docker said, change them, and find nothing wrong with them afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use archive::digest::Sha256;
use archive::tar::{Kind, Limits, Reader};
use engine::check::CheckOptions;
use engine::commit::CommitOptions;
use engine::containers::ListContainers;
use engine::create::CreateOptions;
use engine::prune::PruneOptions;
use engine::remove_image::RemoveImage;
use engine::{Access, Engine, Options};
use model::{ContainerId, Silent};
use serde_json::Value;

use crate::both::docker_root;

/// The driver, and the fixture that says what is in its root.
const ROOTS: [(&str, &str); 4] = [
    ("overlay", "docker-20.10-overlay"),
    ("vfs", "docker-20.10-vfs"),
    ("fuse-overlayfs", "docker-20.10-fuse-overlayfs"),
    ("aufs", "docker-20.10"),
];

struct Root {
    driver: &'static str,
    tmp: tempfile::TempDir,
    expected: Value,
}

/// Each root that this machine can unpack, in turn.
fn each(test: impl Fn(&Root)) {
    for (driver, says) in ROOTS {
        let Some(tmp) = docker_root(&format!("docker-20.10-{driver}")) else { return };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        let expected = std::fs::read(fixtures.join(says).join("expected.json")).unwrap();
        test(&Root { driver, tmp, expected: serde_json::from_slice(&expected).unwrap() });
    }
}

impl Root {
    fn engine(&self, access: Access) -> Engine {
        let options = Options { driver: Some(self.driver.into()), ..Options::new(self.tmp.path()) };
        Engine::open(&options, access).unwrap()
    }

    fn said_of(&self, kind: &str) -> BTreeMap<String, Value> {
        serde_json::from_value(self.expected[kind].clone()).unwrap()
    }
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn assert_sound(engine: &Engine, what: &str) {
    let report = engine.check(CheckOptions { quick: false, repair: false }, &Silent).unwrap();
    assert!(report.is_sound(), "{} {what}: {report:?}", engine.driver().name());
}

/// A line of `docker export` as the fixtures have it, but without extended attributes, of which Docker exports one only.
fn listing(archive: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(archive, Limits::default());
    let mut lines = Vec::new();
    while let Some(member) = reader.next_member().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let entry = &member.entry;
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        let (kind, hash) = match entry.kind {
            Kind::Regular => ("f", hex(&Sha256::of(&content))),
            Kind::HardLink => ("h", "-".to_owned()),
            Kind::Symlink => ("l", "-".to_owned()),
            Kind::CharDevice => ("c", "-".to_owned()),
            Kind::BlockDevice => ("b", "-".to_owned()),
            Kind::Directory => ("d", "-".to_owned()),
            Kind::Fifo => ("p", "-".to_owned()),
            other => panic!("{other:?}"),
        };
        let path = entry.path.strip_suffix(b"/").unwrap_or(&entry.path);
        let link = if entry.link.is_empty() { "-".to_owned() } else { hex(&entry.link) };
        lines.push(format!(
            "{kind} {:o} {} {} {} {} {},{} {hash} {} {link}",
            entry.mode & 0o7777,
            entry.uid,
            entry.gid,
            content.len(),
            entry.mtime.secs,
            entry.devmajor,
            entry.devminor,
            hex(path)
        ));
    }
    lines.sort_by_key(|line| line.split(' ').nth(8).map(str::to_owned));
    lines
}

#[test]
fn images_and_containers_are_what_docker_said() {
    each(|root| {
        let engine = root.engine(Access::Read);
        let said = root.said_of("images");
        let images = engine.list_images(true).unwrap();
        assert_eq!(images.len(), said.len(), "{}", root.driver);
        for image in &images {
            let said = &said[&image.id.to_string()];
            let tags: Vec<String> = image.tags.iter().map(ToString::to_string).collect();
            assert_eq!((tags, image.size), (texts(&said["tags"]), said["size"].as_u64().unwrap()));
        }
        let said = root.said_of("containers");
        let options = ListContainers { all: true, size: true };
        let containers = engine.list_containers(&options).unwrap();
        assert_eq!(containers.len(), said.len(), "{}", root.driver);
        for container in &containers {
            let said = &said[&container.id.hex()];
            let name = format!("{} {}", root.driver, container.names[0]);
            // fuse-overlayfs copied up one more name of a file that it copied up, which Docker takes for no change.
            let copied = if name == "fuse-overlayfs stopped" { 2 } else { 0 };
            let said = |key: &str| said[key].as_u64().map(|size| size + copied);
            assert_eq!(
                (container.size_rw, container.size_root_fs),
                (said("SizeRw"), said("SizeRootFs")),
                "{name}"
            );
        }
        assert_sound(&engine, "as Docker left it");
    });
}

#[test]
fn what_containers_changed_is_what_docker_said() {
    each(|root| {
        let engine = root.engine(Access::Read);
        for (id, said) in root.said_of("containers") {
            let id: ContainerId = id.parse().unwrap();
            let changes = engine.diff(&id).unwrap();
            let mut ours: Vec<String> =
                changes.iter().map(|c| format!("{} {}", c.kind, c.path.display())).collect();
            if root.driver == "fuse-overlayfs" {
                // Docker's own comparison overlooks what is gone from a directory that was made again.
                ours.retain(|line| !matches!(line.as_str(), "D /etc/conf/sub/x" | "D /etc/conf/sub/y"));
            }
            assert_eq!(ours, texts(&said["diff"]), "{} {}", root.driver, said["name"]);

            let mut exported = Vec::new();
            engine.export(&id, &mut exported, &Silent).unwrap();
            let theirs: Vec<String> = texts(&said["export_listing"])
                .iter()
                .map(|line| {
                    let columns: Vec<&str> = line.split(' ').collect();
                    [&columns[..8], &columns[9..]].concat().join(" ")
                })
                .collect();
            assert_eq!(listing(&exported), theirs, "{} {}", root.driver, said["name"]);
        }
    });
}

#[test]
fn inspect_tells_of_the_driver_what_docker_told() {
    each(|root| {
        let engine = root.engine(Access::Read);
        for (id, said) in root.said_of("containers") {
            let ours = &engine.inspect_container(&id.parse().unwrap(), false).unwrap()["GraphDriver"];
            assert_eq!(ours["Name"], root.driver);
            let theirs = match root.driver {
                "aufs" => Value::Null,
                _ => said["inspect"]["GraphDriver"]["Data"].clone(),
            };
            let here = root.tmp.path().to_str().unwrap();
            let ours = ours["Data"].to_string().replace(here, "/var/lib/docker");
            let mut ours: Value = serde_json::from_str(&ours).unwrap();
            // Only since 27.
            ours.as_object_mut().map(|data| data.shift_remove("ID"));
            assert_eq!(ours, theirs, "{}", root.driver);
        }
    });
}

/// Every layer is put together again, and has its digest; a commit of Docker's container is one more; what is removed
/// leaves nothing.
#[test]
fn such_roots_are_saved_committed_and_emptied() {
    each(|root| {
        let engine = root.engine(Access::Write);
        let names = ["fixture/base:1", "fixture/app:1", "fixture/committed:1"].map(str::to_owned);
        engine.save(&names, &mut std::io::sink(), &Silent).unwrap();
        let stopped = engine.find_container("stopped").unwrap();
        let reference = |name: &str| Some(name.parse().unwrap());
        engine
            .commit(&stopped, &CommitOptions { reference: reference("ours:1"), ..Default::default() })
            .unwrap();
        let create = |name: &str, image: &str| {
            let options =
                CreateOptions { name: Some(name.into()), image: image.into(), ..Default::default() };
            engine.create(&options).unwrap().id
        };
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let lines = |id: &ContainerId| {
            let mut exported = Vec::new();
            engine.export(id, &mut exported, &Silent).unwrap();
            // Each container's own files are as old as the container.
            let is_own = |time: &str| time.parse::<u64>().is_ok_and(|secs| secs >= began);
            let without_time = |line: String| -> String {
                line.split(' ')
                    .map(|field| if is_own(field) { "now" } else { field })
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            listing(&exported).into_iter().map(without_time).collect::<Vec<_>>()
        };
        let (ours, theirs) = (create("ours", "ours:1"), create("theirs", "fixture/committed:1"));
        // With fuse-overlayfs Docker's commit has lost two deletions, as its `diff` has.
        if root.driver != "fuse-overlayfs" {
            assert_eq!(lines(&ours), lines(&theirs), "{}", root.driver);
        }
        engine.save(&["ours:1".to_owned()], &mut std::io::sink(), &Silent).unwrap();
        assert_sound(&engine, "changed");

        for container in engine.list_containers(&ListContainers { all: true, size: false }).unwrap() {
            engine.remove_container(&container.id, false).unwrap();
        }
        for image in names.iter().map(String::as_str).chain(["ours:1", "fixture/app:latest"]) {
            engine.remove_image(image, RemoveImage::default()).unwrap();
        }
        engine.system_prune(&PruneOptions { all: true, ..Default::default() }).unwrap();
        assert_eq!(engine.driver().list().unwrap(), [], "{}", root.driver);
        engine.driver().sweep().unwrap();
        assert!(!engine.driver().has_trash().unwrap());
    });
}
