//! system df: what takes the space.

use engine::df::VolumeUsage;
use engine::remove_image::RemoveImage;

use crate::world::{Image, World};

const FORCE: RemoveImage = RemoveImage { force: true, no_prune: false };

#[test]
fn layers_count_once_and_what_containers_need_is_active() {
    let world = World::new();
    world.load(Image { layers: &["base"], names: &["base:1"], ..Image::default() });
    world.load(Image { layers: &["base", "used"], names: &["used:1"], ..Image::default() });
    world.load(Image { layers: &["base", "unused"], names: &["unused:1"], ..Image::default() });
    world.create("box", "used:1");
    let usage = world.reader().disk_usage().unwrap();
    assert_eq!((usage.layers_size, usage.layers_active, usage.garbage), (4 + 4 + 6, 4 + 4, 0));
    let sizes = |name: &str| {
        let image = usage.images.iter().find(|image| image.tags[0].familiar() == name).unwrap();
        (image.size, image.shared_size, image.containers)
    };
    assert_eq!(sizes("base:1"), (4, Some(4), Some(0)));
    assert_eq!(sizes("used:1"), (8, Some(4), Some(1)));
    assert_eq!(sizes("unused:1"), (10, Some(4), Some(0)));
    assert_eq!(usage.containers[0].size_root_fs, Some(8));
}

#[test]
fn layers_that_only_a_container_keeps_are_counted() {
    let world = World::new();
    world.load(Image { layers: &["base"], names: &["x:1"], ..Image::default() });
    world.create("box", "x:1");
    world.engine.remove_image("x:1", FORCE).unwrap();
    let usage = world.reader().disk_usage().unwrap();
    assert_eq!((usage.images.len(), usage.layers_size, usage.layers_active, usage.garbage), (0, 4, 4, 0));
}

#[test]
fn layers_without_a_user_are_garbage() {
    let world = World::new();
    let id = world.load(Image { layers: &["base", "upper"], names: &["x:1"], ..Image::default() });
    // As a daemon leaves it that is killed in the middle of a load.
    std::fs::remove_file(world.tmp.path().join("image/vfs/imagedb/content/sha256").join(id.hex())).unwrap();
    let usage = world.reader().disk_usage().unwrap();
    assert_eq!((usage.layers_size, usage.garbage), (0, 9));
}

#[test]
fn volumes_are_listed_with_links_and_sizes() {
    let world = World::new();
    world.load(Image { layers: &["base"], names: &["x:1"], ..Image::default() });
    let id = world.create("box", "x:1");
    world.edit(&id, |document| {
        document["MountPoints"] =
            serde_json::json!({"/a": {"Name": "used", "Driver": "local", "Type": "volume"}});
    });
    for (volume, content) in [("used", "1234567"), ("free", "")] {
        testkit::tree::file(world.tmp.path(), &format!("volumes/{volume}/_data/file"), content);
    }
    testkit::tree::file(world.tmp.path(), "volumes/metadata.db", "x");
    testkit::tree::file(world.tmp.path(), "volumes/no-data/x", "x");
    let expected = [("free", 0, 0), ("used", 1, 7)].map(|(name, links, size)| VolumeUsage {
        name: name.into(),
        labels: Default::default(),
        mountpoint: world.tmp.path().join("volumes").join(name).join("_data"),
        links,
        size,
    });
    assert_eq!(world.reader().disk_usage().unwrap().volumes, expected);
}
