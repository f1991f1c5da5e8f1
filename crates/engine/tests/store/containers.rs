//! Containers on images, and images of containers.

use std::path::Path;

use drivers::Access;
use engine::commit::CommitOptions;
use engine::create::CreateOptions;
use engine::import::ImportOptions;
use model::{ContainerId, Reference, Silent};

use crate::world::{World, base, image, on_every_driver, stream};

fn create(world: &World, name: &str) -> ContainerId {
    let options =
        CreateOptions { name: Some(name.to_owned()), image: "acme/app:1".to_owned(), ..Default::default() };
    world.engine.create(&options).unwrap().id
}

fn diff(world: &World, id: &ContainerId) -> Vec<String> {
    world
        .engine
        .diff(id)
        .unwrap()
        .iter()
        .map(|change| format!("{} {}", change.kind, change.path.display()))
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_container_sees_its_image_and_keeps_its_changes_to_itself() {
    on_every_driver(|world| {
        world.load(image().archive()).unwrap();
        let (one, two) = (create(world, "one"), create(world, "two"));
        assert!(diff(world, &one).is_empty());
        let dir = world.engine.mount(&one, Access::Write).unwrap();
        assert_eq!(read(&dir.join("etc/motd")), "changed\n");
        assert_eq!(read(&dir.join("etc/second")), "hello\n", "a hard link keeps what the first name lost");
        assert!(!dir.join("etc/issue").exists() && !dir.join("srv/one").exists());
        assert!(dir.join(".dockerenv").exists() && dir.join("etc/hosts").exists());
        std::fs::write(dir.join("etc/motd"), "mine\n").unwrap();
        std::fs::write(dir.join("new"), "new").unwrap();
        std::fs::remove_dir_all(dir.join("srv")).unwrap();
        world.engine.unmount(&one).unwrap();
        assert_eq!(diff(world, &one), ["C /etc", "C /etc/motd", "A /new", "D /srv"]);

        let dir = world.engine.mount(&two, Access::Read).unwrap();
        assert_eq!(read(&dir.join("etc/motd")), "changed\n");
        world.engine.unmount(&two).unwrap();
    });
}

#[test]
fn a_commit_is_the_image_with_the_changes_and_loads_elsewhere() {
    on_every_driver(|world| {
        world.load(image().archive()).unwrap();
        let id = create(world, "one");
        let dir = world.engine.mount(&id, Access::Write).unwrap();
        std::fs::write(dir.join("new"), "new").unwrap();
        std::fs::remove_file(dir.join("etc/second")).unwrap();
        world.engine.unmount(&id).unwrap();
        let options = CommitOptions {
            reference: Some(Reference::parse("acme/new:1").unwrap()),
            message: "why".to_owned(),
            changes: vec![r#"CMD ["new"]"#.to_owned()],
            ..Default::default()
        };
        let made = world.engine.commit(&id, &options).unwrap();
        let config = world.engine.store().images().get(&made).unwrap();
        assert_eq!(config.diff_ids().len(), 3);
        assert_eq!(config.view().history.last().unwrap().comment, "why");

        let fresh = World::new("vfs");
        let loaded = fresh.load(world.save(&["acme/new:1"]).unwrap()).unwrap();
        assert_eq!(loaded[0].image, made);
        let options = CreateOptions { image: "acme/new:1".to_owned(), ..Default::default() };
        let copy = fresh.engine.create(&options).unwrap().id;
        let dir = fresh.engine.mount(&copy, Access::Read).unwrap();
        assert_eq!(read(&dir.join("new")), "new");
        assert!(!dir.join("etc/second").exists());
    });
}

#[test]
fn a_commit_of_nothing_adds_no_layer() {
    on_every_driver(|world| {
        world.load(image().archive()).unwrap();
        let id = create(world, "one");
        let made = world.engine.commit(&id, &CommitOptions::default()).unwrap();
        let config = world.engine.store().images().get(&made).unwrap();
        assert_eq!(config.diff_ids().len(), 2);
        assert!(config.view().history.last().unwrap().empty_layer);
    });
}

#[test]
fn removing_everything_leaves_nothing() {
    on_every_driver(|world| {
        world.load(image().archive()).unwrap();
        let id = create(world, "one");
        world.engine.mount(&id, Access::Write).unwrap();
        world.engine.rename(&id, "other").unwrap();
        assert!(world.engine.find_container("one").is_err());
        world.engine.remove_container(&world.engine.find_container("other").unwrap(), false).unwrap();
        world.engine.remove_image("acme/app:1", Default::default()).unwrap();
        assert!(world.engine.has_trash().unwrap());
        world.engine.reclaim().unwrap();
        assert!(!world.engine.has_trash().unwrap());
        world.assert_empty();
    });
}

#[test]
fn names_are_unique_and_checked() {
    let world = World::new("vfs");
    world.load(image().archive()).unwrap();
    create(&world, "one");
    for name in ["one", "bad/name", "a"] {
        let options = CreateOptions {
            name: Some(name.to_owned()),
            image: "acme/app:1".to_owned(),
            ..Default::default()
        };
        assert!(world.engine.create(&options).is_err(), "{name}");
    }
    assert_eq!(world.engine.store().containers().list().unwrap().len(), 1);
    let nothing = CreateOptions { image: "acme/none".to_owned(), ..Default::default() };
    assert_eq!(world.engine.create(&nothing).unwrap_err().to_string(), "No such image: acme/none:latest");
}

#[test]
fn the_working_directory_shows_in_diff_before_the_first_start() {
    on_every_driver(|world| {
        world.load(image().archive()).unwrap();
        let options = CreateOptions {
            image: "acme/app:1".to_owned(),
            config: model::ContainerConfig { working_dir: "/srv/deep/dir".to_owned(), ..Default::default() },
            ..Default::default()
        };
        let id = world.engine.create(&options).unwrap().id;
        assert_eq!(diff(world, &id), ["C /srv", "A /srv/deep", "A /srv/deep/dir"]);
    });
}

#[test]
fn an_archive_of_files_becomes_an_image_of_one_layer() {
    on_every_driver(|world| {
        let options = ImportOptions {
            reference: Some(Reference::parse("acme/files:1").unwrap()),
            changes: vec!["CMD [\"x\"]".to_owned(), "ENV A=b".to_owned()],
            ..Default::default()
        };
        let made = world.engine.import(stream(base()), &options, &Silent).unwrap();
        let config = world.engine.store().images().get(&made).unwrap();
        assert_eq!(config.diff_ids(), [model::DiffId::of(&base())]);
        assert_eq!(config.view().history[0].comment, "Imported from -");
        assert!(world.engine.import(stream(b"junk".to_vec()), &options, &Silent).is_err());
    });
}
