//! Container documents and the writable layers.

use model::{ContainerId, ContainerName, MountId};
use store::{Damage, Error, HostConfig, MountRecord, Status, User};

use crate::world::{World, create, document, load, mode, problems, remove_container, stack};

fn with_image() -> (World, model::ImageConfig) {
    let world = World::new();
    let id = load(&world.root, &[1, 2], "x").unwrap();
    let config = world.root.images().get(&id).unwrap();
    (world, config)
}

#[test]
fn a_container_has_dockers_files() {
    let (world, image) = with_image();
    let id = create(&world.root, 0xc1, "web", &image).unwrap();
    let dir = world.path().join("containers").join(id.hex());
    assert_eq!((mode(&dir), mode(&dir.join("checkpoints"))), (0o710, 0o700));
    assert_eq!((mode(&dir.join("config.v2.json")), mode(&dir.join("hostconfig.json"))), (0o600, 0o600));
    let mount = world.image_path("layerdb/mounts").join(id.hex());
    let read = |file: &str| std::fs::read_to_string(mount.join(file)).unwrap();
    assert_eq!((mode(&mount), mode(&mount.join("mount-id"))), (0o755, 0o644));
    assert_eq!(read("init-id"), read("mount-id") + "-init");
    assert_eq!(read("parent"), stack(&[1, 2])[1].chain.to_string());
    assert_eq!(world.root.mounts().list().unwrap(), [id]);
    assert!(problems(&world.root).is_empty());

    let container = world.root.containers().get(&id).unwrap();
    assert_eq!((container.name(), container.path(), container.args()), ("/web", "sh", &[] as &[String]));
    assert_eq!((container.image(), container.driver()), (Some(image.id()), "overlay2"));
    assert_eq!(container.state().status(), Status::Created);
    assert_eq!(world.root.containers().host_config(&id).unwrap().field("ShmSize").unwrap(), 67_108_864);
}

/// The text that a real daemon wrote for `docker create` (docs/format/containers.md), with our ids.
#[test]
fn a_new_document_is_spelled_as_dockers() {
    let id = ContainerId::from_random([0xab; 32]);
    let text = String::from_utf8(document(id, "plain", None).as_bytes().to_vec()).unwrap();
    let hex = "ab".repeat(32);
    let start = "{\"StreamConfig\":{},\"State\":{\"Running\":false,\"Paused\":false,\"Restarting\":false,\
                 \"OOMKilled\":false,\"Dead\":false,\"Pid\":0,\"ExitCode\":0,\"Error\":\"\",\
                 \"StartedAt\":\"0001-01-01T00:00:00Z\",\"FinishedAt\":\"0001-01-01T00:00:00Z\",\"Health\":null},";
    assert!(
        text.starts_with(&format!("{start}\"ID\":\"{hex}\",\"Created\":\"1970-01-01T00:00:00Z\"")),
        "{text}"
    );
    assert!(text.ends_with("\"LocalLogCacheMeta\":{\"HaveNotifyEnabled\":false}}\n"));
}

/// Go leaves a field alone whose value is `null`, and a document that daemons of other versions wrote lacks some.
#[test]
fn fields_that_are_null_or_absent_are_empty() {
    let (world, image) = with_image();
    let id = create(&world.root, 1, "web", &image).unwrap();
    let file = world.path().join("containers").join(id.hex()).join("config.v2.json");
    for field in ["\"Name\":null,\"Args\":null,\"NetworkSettings\":null,\"MountPoints\":null,", ""] {
        std::fs::write(&file, format!("{{{field}\"ID\":\"{id}\",\"Config\":{{}},\"State\":{{}}}}")).unwrap();
        let container = world.root.containers().get(&id).unwrap();
        assert_eq!((container.name(), container.args(), container.image()), ("", &[] as &[String], None));
        assert_eq!((container.networks().count(), container.mount_points().count()), (0, 0));
        assert!(container.created().is_zero());
    }
}

#[test]
fn fields_that_nobody_knows_survive_a_rename() {
    let (world, image) = with_image();
    let id = create(&world.root, 1, "before", &image).unwrap();
    let file = world.path().join("containers").join(id.hex()).join("config.v2.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let text =
        text.replace("\"Managed\":false", "\"Future\":{\"b\":[1.5,\"<\"],\"a\":null},\"Managed\":true");
    std::fs::write(&file, &text).unwrap();
    let after = ContainerName::parse("after").unwrap();
    world.root.containers().rename(&world.root.commit().unwrap(), &id, &after).unwrap();
    let expected = text.replace("\"/before\"", "\"/after\"").replace("\"<\"", "\"\\u003c\"");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(world.root.containers().resolve("after").unwrap(), Some(id));
    assert_eq!(world.root.containers().resolve("before").unwrap(), None);
}

#[test]
fn a_name_is_given_once() {
    let (world, image) = with_image();
    let first = create(&world.root, 1, "web", &image).unwrap();
    let refused = create(&world.root, 2, "web", &image).unwrap_err();
    let words = format!(
        "Conflict. The container name \"/web\" is already in use by container \"{first}\". You have to remove \
         (or rename) that container to be able to reuse that name."
    );
    assert_eq!(refused.to_string(), words);
    crate::world::sweep(&world.root).unwrap();
    assert!(problems(&world.root).is_empty());
    let second = create(&world.root, 2, "web2", &image).unwrap();
    let web = ContainerName::parse("web").unwrap();
    let lock = world.root.commit().unwrap();
    let renamed = world.root.containers().rename(&lock, &second, &web);
    assert!(matches!(renamed.unwrap_err(), Error::NameInUse { id, .. } if id == first));
    world.root.containers().rename(&lock, &first, &web).unwrap();
    drop(lock);
    remove_container(&world.root, &first).unwrap();
    create(&world.root, 3, "web", &image).unwrap();
}

#[test]
fn look_ups_are_dockers() {
    let (world, image) = with_image();
    let a = create(&world.root, 0xa1, "one", &image).unwrap();
    let b = create(&world.root, 0xa2, "two", &image).unwrap();
    // A name that is the start of an id means the name.
    let named = create(&world.root, 0xb1, "a1a1", &image).unwrap();
    let resolve = |text: &str| world.root.containers().resolve(text).unwrap();
    assert_eq!((resolve(&a.hex()), resolve("one"), resolve("/two")), (Some(a), Some(a), Some(b)));
    assert_eq!((resolve("a1"), resolve("a2a2a2a2a2a2"), resolve("a1a1")), (Some(a), Some(b), Some(named)));
    assert_eq!((resolve(""), resolve("zz"), resolve("ONE"), resolve("../x")), (None, None, None, None));
    let message = world.root.containers().resolve("a").unwrap_err().to_string();
    assert_eq!(message, "multiple IDs found with provided prefix: a");
}

#[test]
fn containers_of_other_drivers_are_not_meant() {
    let (world, image) = with_image();
    let id = create(&world.root, 1, "web", &image).unwrap();
    let other = store::DataRoot::create(world.path(), "vfs").unwrap();
    assert_eq!(other.containers().resolve("web").unwrap(), None);
    assert_eq!(other.containers().resolve(&id.hex()).unwrap(), None);
    assert_eq!(other.containers().resolve(&id.hex()[..3]).unwrap(), None);
    assert!(problems(&other).is_empty());
    assert_eq!(world.root.containers().resolve("web").unwrap(), Some(id));
}

#[test]
fn a_container_holds_its_image_and_layers() {
    let (world, image) = with_image();
    let id = create(&world.root, 1, "web", &image).unwrap();
    let top = image.chain_id().unwrap();
    assert_eq!(world.root.backrefs().of_image(&image.id()).unwrap(), [User::Container(id)]);
    assert!(world.root.backrefs().of_layer(&top).unwrap().contains(&User::Container(id)));
    // As `rmi --force` does: the image goes, the layers stay for the container.
    crate::world::remove_image(&world.root, "x").unwrap();
    assert_eq!(world.root.backrefs().of_layer(&top).unwrap(), [User::Container(id)]);
    assert_eq!(world.root.layers().chain(&top).unwrap().len(), 2);
    remove_container(&world.root, &id).unwrap();
    assert!(!world.root.backrefs().layer_in_use(&top).unwrap());
    assert!(
        world.root.containers().list().unwrap().is_empty() && world.root.mounts().list().unwrap().is_empty()
    );
}

#[test]
fn a_container_without_a_writable_layer_is_not_published() {
    let (world, image) = with_image();
    let work = world.root.begin().unwrap();
    let id = ContainerId::from_random([9; 32]);
    let staged =
        world.root.containers().stage(&work, document(id, "xy", None), &HostConfig::new(false)).unwrap();
    let lock = world.root.commit().unwrap();
    assert!(matches!(world.root.containers().publish(&lock, staged).unwrap_err(), Error::NoContainer(_)));
    let record = MountRecord {
        mount_id: MountId::from_random([1; 32]),
        init_id: None,
        parent: Some(stack(&[7])[0].chain),
    };
    let mount = world.root.mounts().stage(&work, &id, record).unwrap();
    assert!(matches!(world.root.mounts().publish(&lock, mount).unwrap_err(), Error::NoLayer(_)));
    drop(image);
}

#[test]
fn an_image_without_layers_gives_a_mount_without_parent() {
    let world = World::new();
    let record = MountRecord { mount_id: MountId::from_random([1; 32]), init_id: None, parent: None };
    let id = ContainerId::from_random([1; 32]);
    let work = world.root.begin().unwrap();
    let staged = world.root.mounts().stage(&work, &id, record.clone()).unwrap();
    world.root.mounts().publish(&world.root.commit().unwrap(), staged).unwrap();
    assert_eq!(world.root.mounts().get(&id).unwrap(), record);
    assert_eq!(std::fs::read_dir(world.image_path("layerdb/mounts").join(id.hex())).unwrap().count(), 1);
}

#[test]
fn what_is_wrong_with_a_container_has_a_name() {
    let (world, image) = with_image();
    let id = create(&world.root, 1, "web", &image).unwrap();
    let other = create(&world.root, 2, "other", &image).unwrap();
    let dir = world.path().join("containers").join(id.hex());
    let mount = world.image_path("layerdb/mounts").join(id.hex());
    let sound = std::fs::read_to_string(dir.join("config.v2.json")).unwrap();
    let damages = || -> Vec<Damage> {
        let both = [world.root.containers().check().unwrap(), world.root.mounts().check().unwrap()];
        both.concat().into_iter().map(|f| f.damage).collect()
    };
    for (text, expected) in [
        (String::new(), Damage::Empty("config.v2.json")),
        (sound.replace(&id.hex(), &other.hex()), Damage::WrongId(other.hex())),
    ] {
        std::fs::write(dir.join("config.v2.json"), text).unwrap();
        assert_eq!(damages(), [expected]);
    }
    // What a daemon's decoder refuses: no object, a field of another type.
    for text in ["[]".to_owned(), sound.replace("\"Name\":\"/web\"", "\"Name\":7")] {
        std::fs::write(dir.join("config.v2.json"), text).unwrap();
        assert!(matches!(damages()[..], [Damage::Invalid { file: "config.v2.json", .. }]));
    }
    // What makes a daemon crash at its start.
    for part in ["Config", "State"] {
        std::fs::write(dir.join("config.v2.json"), sound.replace(&format!("\"{part}\":"), "\"X\":")).unwrap();
        let missing = format!("`{part}`");
        assert!(matches!(&damages()[..], [Damage::Invalid { why, .. }] if why.contains(&missing)));
    }
    std::fs::write(dir.join("config.v2.json"), sound.replace("/web", "/other")).unwrap();
    assert!(matches!(damages()[..], [Damage::SameName(_)]));
    std::fs::write(dir.join("config.v2.json"), &sound).unwrap();
    std::fs::write(dir.join("hostconfig.json"), "[]").unwrap();
    assert!(matches!(damages()[..], [Damage::Invalid { file: "hostconfig.json", .. }]));
    std::fs::remove_file(dir.join("hostconfig.json")).unwrap();
    std::fs::write(mount.join("mount-id"), "nonsense").unwrap();
    assert!(matches!(damages()[..], [Damage::Invalid { file: "mount-id", .. }]));
    std::fs::remove_dir_all(&mount).unwrap();
    assert_eq!(damages(), [Damage::MountMissing]);
    std::fs::remove_dir_all(world.path().join("containers").join(other.hex())).unwrap();
    assert_eq!(damages(), [Damage::MountMissing, Damage::Orphan]);
}
