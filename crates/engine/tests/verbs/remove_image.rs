//! rmi: Docker's rules, and what is left on the disk.

use engine::remove_image::{RemoveImage, Removed};
use model::ChainId;

use crate::world::{Image, World};

const FORCE: RemoveImage = RemoveImage { force: true, no_prune: false };

impl World {
    /// What `rmi` says, one word a line.
    fn rmi(&self, name: &str, options: RemoveImage) -> Result<Vec<String>, String> {
        let removed = self.engine.remove_image(name, options).map_err(|e| e.to_string())?;
        Ok(removed
            .into_iter()
            .map(|removed| match removed {
                Removed::Untagged(name) => format!("Untagged: {name}"),
                Removed::Deleted(id) => format!("Deleted: {id}"),
            })
            .collect())
    }

    fn chains(&self, image: &str) -> Vec<String> {
        let id = self.engine.find_image(image).unwrap();
        let config = self.engine.store().images().get(&id).unwrap();
        let mut chains: Vec<_> = ChainId::each(config.diff_ids()).map(|c| format!("Deleted: {c}")).collect();
        chains.reverse();
        chains
    }
}

#[test]
fn a_name_goes_and_the_last_one_takes_the_image_and_its_layers_along() {
    let world = World::new();
    let id = world.load(Image { layers: &["a", "b"], names: &["x:1", "y:1"], ..Image::default() });
    let chains = world.chains("x:1");
    assert_eq!(world.rmi("x:1", RemoveImage::default()).unwrap(), ["Untagged: x:1"]);
    let said = world.rmi("y:1", RemoveImage::default()).unwrap();
    assert_eq!(said, [vec!["Untagged: y:1".to_owned(), format!("Deleted: {id}")], chains].concat());
    assert!(world.directories().is_empty() && world.layerdb().is_empty());
    assert!(world.engine.has_trash().unwrap());
    world.engine.reclaim().unwrap();
    assert!(!world.engine.has_trash().unwrap());
    assert_eq!(world.rmi("y:1", RemoveImage::default()).unwrap_err(), "No such image: y:1");
}

#[test]
fn layers_that_others_use_stay() {
    let world = World::new();
    world.load(Image { layers: &["base"], names: &["base:1"], ..Image::default() });
    world.load(Image { layers: &["base", "one"], names: &["one:1"], ..Image::default() });
    let two = world.load(Image { layers: &["base", "two"], names: &["two:1"], ..Image::default() });
    let own = world.chains("two:1").remove(0);
    let said = world.rmi("two:1", RemoveImage::default()).unwrap();
    assert_eq!(said, ["Untagged: two:1".to_owned(), format!("Deleted: {two}"), own]);
    assert_eq!(world.directories().len(), 2);
    assert_eq!(world.rmi("base:1", RemoveImage::default()).unwrap().len(), 2);
    assert_eq!(world.directories().len(), 2);
    assert_eq!(world.rmi("one:1", RemoveImage::default()).unwrap().len(), 4);
    assert!(world.directories().is_empty());
}

#[test]
fn an_id_removes_the_only_name_and_refuses_several() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["x:1", "y:1"], ..Image::default() });
    let short = id.short();
    let conflict = format!(
        "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    );
    assert_eq!(world.rmi(&short, RemoveImage::default()).unwrap_err(), conflict);
    world.rmi("y:1", RemoveImage::default()).unwrap();
    assert_eq!(
        world.rmi(&short, RemoveImage::default()).unwrap()[..2],
        ["Untagged: x:1".to_owned(), format!("Deleted: {id}")]
    );
}

#[test]
fn force_by_id_removes_all_names() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["y:1", "localhost/x:1"], ..Image::default() });
    let said = world.rmi(&id.to_string(), FORCE).unwrap();
    assert_eq!(
        said[..3],
        ["Untagged: y:1".to_owned(), "Untagged: localhost/x:1".to_owned(), format!("Deleted: {id}")]
    );
}

#[test]
fn the_digests_of_a_repository_go_with_its_last_tag() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["x:1", "y:1"], ..Image::default() });
    let pinned = format!("x@sha256:{}", "ab".repeat(32));
    let store = world.engine.store();
    let lock = store.commit().unwrap();
    store.references().update(&lock, |names| names.add_digest(&pinned.parse().unwrap(), id)).unwrap();
    drop(lock);
    assert_eq!(
        world.rmi("x:1", RemoveImage::default()).unwrap(),
        ["Untagged: x:1".to_owned(), format!("Untagged: {pinned}")]
    );
    let lock = store.commit().unwrap();
    store
        .references()
        .update(&lock, |names| names.add_digest(&pinned.replace('x', "y").parse().unwrap(), id))
        .unwrap();
    drop(lock);
    // By ID: one repository, one tag, so all of it is one name.
    let said = world.rmi(&id.short(), RemoveImage::default()).unwrap();
    assert_eq!(said[..2], ["Untagged: y:1".to_owned(), format!("Untagged: {}", pinned.replace('x', "y"))]);
}

#[test]
fn a_digest_reference_is_a_name() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["x:1"], ..Image::default() });
    let pinned = format!("x@sha256:{}", "ab".repeat(32));
    let store = world.engine.store();
    let lock = store.commit().unwrap();
    store.references().update(&lock, |names| names.add_digest(&pinned.parse().unwrap(), id)).unwrap();
    drop(lock);
    assert_eq!(world.rmi(&pinned, RemoveImage::default()).unwrap(), [format!("Untagged: {pinned}")]);
    assert!(world.engine.find_image("x:1").is_ok());
}

#[test]
fn a_name_that_looks_like_the_id_is_a_name() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["x:1"], ..Image::default() });
    world.engine.tag(&id, &id.short().parse().unwrap()).unwrap();
    assert_eq!(
        world.rmi(&id.short(), RemoveImage::default()).unwrap(),
        [format!("Untagged: {}:latest", id.short())]
    );
}

#[test]
fn a_stopped_container_takes_force() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["x:1"], ..Image::default() });
    let container = world.create("box", "x:1");
    let (short, user) = (id.short(), container.short());
    assert_eq!(
        world.rmi("x:1", RemoveImage::default()).unwrap_err(),
        format!(
            "conflict: unable to remove repository reference \"x:1\" (must force) - container {user} is using its \
             referenced image {short}"
        )
    );
    assert_eq!(
        world.rmi(&short, RemoveImage::default()).unwrap_err(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container {user}"
        )
    );
    // One name of several may go.
    world.engine.tag(&id, &"y:1".parse().unwrap()).unwrap();
    assert_eq!(world.rmi("y:1", RemoveImage::default()).unwrap(), ["Untagged: y:1"]);
    // The layer stays for the container, and goes with it.
    assert_eq!(world.rmi("x:1", FORCE).unwrap(), ["Untagged: x:1".to_owned(), format!("Deleted: {id}")]);
    assert_eq!(world.layerdb().len(), 1);
    world.engine.remove_container(&container, false).unwrap();
    assert!(world.layerdb().is_empty() && world.directories().is_empty());
}

#[test]
fn a_running_container_cannot_be_overcome() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["x:1"], ..Image::default() });
    let container = world.create("box", "x:1");
    world.edit(&container, |document| document["State"]["Running"] = true.into());
    let conflict = format!(
        "conflict: unable to delete {} (cannot be forced) - image is being used by running container {}",
        id.short(),
        container.short()
    );
    assert_eq!(world.rmi(&id.short(), RemoveImage::default()).unwrap_err(), conflict);
    assert_eq!(world.rmi(&id.short(), FORCE).unwrap_err(), conflict);
    // By name, the name goes and the image stays.
    assert_eq!(world.rmi("x:1", FORCE).unwrap(), ["Untagged: x:1"]);
    assert!(world.engine.find_image(&id.short()).is_ok());
}

#[test]
fn an_image_with_children_stays_and_goes_with_the_last_of_them() {
    let world = World::new();
    let grandparent = world.load(Image { layers: &["a"], names: &["kept:1"], ..Image::default() });
    let parent = world.load(Image { layers: &["a", "b"], names: &["parent:1"], ..Image::default() });
    let child = world.load(Image { layers: &["a", "b", "c"], names: &["child:1"], ..Image::default() });
    world.set_parent(&parent, &grandparent);
    world.set_parent(&child, &parent);
    let conflict = format!(
        "conflict: unable to delete {} (cannot be forced) - image has dependent child images",
        parent.short()
    );
    assert_eq!(world.rmi(&parent.short(), FORCE).unwrap_err(), conflict);
    assert_eq!(world.rmi("parent:1", RemoveImage::default()).unwrap(), ["Untagged: parent:1"]);
    let chains = world.chains("child:1");
    let said = world.rmi("child:1", RemoveImage::default()).unwrap();
    let expected = [
        "Untagged: child:1".to_owned(),
        format!("Deleted: {child}"),
        chains[0].clone(),
        format!("Deleted: {parent}"),
        chains[1].clone(),
    ];
    assert_eq!(said, expected);
    assert_eq!(world.engine.list_images(true).unwrap().len(), 1);
}

#[test]
fn no_prune_keeps_the_parents() {
    let world = World::new();
    let parent = world.load(Image { layers: &["a"], ..Image::default() });
    let child = world.load(Image { layers: &["a", "b"], names: &["x:1"], ..Image::default() });
    world.set_parent(&child, &parent);
    let said = world.rmi("x:1", RemoveImage { no_prune: true, force: false }).unwrap();
    assert_eq!(said.len(), 3);
    assert_eq!(world.engine.list_images(true).unwrap()[0].id, parent);
}

#[test]
fn a_refused_removal_changes_nothing() {
    let world = World::new();
    let id = world.load(Image { layers: &["a"], names: &["x:1"], ..Image::default() });
    world.create("box", "x:1");
    let before = testkit::tree::dump(world.tmp.path());
    world.rmi("x:1", RemoveImage::default()).unwrap_err();
    world.rmi(&id.short(), RemoveImage::default()).unwrap_err();
    world.rmi("nothing", FORCE).unwrap_err();
    assert_eq!(testkit::tree::dump(world.tmp.path()), before);
}

#[test]
fn an_image_whose_layer_is_damaged_can_be_removed() {
    let world = World::new();
    let id = world.load(Image { layers: &["a", "b"], names: &["x:1"], ..Image::default() });
    let config = world.engine.store().images().get(&id).unwrap();
    let base = ChainId::each(config.diff_ids()).next().unwrap();
    std::fs::write(world.tmp.path().join("image/vfs/layerdb/sha256").join(base.hex()).join("cache-id"), "")
        .unwrap();
    world.rmi("x:1", RemoveImage::default()).unwrap();
    assert!(world.layerdb().is_empty());
    // Nobody knows the damaged layer's directory any more: that is garbage.
    assert_eq!(world.directories().len(), 1);
    let pruned = world.engine.system_prune(&engine::prune::PruneOptions::default()).unwrap();
    assert_eq!(pruned.garbage.len(), 1);
    assert!(world.directories().is_empty());
}
