//! A migration that cannot be is refused with what to do, and nothing has changed.

use engine::create::CreateOptions;
use engine::migrate::MigrateOptions;
use engine::mount::Access;
use testkit::tree::{Without, dump_without};

use super::{facts, migrate, open};
use crate::shop;

#[test]
fn what_stands_against_it_is_named() {
    if !testkit::require_root("migrate::refused") {
        return;
    }
    sys::process::clear_umask();
    let tmp = shop::temp();
    let of = || open(tmp.path(), Some("overlay2"));
    shop::load(&of(), &shop::image_a()).unwrap();
    let id = shop::create(&of(), "box", "a:1").unwrap();
    let before = facts(&of());
    let refused = |to: &str| migrate(of(), to).unwrap_err().to_string();

    assert_eq!(refused("overlay2"), "the storage driver is overlay2 already");
    assert_eq!(refused("nosuch"), "driver not supported: nosuch");

    of().mount(&id, Access::Write).unwrap();
    assert_eq!(refused("vfs"), "container box is mounted: unmount it before the migration");
    of().unmount(&id).unwrap();

    let claim = of().store().running().claim(&id).unwrap();
    let expected = "container box is running: stop it before the migration";
    assert_eq!(refused("vfs"), expected);
    drop(claim);

    let other = open(tmp.path(), Some("vfs"));
    shop::load(&other, &shop::image_b()).unwrap();
    let text = refused("vfs");
    assert!(
        text.starts_with("the storage driver vfs has 1 images and 4 layers in this data root already"),
        "{text}"
    );
    other.system_prune(&engine::prune::PruneOptions { all: true, ..Default::default() }).unwrap();
    drop(other);

    assert_eq!(facts(&of()), before);
    assert!(!tmp.path().join("layercake/migrate").exists());
    migrate(of(), "vfs").unwrap();
}

#[test]
fn a_damaged_layer_is_named_with_who_needs_it_and_nothing_is_switched() {
    if !testkit::require_root("migrate::refused, damaged") {
        return;
    }
    sys::process::clear_umask();
    let tmp = shop::temp();
    let engine = open(tmp.path(), Some("overlay2"));
    shop::load(&engine, &shop::image_a()).unwrap();
    let chain = engine.store().layers().list().unwrap();
    let base =
        chain.iter().map(|chain| engine.store().layers().get(chain).unwrap()).find(|l| l.parent.is_none());
    let root = engine.driver().layer_root(&base.unwrap().cache_id).unwrap();
    std::fs::write(root.path().join("etc/passwd"), "changed behind its back").unwrap();
    let text = migrate(engine, "vfs").unwrap_err().to_string();
    assert!(text.contains("of image a:1 cannot be moved: ") && text.contains("etc/passwd"), "{text}");
    let engine = open(tmp.path(), Some("overlay2"));
    assert!(engine.info().unwrap().warnings.iter().any(|line| line.contains("interrupted")));
    // It has to be finished, or taken back, before another one.
    let text = migrate(engine, "fuse-overlayfs").unwrap_err().to_string();
    assert!(text.contains("a migration from overlay2 to vfs was interrupted"), "{text}");
    let engine = open(tmp.path(), Some("overlay2"));
    assert!(engine.abandon_migration().unwrap());
    assert!(!engine.abandon_migration().unwrap());
    assert!(!tmp.path().join("layercake/migrate").exists());
    assert!(engine.info().unwrap().warnings.is_empty());
}

#[test]
fn looking_what_it_would_take_changes_nothing() {
    if !testkit::require_root("migrate::refused, dry run") {
        return;
    }
    sys::process::clear_umask();
    let tmp = shop::temp();
    let engine = open(tmp.path(), Some("overlay2"));
    super::fill(&engine);
    engine.create(&CreateOptions { image: "a:1".to_owned(), ..CreateOptions::default() }).unwrap();
    let dump = || dump_without(tmp.path(), Without { dir_times: true, times: false });
    engine.estimate_migration(&MigrateOptions { to: "vfs".to_owned(), ..MigrateOptions::default() }).unwrap();
    let before = dump();
    let to = |to: &str| MigrateOptions { to: to.to_owned(), ..MigrateOptions::default() };
    let near = engine.estimate_migration(&to("fuse-overlayfs")).unwrap();
    let far = engine.estimate_migration(&to("vfs")).unwrap();
    assert_eq!((near.images, near.containers, near.layers), (3, 3, 6));
    assert_eq!(near.written, 0);
    assert!(far.written > 0 && far.bytes == near.bytes, "{far:?}");
    super::assert_same(&dump(), &before, "a dry run");
}
