//! Stages: which are built, in which order, and what they take from each other.

use crate::world::{World, on_every_driver};
use engine::build::BuildOptions;

#[test]
fn stages_that_nothing_needs_are_skipped() {
    on_every_driver(|world| {
        world.file("a", "1");
        let file = "FROM scratch AS unused\nCOPY missing /\nFROM scratch AS one\nCOPY a /one\nFROM scratch\nCOPY --from=one /one /two\n";
        let image = world.build(file);
        assert_eq!(image.paths(), ["two"]);
        assert_eq!(image.history(), ["COPY /one /two # buildkit"]);
        assert!(world.log.of("unused").is_empty());
        let target = BuildOptions { target: Some("one".into()), ..world.options(file) };
        let image = world.image(&world.build_with(&target).unwrap());
        assert_eq!(image.paths(), ["one"]);
    });
}

#[test]
fn a_stage_on_a_stage_goes_on_with_its_configuration() {
    on_every_driver(|world| {
        world.file("a", "1");
        let image = world.build(
            "FROM scratch AS base\nENV a=1\nARG b=2\nWORKDIR /w\nLABEL l=1\nFROM base\nCOPY a $a$b\nCMD [\"x\"]\n",
        );
        assert_eq!(image.at("w/12"), "f 644 0:0 1");
        let config = image.config.view().config.clone().unwrap();
        assert_eq!(config.working_dir, "/w");
        assert!(config.env.unwrap().contains(&"a=1".to_owned()));
        assert_eq!(image.history().len(), 6);
    });
}

#[test]
fn what_is_copied_from_a_stage_keeps_its_owner() {
    on_every_driver(|world| {
        world.file("a", "1");
        let image = world.build(
            "FROM scratch AS s\nCOPY --chown=5:6 a /d/a\nFROM scratch\nCOPY --from=s /d /e\nCOPY --from=0 --chown=7 /d/a /f\n",
        );
        assert_eq!(image.at("e/a"), "f 644 5:6 1");
        assert_eq!(image.at("e"), "d 755 0:0");
        assert_eq!(image.at("f"), "f 644 7:7 1");
    });
}

#[test]
fn many_stages_at_once_end_with_the_error_of_the_one_that_failed() {
    let world = World::new("vfs");
    world.file("a", "1");
    let mut file = String::new();
    for number in 0..8 {
        file += &format!("FROM scratch AS s{number}\nCOPY a /a{number}\n");
    }
    file += "FROM scratch AS bad\nCOPY missing /\nFROM scratch\n";
    for number in 0..8 {
        file += &format!("COPY --from=s{number} /a{number} /\n");
    }
    let good = world.build(&file);
    assert_eq!(good.paths().len(), 8);
    let (error, excerpt) = world.fails(&(file + "COPY --from=bad /x /\n"));
    assert!(error.contains("\"/missing\": not found"), "{error}");
    assert!(excerpt.contains(">>> COPY missing /"), "{excerpt}");
}

#[test]
fn errors_have_their_place() {
    let world = World::new("vfs");
    let (error, excerpt) = world.fails("FROM scratch\nENV a=1\nRUNN x\n");
    assert!(error.contains("unknown instruction: RUNN"), "{error}");
    assert!(excerpt.contains("   3 | >>> RUNN x"), "{excerpt}");
    let (error, _) = world.fails("FROM scratch\nUSER ${x:?must be set}\n");
    assert!(error.contains("must be set"), "{error}");
}
