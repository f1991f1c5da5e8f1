//! Base images, and what becomes of their configuration.

use crate::world::{World, on_every_driver};
use engine::build::BuildOptions;
use model::Timestamp;

#[test]
fn an_image_that_was_built_can_be_built_on() {
    on_every_driver(|world| {
        world.file("a", "1");
        let base = "FROM scratch\nCOPY a /a\nENV base=1\nUSER 5\nONBUILD COPY b /b\nONBUILD ENV trigger=1\n";
        world.build_with(&BuildOptions { tags: World::tag("base"), ..world.options(base) }).unwrap();
        world.file("b", "2");
        let image = world.build("FROM base\nENV mine=1\n");
        assert_eq!(image.at("b"), "f 644 0:0 2");
        let config = image.config.view().config.clone().unwrap();
        let env = config.env.unwrap();
        for line in ["base=1", "trigger=1", "mine=1"] {
            assert!(env.contains(&line.to_owned()), "{env:?}");
        }
        assert_eq!(config.user, "5");
        assert!(config.on_build.is_none());
        assert_eq!(world.log.of("FROM docker.io/library/base:latest").len(), 1);
        assert_eq!(world.log.carried_out(), ["[2/2] ONBUILD COPY b /b"]);
    });
}

#[test]
fn names_labels_and_times_are_what_was_asked_for() {
    on_every_driver(|world| {
        world.file("a", "1");
        let mut options = world.options("FROM scratch\nLABEL a=1 b=1\nCOPY a /a\nCMD [\"a\"]\n");
        options.tags = World::tag("x:1").into_iter().chain(World::tag("y")).collect();
        options.labels = [("b", "2"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let built = world.build_with(&options).unwrap();
        for name in ["x:1", "y"] {
            assert_eq!(world.engine.find_image(name).unwrap(), built.image);
        }
        let image = world.image(&built);
        let labels = image.config.view().config.clone().unwrap().labels.unwrap();
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["a=1", "b=2", "c=3"]);
        // Steps without a layer have the time of the layer.
        let times: Vec<Option<Timestamp>> =
            image.config.view().history.iter().map(|step| step.created).collect();
        assert_eq!(times.len(), 3);
        assert!(times.iter().all(|time| *time == image.config.view().created));
        let empty: Vec<bool> = image.config.view().history.iter().map(|step| step.empty_layer).collect();
        assert_eq!(empty, [true, false, true]);
    });
}

#[test]
fn a_base_that_nobody_has_is_told_with_its_place() {
    let world = World::new("vfs");
    let (_, excerpt) = world.fails("FROM localhost:1/no/such:image\n");
    assert!(excerpt.contains(">>> FROM localhost:1/no/such:image"), "{excerpt}");
}
