//! Without a migration, each driver shows what it has, and nothing of the others.

use engine::containers::ListContainers;
use engine::{Access, Engine, Options};
use model::progress::Silent;

use super::{facts, open};
use crate::shop;

#[test]
fn another_driver_hides_images_and_containers_and_the_first_shows_them_again() {
    if !testkit::require_root("migrate::hidden") {
        return;
    }
    sys::process::clear_umask();
    let tmp = shop::temp();
    let of = |driver| open(tmp.path(), Some(driver));
    shop::load(&of("overlay2"), &shop::image_a()).unwrap();
    shop::create(&of("overlay2"), "box", "a:1").unwrap();
    let before = facts(&of("overlay2"));

    let other = of("vfs");
    let all = ListContainers { all: true, size: true };
    assert!(other.list_images(true).unwrap().is_empty());
    assert!(other.list_containers(&all).unwrap().is_empty());
    assert!(other.find_container("box").is_err());
    // The name and the tag are free.
    shop::load(&other, &shop::image_b().tag("a:1")).unwrap();
    let second = shop::create(&other, "box", "a:1").unwrap();
    assert_eq!(other.find_container("box").unwrap(), second);
    other.system_prune(&engine::prune::PruneOptions { all: true, ..Default::default() }).unwrap();

    assert_eq!(facts_of_driver(&of("overlay2")), before);
    let engine = of("overlay2");
    assert_ne!(engine.find_container("box").unwrap(), second);
    let mut tree = Vec::new();
    engine.export(&engine.find_container("box").unwrap(), &mut tree, &Silent).unwrap();
}

/// A driver that has nothing yet is empty to look at, and looking makes nothing.
#[test]
fn a_driver_without_anything_shows_an_empty_store() {
    if !testkit::require_root("migrate::hidden, reading") {
        return;
    }
    let tmp = shop::temp();
    shop::load(&open(tmp.path(), Some("overlay2")), &shop::image_a()).unwrap();
    let options = Options { driver: Some("vfs".to_owned()), ..Options::new(tmp.path()) };
    let engine = Engine::open(&options, Access::Read).unwrap();
    assert!(engine.list_images(true).unwrap().is_empty());
    assert!(engine.list_containers(&ListContainers { all: true, size: false }).unwrap().is_empty());
    assert_eq!(engine.info().unwrap().driver, "vfs");
    engine.disk_usage().unwrap();
    assert!(!tmp.path().join("vfs").exists() && !tmp.path().join("image/vfs").exists());
}

fn facts_of_driver(engine: &Engine) -> Vec<String> {
    facts(engine)
}
