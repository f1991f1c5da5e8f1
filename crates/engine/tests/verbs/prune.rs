//! prune: what nobody uses, and nothing else.

use engine::prune::{PruneOptions, Pruned};
use engine::remove_image::Removed;
use model::Timestamp;

use crate::world::{Image, World};

fn names(pruned: &Pruned) -> Vec<&str> {
    let untagged = pruned.images.iter().filter_map(|removed| match removed {
        Removed::Untagged(name) => Some(name.as_str()),
        Removed::Deleted(_) => None,
    });
    untagged.collect()
}

fn all() -> PruneOptions {
    PruneOptions { all: true, ..PruneOptions::default() }
}

fn dry(options: &PruneOptions) -> PruneOptions {
    PruneOptions { dry_run: true, ..options.clone() }
}

impl World {
    /// Prunes, and makes sure that a dry run had said the same and done nothing.
    fn prune(&self, options: &PruneOptions) -> Pruned {
        let before = testkit::tree::dump(self.tmp.path());
        let said = self.reader().prune_images(&dry(options)).unwrap();
        assert_eq!(testkit::tree::dump(self.tmp.path()), before);
        let pruned = self.engine.prune_images(options).unwrap();
        assert_eq!((&said.images, said.reclaimed), (&pruned.images, pruned.reclaimed));
        pruned
    }
}

#[test]
fn nameless_images_go_and_named_ones_with_all() {
    let world = World::new();
    let dangling = world.load(Image { layers: &["base", "old"], age: 1, ..Image::default() });
    world.load(Image { layers: &["base", "new"], names: &["x:1", "x:2"], age: 2, ..Image::default() });
    let pruned = world.prune(&PruneOptions::default());
    assert_eq!(pruned.images[0], Removed::Deleted(dangling.to_string()));
    assert_eq!((pruned.images.len(), pruned.reclaimed), (2, 3));
    let pruned = world.prune(&all());
    assert_eq!(names(&pruned), ["x:1", "x:2"]);
    assert_eq!((pruned.images.len(), pruned.reclaimed), (5, 7));
    assert!(world.directories().is_empty() && world.layerdb().is_empty());
    assert_eq!(world.prune(&all()).images, []);
}

#[test]
fn an_image_that_a_container_uses_keeps_all_its_names() {
    let world = World::new();
    world.load(Image { layers: &["a"], names: &["x:1", "x:2"], ..Image::default() });
    world.create("box", "x:1");
    assert_eq!(world.prune(&all()).images, []);
}

#[test]
fn parents_lose_their_names_and_go_with_their_last_child() {
    let world = World::new();
    let parent = world.load(Image { layers: &["a"], names: &["parent:1"], ..Image::default() });
    let used = world.load(Image { layers: &["a", "b"], names: &["used:1"], ..Image::default() });
    let unused = world.load(Image { layers: &["a", "c"], names: &["unused:1"], ..Image::default() });
    world.set_parent(&used, &parent);
    world.set_parent(&unused, &parent);
    let container = world.create("box", "used:1");
    let pruned = world.prune(&all());
    let mut gone = names(&pruned);
    gone.sort_unstable();
    assert_eq!(gone, ["parent:1", "unused:1"]);
    assert_eq!(world.engine.list_images(true).unwrap().len(), 2);
    world.engine.remove_container(&container, false).unwrap();
    let pruned = world.prune(&all());
    assert!(pruned.images.contains(&Removed::Deleted(parent.to_string())), "{pruned:?}");
    assert!(world.directories().is_empty());
}

#[test]
fn filters_by_age_and_label() {
    let world = World::new();
    world.load(Image { layers: &["a"], names: &["old:1"], age: 10, labels: &[("keep", "yes")] });
    world.load(Image { layers: &["b"], names: &["new:1"], age: 20, labels: &[("keep", "no"), ("x", "")] });
    let gone = |options: PruneOptions| {
        let pruned = world.reader().prune_images(&dry(&options)).unwrap();
        names(&pruned).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let until = Timestamp::parse("2020-01-01T00:00:15Z").unwrap();
    assert_eq!(gone(PruneOptions { until: Some(until), ..all() }), ["old:1"]);
    assert_eq!(gone(PruneOptions { labels: vec!["keep=no".into()], ..all() }), ["new:1"]);
    assert_eq!(gone(PruneOptions { labels: vec!["keep".into()], ..all() }), ["new:1", "old:1"]);
    assert_eq!(gone(PruneOptions { labels: vec!["keep".into(), "x=".into()], ..all() }), ["new:1"]);
    assert_eq!(gone(PruneOptions { labels_not: vec!["x".into()], ..all() }), ["old:1"]);
}

#[test]
fn containers_that_do_not_run_go() {
    let world = World::new();
    world.load(Image { layers: &["a"], names: &["x:1"], ..Image::default() });
    let (running, stopped) = (world.create("running", "x:1"), world.create("stopped", "x:1"));
    world.edit(&running, |document| document["State"]["Running"] = true.into());
    let options = PruneOptions { labels: vec!["none".into()], ..PruneOptions::default() };
    assert_eq!(world.engine.prune_containers(&options).unwrap().containers, []);
    let said = world.reader().prune_containers(&dry(&PruneOptions::default())).unwrap();
    assert_eq!(said.containers, [stopped]);
    let pruned = world.engine.prune_containers(&PruneOptions::default()).unwrap();
    assert_eq!(pruned.containers, [stopped]);
    assert!(
        world.engine.find_container("stopped").is_err() && world.engine.find_container("running").is_ok()
    );
}

#[test]
fn the_whole_system() {
    let world = World::new();
    let id = world.load(Image { layers: &["base", "upper"], names: &["x:1"], ..Image::default() });
    let container = world.create("box", "x:1");
    let lost = world.load(Image { layers: &["base", "lost"], ..Image::default() });
    std::fs::remove_file(world.tmp.path().join("image/vfs/imagedb/content/sha256").join(lost.hex())).unwrap();
    let orphan = "f".repeat(64);
    testkit::tree::file(world.tmp.path(), &format!("vfs/dir/{orphan}/file"), "12345678");
    let said = world.reader().system_prune(&dry(&all())).unwrap();
    let pruned = world.engine.system_prune(&all()).unwrap();
    assert_eq!(pruned.containers, [container]);
    assert_eq!(names(&pruned), ["x:1"]);
    assert!(pruned.images.contains(&Removed::Deleted(id.to_string())));
    assert_eq!(said.images, pruned.images);
    assert!(pruned.garbage.iter().any(|path| path.ends_with(&orphan)), "{:?}", pruned.garbage);
    assert!(
        pruned.garbage.iter().any(|path| path.starts_with("image/vfs/layerdb/sha256/")),
        "{:?}",
        pruned.garbage
    );
    // The directory, the lost layer, and the base below it; the image's own layer.
    assert_eq!(pruned.reclaimed, 8 + 4 + 4 + 5);
    assert!(world.directories().is_empty() && world.layerdb().is_empty());
    let again = world.engine.system_prune(&all()).unwrap();
    assert!(again.garbage.is_empty() && again.images.is_empty() && again.reclaimed == 0);
}

#[test]
fn an_entry_without_a_container_is_garbage_with_its_layers() {
    let world = World::new();
    let id = world.load(Image { layers: &["base"], names: &["x:1"], ..Image::default() });
    let container = world.create("box", "x:1");
    std::fs::remove_dir_all(world.tmp.path().join("containers").join(container.hex())).unwrap();
    let pruned = world.engine.system_prune(&PruneOptions::default()).unwrap();
    assert_eq!(pruned.garbage, [format!("image/vfs/layerdb/mounts/{container}")]);
    assert!(!world.engine.store().mounts().exists(&container).unwrap());
    assert_eq!(world.directories().len(), 1);
    assert!(world.engine.store().images().exists(&id).unwrap());
}

#[test]
fn with_damaged_records_nothing_counts_as_garbage() {
    let world = World::new();
    let id = world.load(Image { layers: &["base"], names: &["x:1"], ..Image::default() });
    std::fs::write(world.tmp.path().join("image/vfs/imagedb/content/sha256").join(id.hex()), "{}").unwrap();
    let pruned = world.engine.system_prune(&PruneOptions::default()).unwrap();
    assert!(pruned.garbage.is_empty() && pruned.warnings.len() == 1, "{pruned:?}");
    assert_eq!((world.directories().len(), world.layerdb().len()), (1, 1));
}

#[test]
fn directories_of_a_build_cache_that_cannot_be_read_are_left_alone() {
    let world = World::new();
    testkit::tree::file(world.tmp.path(), "buildkit/snapshots.db", "not a database");
    testkit::tree::file(world.tmp.path(), "vfs/dir/0s4t50sf3ue6ec4plxikcqdlv/file", "x");
    testkit::tree::file(world.tmp.path(), &format!("vfs/dir/{}/file", "f".repeat(64)), "x");
    let pruned = world.engine.system_prune(&all()).unwrap();
    assert!(pruned.garbage.is_empty() && pruned.warnings.len() == 1, "{pruned:?}");
    std::fs::remove_dir_all(world.tmp.path().join("buildkit")).unwrap();
    assert_eq!(world.engine.system_prune(&all()).unwrap().garbage.len(), 2);
}
