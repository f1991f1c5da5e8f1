//! Data roots that real daemons wrote (tests/fixtures), read as Docker itself reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{ContainerId, ContainerName, ImageId, Platform};
use serde_json::Value;
use store::{DataRoot, HostConfig, Mode, NewContainer, User};

use crate::world::{DRIVER, listing, problems};

struct Fixture {
    tmp: tempfile::TempDir,
    expected: Value,
}

impl Fixture {
    /// Unpacks what this crate is about: no layer's files.
    fn unpack(version: &str) -> Self {
        let dir: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(version);
        let expected = std::fs::read(dir.join("expected.json")).unwrap();
        let archive = std::fs::read(dir.join("root.tar.zst")).unwrap();
        let archive = zstd::decode_all(&archive[..]).unwrap();
        let tmp = tempfile::tempdir().unwrap();
        let mut archive = tar::Archive::new(&archive[..]);
        archive.set_preserve_ownerships(false);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            let path = path.strip_prefix(".").unwrap_or(&path);
            if ["image", "containers", "buildkit", "volumes"].iter().any(|top| path.starts_with(top)) {
                entry.unpack_in(tmp.path()).unwrap();
            }
        }
        Self { tmp, expected: serde_json::from_slice(&expected).unwrap() }
    }

    fn root(&self, mode: Mode) -> DataRoot {
        DataRoot::open(self.tmp.path(), DRIVER, mode).unwrap()
    }

    fn objects(&self, kind: &str) -> BTreeMap<String, Value> {
        serde_json::from_value(self.expected[kind].clone()).unwrap()
    }
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn check_images(fixture: &Fixture) {
    let root = fixture.root(Mode::Read);
    let names = root.references().read().unwrap().by_image();
    let tagged: Vec<String> = names.keys().map(ToString::to_string).collect();
    for (id, image) in fixture.objects("images") {
        let id: ImageId = id.parse().unwrap();
        let config = root.images().get(&id).unwrap();
        let shown: Vec<String> = names.get(&id).into_iter().flatten().map(ToString::to_string).collect();
        assert_eq!(shown, texts(&image["tags"]));
        assert!(shown.is_empty() || tagged.contains(&id.to_string()));
        let layers = match config.chain_id() {
            Some(top) => root.layers().chain(&top).unwrap(),
            None => Vec::new(),
        };
        let column = |of: fn(&store::LayerRecord) -> String| layers.iter().map(of).collect::<Vec<_>>();
        assert_eq!(column(|l| l.diff.to_string()), texts(&image["diff_ids"]));
        assert_eq!(column(|l| l.chain.to_string()), texts(&image["chain_ids"]));
        assert_eq!(column(|l| l.cache_id.to_string()), texts(&image["cache_ids"]));
        let sizes: Vec<u64> = serde_json::from_value(image["layer_sizes"].clone()).unwrap();
        assert_eq!(layers.iter().map(|l| l.size).collect::<Vec<_>>(), sizes);
        assert_eq!(sizes.iter().sum::<u64>(), image["size"].as_u64().unwrap());
        assert!(layers.iter().all(|l| root.layers().tar_split(&l.chain).unwrap().is_some()));
        let parent = root.images().parent(&id).unwrap().map(|p| p.to_string()).unwrap_or_default();
        assert_eq!(parent, image["inspect"]["Parent"].as_str().unwrap_or_default());
        let updated = root.images().last_updated(&id).unwrap().map(|t| t.to_string());
        let said = image["inspect"]["Metadata"]["LastTagTime"].as_str().filter(|t| !t.starts_with("0001"));
        assert_eq!(updated.as_deref(), said);
    }
}

fn check_containers(fixture: &Fixture) {
    let root = fixture.root(Mode::Read);
    let expected = fixture.objects("containers");
    let ids: Vec<String> = root.containers().list().unwrap().iter().map(ContainerId::hex).collect();
    assert_eq!(ids, expected.keys().cloned().collect::<Vec<_>>());
    for (id, said) in expected {
        let inspect = &said["inspect"];
        let container = root.containers().get(&id.parse().unwrap()).unwrap();
        assert_eq!(container.name(), inspect["Name"]);
        assert_eq!(container.created().to_string(), inspect["Created"]);
        assert_eq!(container.path(), inspect["Path"]);
        assert_eq!(container.args(), texts(&inspect["Args"]));
        assert_eq!(container.image().unwrap().to_string(), inspect["Image"]);
        assert_eq!(container.driver(), inspect["Driver"]);
        assert_eq!(container.state().status().to_string(), inspect["State"]["Status"]);
        assert_eq!(container.state().exit_code, inspect["State"]["ExitCode"]);
        assert_eq!(container.config().image, inspect["Config"]["Image"]);
        let host = root.containers().host_config(container.id()).unwrap();
        assert_eq!(host.field("NetworkMode").unwrap(), &inspect["HostConfig"]["NetworkMode"]);
        let mount = root.mounts().get(container.id()).unwrap();
        assert_eq!(mount.init_id, Some(mount.mount_id.init()));
        let upper = inspect["GraphDriver"]["Data"]["UpperDir"].as_str().unwrap();
        assert!(upper.contains(&mount.mount_id.to_string()));
        assert_eq!(root.containers().resolve(container.name()).unwrap(), Some(*container.id()));

        // An edit that changes nothing writes the very same bytes.
        let file = fixture.tmp.path().join("containers").join(&id).join("config.v2.json");
        assert_eq!(container.as_bytes(), std::fs::read(file).unwrap());
        let file = fixture.tmp.path().join("containers").join(&id).join("hostconfig.json");
        assert_eq!(host.to_bytes().unwrap(), std::fs::read(file).unwrap());
    }
}

/// Every container and every image holds its topmost layer, by the index as by the files.
fn check_index(fixture: &Fixture) {
    let reader = fixture.root(Mode::Read);
    let before = listing(fixture.tmp.path());
    let users = |root: &DataRoot| -> Vec<Vec<User>> {
        let mut all: Vec<Vec<User>> = Vec::new();
        for chain in root.layers().list().unwrap() {
            all.push(root.backrefs().of_layer(&chain).unwrap());
        }
        for id in root.images().list().unwrap() {
            all.push(root.backrefs().of_image(&id).unwrap());
        }
        all.iter_mut().for_each(|users| users.sort_unstable());
        all
    };
    let by_files = users(&reader);
    assert!(
        by_files.iter().filter(|users| !users.is_empty()).count() >= reader.layers().list().unwrap().len()
    );
    assert_eq!(listing(fixture.tmp.path()), before, "reading changes nothing");
    let names = std::fs::read(fixture.tmp.path().join("image/overlay2/repositories.json")).unwrap();
    let writer = fixture.root(Mode::Write);
    drop(writer.commit().unwrap());
    assert_eq!(users(&writer), by_files);
    assert!(writer.sweep().unwrap().is_empty());
    assert_eq!(std::fs::read(fixture.tmp.path().join("image/overlay2/repositories.json")).unwrap(), names);
}

fn check_all(version: &str) {
    let fixture = Fixture::unpack(version);
    check_images(&fixture);
    check_containers(&fixture);
    assert_eq!(problems(&fixture.root(Mode::Read)), Vec::<String>::new());
    check_index(&fixture);
}

/// Each fixture's container `created` was never started, so that its files are as `docker create` wrote them.
#[test]
fn a_new_container_is_written_as_docker_28_5_writes_it() {
    let fixture = Fixture::unpack("docker-28.5");
    let root = fixture.root(Mode::Read);
    let id = root.containers().resolve("created").unwrap().unwrap();
    let theirs = root.containers().get(&id).unwrap();
    let ours = NewContainer {
        id,
        name: &ContainerName::parse(theirs.name()).unwrap(),
        created: theirs.created(),
        path: theirs.path(),
        args: theirs.args(),
        config: theirs.config(),
        image: theirs.image(),
        platform: &Platform::new("linux", "amd64", None),
        driver: DRIVER,
        network: "bridge",
        mounts: &theirs.mounts().unwrap(),
        process_label: theirs.process_label(),
        mount_label: theirs.mount_label(),
    };
    let ours = ours.document().unwrap();
    assert_eq!(
        String::from_utf8(ours.as_bytes().to_vec()).unwrap(),
        String::from_utf8(theirs.as_bytes().to_vec()).unwrap()
    );

    // The fixture was made on a host with cgroup v1, and without a bridge.
    let mut host = HostConfig::new(false);
    let theirs = root.containers().host_config(&id).unwrap();
    host.set("NetworkMode", theirs.field("NetworkMode").unwrap().clone());
    assert_eq!(
        String::from_utf8(host.to_bytes().unwrap()).unwrap(),
        String::from_utf8(theirs.to_bytes().unwrap()).unwrap()
    );
}

#[test]
fn docker_20_10() {
    check_all("docker-20.10");
}

#[test]
fn docker_28_5() {
    check_all("docker-28.5");
}
