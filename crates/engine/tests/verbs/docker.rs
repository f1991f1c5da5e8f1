//! Data roots that real daemons wrote (tests/fixtures): we say of them what Docker itself said.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use engine::containers::ListContainers;
use engine::prune::PruneOptions;
use engine::remove_image::{RemoveImage, Removed};
use engine::{Access, Engine, Options};
use model::{ImageId, gojson, size};
use serde_json::Value;

struct Fixture {
    tmp: tempfile::TempDir,
    expected: Value,
}

impl Fixture {
    /// Unpacks the whole data root, devices and attributes included. `None` where that cannot be done.
    fn unpack(version: &str) -> Option<Self> {
        if !testkit::require_root("a data root of Docker's") {
            return None;
        }
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(version);
        let tmp = tempfile::tempdir().unwrap();
        let packed = std::fs::File::open(dir.join("root.tar.zst")).unwrap();
        let (_, mut archive) = archive::compress::open(packed, archive::compress::Limits::default()).unwrap();
        let tar = Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-x", "-C"])
            .arg(tmp.path())
            .stdin(Stdio::piped())
            .spawn();
        let Ok(mut tar) = tar else {
            testkit::machine::skip("a data root of Docker's", "needs GNU tar");
            return None;
        };
        let mut to = tar.stdin.take().unwrap();
        std::io::copy(&mut archive, &mut to).unwrap();
        to.flush().unwrap();
        drop(to);
        assert!(tar.wait().unwrap().success());
        let expected = std::fs::read_to_string(dir.join("expected.json")).unwrap();
        Some(Self { tmp, expected: serde_json::from_str(&expected).unwrap() })
    }

    fn engine(&self, access: Access) -> Engine {
        Engine::open(&Options::new(self.tmp.path()), access).unwrap()
    }

    fn said_of(&self, kind: &str) -> BTreeMap<String, Value> {
        serde_json::from_value(self.expected[kind].clone()).unwrap()
    }
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

impl Fixture {
    /// A document as the daemon would have printed it, whose data root was elsewhere.
    fn printed(&self, ours: &Value) -> String {
        let here = self.tmp.path().display().to_string();
        gojson::INDENTED.to_string(ours).unwrap().replace(&here, "/var/lib/docker")
    }
}

#[test]
fn images_are_listed_as_docker_lists_them() {
    for version in ["docker-28.5", "docker-20.10"] {
        let Some(fixture) = Fixture::unpack(version) else { return };
        let said = fixture.said_of("images");
        let images = fixture.engine(Access::Read).list_images(true).unwrap();
        assert_eq!(images.len(), said.len());
        assert!(images.is_sorted_by_key(|image| std::cmp::Reverse(image.created)));
        for image in &images {
            let said = &said[&image.id.to_string()];
            let tags: Vec<String> = image.tags.iter().map(ToString::to_string).collect();
            assert_eq!(tags, texts(&said["tags"]));
            assert_eq!(image.size, said["size"].as_u64().unwrap());
            let parent = image.parent.map(|parent| parent.to_string()).unwrap_or_default();
            assert_eq!(parent, said["inspect"]["Parent"].as_str().unwrap());
        }
    }
}

#[test]
fn history_is_as_docker_tells_it() {
    for version in ["docker-28.5", "docker-20.10"] {
        let Some(fixture) = Fixture::unpack(version) else { return };
        let engine = fixture.engine(Access::Read);
        for (id, said) in fixture.said_of("images") {
            let history = engine.history(&id.parse().unwrap()).unwrap();
            let ours: Vec<Value> = history
                .iter()
                .map(|item| {
                    serde_json::json!({
                        "Comment": item.comment,
                        "CreatedAt": format!("{:.19}Z", item.created.unwrap().to_string()),
                        "CreatedBy": item.created_by,
                        "ID": item.id.map_or("<missing>".to_owned(), |id| id.to_string()),
                        "Size": size::human_with_precision(item.size, 3),
                    })
                })
                .collect();
            let mut dockers: Vec<Value> = serde_json::from_value(said["history"].clone()).unwrap();
            for item in &mut dockers {
                item.as_object_mut().unwrap().shift_remove("CreatedSince");
            }
            assert_eq!(ours, dockers);
            assert_eq!(history[0].tags, texts(&said["tags"]));
        }
    }
}

#[test]
fn inspect_prints_dockers_documents() {
    let Some(fixture) = Fixture::unpack("docker-28.5") else { return };
    let engine = fixture.engine(Access::Read);
    for (id, said) in fixture.said_of("images") {
        let ours = engine.inspect_image(&id.parse().unwrap()).unwrap();
        assert_eq!(fixture.printed(&ours), fixture.printed(&said["inspect"]));
    }
    for (id, said) in fixture.said_of("containers") {
        let ours = engine.inspect_container(&id.parse().unwrap(), true).unwrap();
        assert_eq!(fixture.printed(&ours), fixture.printed(&said["inspect"]));
        let without = engine.inspect_container(&id.parse().unwrap(), false).unwrap();
        assert!(without.get("SizeRw").is_none() && without.get("SizeRootFs").is_none());
    }
}

#[test]
fn documents_of_old_daemons_get_todays_form() {
    let Some(fixture) = Fixture::unpack("docker-20.10") else { return };
    let engine = fixture.engine(Access::Read);
    for (id, said) in fixture.said_of("containers") {
        let ours = engine.inspect_container(&id.parse().unwrap(), true).unwrap();
        for key in [
            "Id",
            "Created",
            "Path",
            "Args",
            "State",
            "Image",
            "Name",
            "Platform",
            "HostConfig",
            "SizeRw",
            "SizeRootFs",
            "Mounts",
            "Config",
        ] {
            assert_eq!(fixture.printed(&ours[key]), fixture.printed(&said["inspect"][key]), "{key}");
        }
        assert_eq!(ours["NetworkSettings"]["Networks"]["bridge"]["GwPriority"].as_u64().unwrap_or(0), 0);
    }
    for (id, said) in fixture.said_of("images") {
        let ours = engine.inspect_image(&id.parse().unwrap()).unwrap();
        for key in [
            "Id",
            "RepoTags",
            "Parent",
            "Created",
            "DockerVersion",
            "Size",
            "GraphDriver",
            "RootFS",
            "Metadata",
        ] {
            assert_eq!(fixture.printed(&ours[key]), fixture.printed(&said["inspect"][key]), "{key}");
        }
    }
}

#[test]
fn containers_have_dockers_sizes_names_and_states() {
    for version in ["docker-28.5", "docker-20.10"] {
        let Some(fixture) = Fixture::unpack(version) else { return };
        let said = fixture.said_of("containers");
        let options = ListContainers { all: true, size: true };
        let containers = fixture.engine(Access::Read).list_containers(&options).unwrap();
        assert_eq!(containers.len(), said.len());
        assert!(containers.is_sorted_by_key(|container| std::cmp::Reverse(container.created)));
        for container in &containers {
            let said = &said[&container.id.hex()];
            assert_eq!(format!("/{}", container.names[0]), said["name"].as_str().unwrap());
            assert_eq!(container.size_rw, said["SizeRw"].as_u64());
            assert_eq!(container.size_root_fs, said["SizeRootFs"].as_u64());
            assert_eq!(container.state, said["inspect"]["State"]["Status"].as_str().unwrap());
            assert_eq!(container.image, said["inspect"]["Config"]["Image"].as_str().unwrap());
            assert_eq!(container.local_volumes, said["inspect"]["Mounts"].as_array().unwrap().len());
        }
    }
}

#[test]
fn looking_changes_nothing() {
    let Some(fixture) = Fixture::unpack("docker-28.5") else { return };
    let before = testkit::tree::dump(fixture.tmp.path());
    let engine = fixture.engine(Access::Read);
    engine.list_images(true).unwrap();
    engine.list_containers(&ListContainers { all: true, size: true }).unwrap();
    engine.disk_usage().unwrap();
    engine.system_prune(&PruneOptions { all: true, dry_run: true, ..Default::default() }).unwrap();
    assert_eq!(testkit::tree::dump(fixture.tmp.path()), before);
}

#[test]
fn layers_of_the_build_cache_outlive_their_image() {
    let Some(fixture) = Fixture::unpack("docker-28.5") else { return };
    let engine = fixture.engine(Access::Write);
    let before = engine.driver().list().unwrap().len();
    let committed: ImageId = engine.find_image("fixture/committed:1").unwrap();
    let own = engine.store().images().get(&committed).unwrap().chain_id().unwrap();
    for container in ["created", "stopped"] {
        engine.remove_container(&engine.find_container(container).unwrap(), false).unwrap();
    }
    // Only the topmost layer was made by commit; those below are BuildKit's, and its cache has them.
    let removed = engine.remove_image("fixture/committed:1", RemoveImage::default()).unwrap();
    let expected = ["fixture/committed:1".to_owned(), committed.to_string(), own.to_string()];
    assert_eq!(removed.iter().map(word).collect::<Vec<_>>(), expected);
    engine.remove_image("fixture/app:1", RemoveImage::default()).unwrap();
    let removed = engine.remove_image("fixture/app", RemoveImage::default()).unwrap();
    assert_eq!(removed.len(), 2, "{removed:?}");
    // Two containers of two directories each, and the layer of the commit.
    assert_eq!(engine.driver().list().unwrap().len(), before - 5);
    let pruned = engine.system_prune(&PruneOptions { all: true, ..Default::default() }).unwrap();
    assert!(pruned.garbage.is_empty() && pruned.warnings.is_empty(), "{pruned:?}");
    let usage = engine.disk_usage().unwrap();
    assert_eq!((usage.garbage, usage.images.len(), usage.layers_size), (0, 0, 0));
    assert!(usage.build_cache.snapshots >= 6, "{:?}", usage.build_cache);
}

fn word(removed: &Removed) -> String {
    match removed {
        Removed::Untagged(word) | Removed::Deleted(word) => word.clone(),
    }
}

#[test]
fn a_used_layer_chain_is_reported_from_the_top() {
    let Some(fixture) = Fixture::unpack("docker-20.10") else { return };
    std::fs::remove_dir_all(fixture.tmp.path().join("buildkit")).unwrap();
    let engine = fixture.engine(Access::Write);
    for container in engine.list_containers(&ListContainers { all: true, size: false }).unwrap() {
        engine.remove_container(&container.id, false).unwrap();
    }
    engine.remove_image("fixture/committed:1", RemoveImage::default()).unwrap();
    engine.remove_image("fixture/app:latest", RemoveImage::default()).unwrap();
    let removed = engine.remove_image("fixture/app:1", RemoveImage::default()).unwrap();
    let said = fixture.said_of("images");
    // The classic builder made one image for each step, each the parent of the next: all go but the base.
    let deleted = removed.iter().filter(|removed| matches!(removed, Removed::Deleted(_))).count();
    assert_eq!(removed[0], Removed::Untagged("fixture/app:1".into()));
    assert_eq!(deleted, said.len() - 2 + 5, "{removed:?}");
    assert_eq!(engine.list_images(true).unwrap().len(), 1);
    assert_eq!(engine.driver().list().unwrap().len(), 1);
}
