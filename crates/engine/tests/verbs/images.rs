//! images, history, tag, inspect.

use model::{Reference, Timestamp};

use crate::world::{Image, World};

fn names(references: &[Reference]) -> Vec<String> {
    references.iter().map(ToString::to_string).collect()
}

#[test]
fn the_newest_image_comes_first_and_shared_layers_count_for_each() {
    let world = World::new();
    let old = world.load(Image { layers: &["base"], names: &["old:1"], age: 1, ..Image::default() });
    let new = world.load(Image {
        layers: &["base", "upper"],
        names: &["new:1", "acme/new:2"],
        age: 2,
        ..Image::default()
    });
    let images = world.reader().list_images(false).unwrap();
    assert_eq!(images.iter().map(|i| i.id).collect::<Vec<_>>(), [new, old]);
    assert_eq!(images.iter().map(|i| i.size).collect::<Vec<_>>(), [9, 4]);
    // Docker sorts by the canonical name: docker.io/acme/new before docker.io/library/new.
    assert_eq!(names(&images[0].tags), ["acme/new:2", "new:1"]);
}

#[test]
fn images_of_one_instant_are_sorted_by_id() {
    let world = World::new();
    let mut ids = ["a", "b", "c"].map(|layer| world.load(Image { layers: &[layer], ..Image::default() }));
    ids.sort_unstable();
    assert_eq!(world.engine.list_images(false).unwrap().iter().map(|i| i.id).collect::<Vec<_>>(), ids);
}

#[test]
fn nameless_parents_are_shown_with_all_only() {
    let world = World::new();
    let parent = world.load(Image { layers: &["base"], ..Image::default() });
    let child = world.load(Image { layers: &["base", "upper"], ..Image::default() });
    world.set_parent(&child, &parent);
    let shown = |all| world.engine.list_images(all).unwrap().iter().map(|i| i.id).collect::<Vec<_>>();
    assert_eq!(shown(false), [child]);
    assert_eq!(shown(true).len(), 2);
    world.engine.tag(&parent, &"parent:1".parse().unwrap()).unwrap();
    assert_eq!(shown(false).len(), 2);
}

#[test]
fn a_tag_moves_and_is_dated() {
    let world = World::new();
    let a = world.load(Image { layers: &["a"], names: &["x:1"], ..Image::default() });
    let b = world.load(Image { layers: &["b"], ..Image::default() });
    assert_eq!(world.engine.store().images().last_updated(&a).unwrap(), None);
    world.engine.tag(&b, &"x:1".parse().unwrap()).unwrap();
    world.engine.tag(&b, &"y".parse().unwrap()).unwrap();
    assert_eq!(world.engine.find_image("x:1").unwrap(), b);
    assert_eq!(world.engine.find_image("y:latest").unwrap(), b);
    assert!(world.engine.store().images().last_updated(&b).unwrap() > Some(Timestamp::EPOCH));
    let shown = world.engine.list_images(false).unwrap();
    assert!(shown.iter().find(|image| image.id == a).unwrap().tags.is_empty());
    let document = world.engine.inspect_image(&b).unwrap();
    assert_eq!(document["RepoTags"], serde_json::json!(["x:1", "y:latest"]));
}

#[test]
fn what_cannot_be_tagged_stays_as_it_was() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], ..Image::default() });
    let digest = format!("x@sha256:{}", "0".repeat(64)).parse().unwrap();
    let error = world.engine.tag(&id, &digest).unwrap_err().to_string();
    assert_eq!(error, "refusing to create a tag with a digest reference");
    let other = model::ImageId::of(b"nothing");
    assert!(
        world.engine.tag(&other, &"x:1".parse().unwrap()).unwrap_err().to_string().contains("No such image")
    );
    assert!(world.engine.store().references().read().unwrap().iter().next().is_none());
}

#[test]
fn history_names_the_images_that_were_built_here() {
    let world = World::new();
    let parent = world.load(Image { layers: &["base"], names: &["parent:1"], ..Image::default() });
    let child =
        world.load(Image { layers: &["base", "upper", "top"], names: &["child:1"], ..Image::default() });
    let ids = |id| world.engine.history(id).unwrap().iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(ids(&child), [Some(child), None, None]);
    world.set_parent(&child, &parent);
    let history = world.engine.history(&child).unwrap();
    assert_eq!(history.iter().map(|item| item.id).collect::<Vec<_>>(), [Some(child), Some(parent), None]);
    assert_eq!(history.iter().map(|item| item.size).collect::<Vec<_>>(), [3, 5, 4]);
    assert_eq!(history[1].tags, ["parent:1"]);
    world.engine.store().images().remove(&world.engine.store().commit().unwrap(), &parent).unwrap();
    assert_eq!(ids(&child), [Some(child), None, None]);
}

#[test]
fn a_damaged_image_does_not_spoil_the_list() {
    let world = World::new();
    let good = world.load(Image { layers: &["a"], ..Image::default() });
    let bad = world.load(Image { layers: &["b"], ..Image::default() });
    std::fs::write(world.tmp.path().join("image/vfs/imagedb/content/sha256").join(bad.hex()), "{}").unwrap();
    let top = world.engine.store().images().get(&good).unwrap().chain_id().unwrap();
    std::fs::write(world.tmp.path().join("image/vfs/layerdb/sha256").join(top.hex()).join("size"), "")
        .unwrap();
    let images = world.reader().list_images(true).unwrap();
    assert_eq!(images.iter().map(|i| (i.id, i.size)).collect::<Vec<_>>(), [(good, 0)]);
}

#[test]
fn a_store_that_is_not_there_is_empty() {
    let world = World::new();
    assert!(world.reader().list_images(true).unwrap().is_empty());
    assert_eq!(world.reader().disk_usage().unwrap().layers_size, 0);
    assert_eq!(world.reader().info().unwrap().images, 0);
}
