//! What is found again, and what is not.

use crate::world::{World, on_every_driver};
use engine::build::BuildOptions;
use engine::prune::{BuildPruneOptions, PruneOptions};
use engine::remove_image::RemoveImage;
use model::Timestamp;

const THREE: &str = "FROM scratch\nCOPY a /a\nCOPY b /b\nWORKDIR /w\nENV x=1\n";

fn world_of_three(world: &World) {
    world.file("a", "1");
    world.file("b", "2");
}

#[test]
fn an_unchanged_build_makes_the_same_image_and_carries_out_nothing() {
    on_every_driver(|world| {
        world_of_three(world);
        let first = world.build(THREE);
        assert_eq!(world.log.carried_out().len(), 3);
        let again = world.build(THREE);
        assert_eq!(world.log.carried_out(), [""; 0]);
        assert_eq!(again.config.id(), first.config.id());
    });
}

#[test]
fn only_what_depends_on_a_change_is_carried_out() {
    on_every_driver(|world| {
        world_of_three(world);
        world.build(THREE);
        // A time alone is no change.
        std::fs::File::options()
            .write(true)
            .open(world.context.join("a"))
            .unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        world.build(THREE);
        assert_eq!(world.log.carried_out(), [""; 0]);
        world.file("b", "changed");
        world.build(THREE);
        assert_eq!(world.log.carried_out(), ["[2/3] COPY b /b", "[3/3] WORKDIR /w"]);
        // A label or a variable that nobody reads costs no layer.
        world.build("FROM scratch\nLABEL a=b\nENV unused=1\nCOPY a /a\nCOPY b /b\nWORKDIR /w\n");
        assert_eq!(world.log.carried_out(), [""; 0]);
        // Another owner or mode is a change, the name of the file in the context is none.
        world.build("FROM scratch\nCOPY --chmod=600 a /a\n");
        assert_eq!(world.log.carried_out().len(), 1);
    });
}

#[test]
fn without_the_cache_everything_is_carried_out() {
    on_every_driver(|world| {
        world_of_three(world);
        world.build(THREE);
        let options = BuildOptions { no_cache: true, ..world.options(THREE) };
        world.build_with(&options).unwrap();
        assert_eq!(world.log.carried_out().len(), 3);
    });
}

#[test]
fn what_a_failed_build_has_made_is_kept_for_the_next() {
    on_every_driver(|world| {
        world_of_three(world);
        let (error, _) = world.fails("FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY missing /c\n");
        assert!(error.contains("\"/missing\": not found"), "{error}");
        world.file("missing", "3");
        world.build("FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY missing /c\n");
        assert_eq!(world.log.carried_out(), ["[3/3] COPY missing /c"]);
    });
}

#[test]
fn the_same_inputs_and_epoch_make_the_same_image_in_two_stores() {
    let build = |wait: bool| {
        let world = World::new("vfs");
        world_of_three(&world);
        world.file("d/e", "x");
        if wait {
            world.file("a", "1");
        }
        let dockerfile = "FROM scratch\nCOPY a /a\nCOPY d /deep/er/\nWORKDIR /w\nENV x=1\n";
        let epoch = Some(Timestamp::from_unix(1_000_000_000, 0));
        let built = world.build_with(&BuildOptions { epoch, ..world.options(dockerfile) }).unwrap();
        let image = world.image(&built);
        assert_eq!(image.config.view().created, epoch);
        built.image
    };
    assert_eq!(build(false), build(true));
}

#[test]
fn layers_of_the_cache_outlive_their_image_until_they_are_pruned() {
    on_every_driver(|world| {
        world_of_three(world);
        let options = BuildOptions { tags: World::tag("x"), ..world.options(THREE) };
        let built = world.build_with(&options).unwrap();
        let layers = || world.engine.store().layers().list().unwrap().len();
        assert_eq!(layers(), 3);
        world.engine.remove_image("x", RemoveImage::default()).unwrap();
        assert_eq!(layers(), 3);
        assert!(world.engine.disk_usage().unwrap().build_cache.snapshots >= 3);
        assert_eq!(world.engine.disk_usage().unwrap().garbage, 0);
        world.assert_sound();
        // Found again, it is the same image.
        assert_eq!(world.build_with(&options).unwrap(), built);
        assert_eq!(world.log.carried_out(), [""; 0]);
        // What an image needs stays, and so do its records without `all`.
        let pruned = world.engine.prune_builds(&BuildPruneOptions::default()).unwrap();
        assert!(pruned.records.is_empty());
        let all = BuildPruneOptions { all: true, ..BuildPruneOptions::default() };
        let pruned = world.engine.prune_builds(&all).unwrap();
        assert_eq!((pruned.records.len(), pruned.reclaimed, layers()), (3, 0, 3));
        // Without records nothing is found.
        world.build_with(&options).unwrap();
        assert_eq!(world.log.carried_out().len(), 3);
        world.engine.remove_image("x", RemoveImage::default()).unwrap();
        let pruned = world.engine.system_prune(&PruneOptions::default()).unwrap();
        assert_eq!(pruned.builds.len(), 3);
        assert_eq!(layers(), 0);
        world.assert_sound();
    });
}

#[test]
fn a_layer_that_was_damaged_is_made_again() {
    let world = World::new("vfs");
    world_of_three(&world);
    world.build("FROM scratch\nCOPY a /a\n");
    let record = world.engine.store().build_cache().list().unwrap().remove(0);
    let layer = world.engine.store().layers().get(&record.chain).unwrap();
    world.engine.driver().discard(&layer.cache_id).unwrap();
    let image = world.build("FROM scratch\nCOPY a /a\n");
    assert_eq!(world.log.carried_out().len(), 1);
    assert_eq!(image.at("a"), "f 644 0:0 1");
}
