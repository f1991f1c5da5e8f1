//! The index of back references.

use model::MountId;
use store::{Mode, MountRecord, User};

use crate::world::{World, create, listing, load, remove_image, stack};

fn uses(world: &World, numbers: &[u8]) -> Vec<User> {
    let mut users: Vec<User> = stack(numbers)
        .iter()
        .flat_map(|layer| world.root.backrefs().of_layer(&layer.chain).unwrap())
        .collect();
    users.sort_unstable();
    users
}

#[test]
fn index_and_files_say_the_same() {
    let world = World::new();
    let id = load(&world.root, &[1, 2], "x").unwrap();
    let image = world.root.images().get(&id).unwrap();
    load(&world.root, &[1, 3], "y").unwrap();
    let container = create(&world.root, 1, "web", &image).unwrap();
    let by_index = uses(&world, &[1, 2]);
    assert_eq!(by_index.len(), 4);
    std::fs::remove_dir_all(world.path().join("layercake/index/overlay2")).unwrap();
    assert_eq!(uses(&world, &[1, 2]), by_index);
    assert_eq!(world.root.backrefs().of_name("web").unwrap(), [container]);
    assert_eq!(world.root.backrefs().of_image(&id).unwrap(), [User::Container(container)]);
    drop(world.root.commit().unwrap());
    assert!(world.path().join("layercake/index/overlay2/stamp").exists());
    assert_eq!(uses(&world, &[1, 2]), by_index);
}

#[test]
fn what_docker_did_meanwhile_is_seen() {
    let world = World::new();
    load(&world.root, &[1], "x").unwrap();
    // A daemon starts: it renews tmp. It removes the image, and loads another one on the same layer.
    let id = load(&world.root, &[1, 2], "y").unwrap();
    std::fs::remove_dir_all(world.path().join("layercake/index/overlay2/layers")).unwrap();
    std::fs::create_dir(world.path().join("layercake/index/overlay2/layers")).unwrap();
    assert_eq!(uses(&world, &[1, 2]), [], "an index that is up to date is believed");
    std::fs::rename(world.path().join("tmp"), world.path().join("tmp-old")).unwrap();
    std::fs::create_dir(world.path().join("tmp")).unwrap();
    assert_eq!(uses(&world, &[1, 2]).len(), 3);
    let reader = world.reopen(Mode::Read);
    let before = listing(world.path());
    assert_eq!(reader.backrefs().of_layer(&stack(&[1, 2])[1].chain).unwrap(), [User::Image(id)]);
    assert_eq!(listing(world.path()), before, "readers leave the old index as it is");
    drop(world.root.commit().unwrap());
    assert_ne!(listing(world.path()), before);
    assert_eq!(uses(&world, &[1, 2]).len(), 3);
}

#[test]
fn a_marker_too_many_does_no_harm() {
    let world = World::new();
    let kept = load(&world.root, &[1], "x").unwrap();
    let gone = load(&world.root, &[1, 2], "y").unwrap();
    remove_image(&world.root, "y").unwrap();
    let base = stack(&[1])[0].chain;
    let key = world.path().join("layercake/index/overlay2/layers").join(base.hex());
    for marker in [
        format!("layer-{}", stack(&[1, 2])[1].chain.hex()),
        format!("image-{}", gone.hex()),
        format!("container-{}", "0".repeat(64)),
        "nonsense".to_owned(),
        "layer-x".to_owned(),
    ] {
        std::fs::write(key.join(marker), "").unwrap();
    }
    assert_eq!(world.root.backrefs().of_layer(&base).unwrap(), [User::Image(kept)]);
    remove_image(&world.root, "x").unwrap();
    assert!(world.root.layers().list().unwrap().is_empty());
}

#[test]
fn a_name_that_is_no_file_name_is_found_all_the_same() {
    let world = World::new();
    let id = load(&world.root, &[1], "x").unwrap();
    let image = world.root.images().get(&id).unwrap();
    let container = create(&world.root, 1, "plain", &image).unwrap();
    let file = world.path().join("containers").join(container.hex()).join("config.v2.json");
    let text = std::fs::read_to_string(&file).unwrap();
    for odd in ["../../etc/x", "a b", "..", &"n".repeat(300)] {
        std::fs::write(&file, text.replace("/plain", &format!("/{odd}"))).unwrap();
        std::fs::remove_file(world.path().join("layercake/index/overlay2/stamp")).unwrap();
        drop(world.root.commit().unwrap());
        assert_eq!(world.root.containers().resolve(odd).unwrap(), Some(container), "{odd:?}");
    }
}

#[test]
fn a_damaged_child_still_counts_as_a_user() {
    let world = World::new();
    load(&world.root, &[1, 2], "x").unwrap();
    let records = stack(&[1, 2]);
    let dir = world.image_path("layerdb/sha256").join(records[1].chain.hex());
    std::fs::write(dir.join("cache-id"), "").unwrap();
    assert_eq!(uses(&world, &[1]), [User::Layer(records[1].chain)]);
}

#[test]
fn a_mount_without_container_holds_its_layer() {
    let world = World::new();
    load(&world.root, &[1], "x").unwrap();
    let layer = &stack(&[1])[0].chain;
    let id = model::ContainerId::from_random([5; 32]);
    let work = world.root.begin().unwrap();
    let record = MountRecord { mount_id: MountId::from_random([5; 32]), init_id: None, parent: Some(*layer) };
    let staged = world.root.mounts().stage(&work, &id, record).unwrap();
    world.root.mounts().publish(&world.root.commit().unwrap(), staged).unwrap();
    remove_image(&world.root, "x").unwrap();
    assert!(world.root.layers().exists(layer).unwrap());
}
