//! What dead commands leave.

use model::{CacheId, ContainerId, MountId};
use store::{Intent, MountRecord, Undo};

use crate::world::{World, create, load, problems, stack, sweep};

fn names(world: &World, below: &str) -> usize {
    std::fs::read_dir(world.path().join(below)).unwrap().count()
}

#[test]
fn a_clean_store_has_nothing_to_sweep() {
    let world = World::new();
    let id = load(&world.root, &[1], "x").unwrap();
    create(&world.root, 1, "web", &world.root.images().get(&id).unwrap()).unwrap();
    assert!(world.root.sweep().unwrap().is_empty());
    assert_eq!(names(&world, "layercake/work"), 0);
}

#[test]
fn the_work_of_the_living_is_left_alone() {
    let world = World::new();
    let work = world.root.begin().unwrap();
    work.note(&[Intent::Layer { cache_id: CacheId::parse("c").unwrap(), chain: None }]).unwrap();
    let _file = work.scratch().unwrap();
    assert!(world.root.sweep().unwrap().is_empty());
    assert_eq!(names(&world, "layercake/work"), 1);
    drop(work);
    let leftovers = world.root.sweep().unwrap();
    assert_eq!(leftovers.works.len(), 1);
    assert!(world.root.sweep().unwrap().is_empty(), "another sweep does not get the same");
}

#[test]
fn work_without_notes_goes_by_itself() {
    let world = World::new();
    let work = world.root.begin().unwrap();
    let mut staged = world.root.layers().stage(&work).unwrap();
    assert_eq!(names(&world, "layercake/work"), 1);
    drop(work.scratch().unwrap());
    let _ = &mut staged;
    drop(staged);
    drop(work);
    assert_eq!(names(&world, "layercake/work"), 0);
    // As after kill -9.
    std::fs::create_dir(world.path().join("layercake/work/0123456789abcdef")).unwrap();
    std::fs::write(world.path().join("layercake/work/0123456789abcdef/scratch-0"), "x").unwrap();
    assert!(world.root.sweep().unwrap().is_empty());
    assert_eq!(names(&world, "layercake/work"), 0);
}

#[test]
fn what_was_not_published_is_discarded_and_what_is_used_stays() {
    let world = World::new();
    load(&world.root, &[1], "x").unwrap();
    let used = world.root.layers().get(&stack(&[1])[0].chain).unwrap();
    let work = world.root.begin().unwrap();
    let [never, other] = ["never", "other"].map(|id| CacheId::parse(id).unwrap());
    let layer = |cache_id: &CacheId, chain| Intent::Layer { cache_id: cache_id.clone(), chain };
    work.note(&[
        layer(&never, None),
        layer(&used.cache_id, None),
        layer(&used.cache_id, Some(used.chain)),
        layer(&other, Some(used.chain)),
    ])
    .unwrap();
    drop(work);
    let leftovers = world.root.sweep().unwrap();
    let steps = leftovers.works[0].undo(&world.root.commit().unwrap()).unwrap();
    assert_eq!(steps, [Undo::Discard(other), Undo::Release(used.chain), Undo::Discard(never)]);
    drop(leftovers);
    sweep(&world.root).unwrap();
    assert!(world.root.layers().exists(&used.chain).unwrap());
    assert_eq!(names(&world, "layercake/work"), 0);
}

#[test]
fn a_mount_without_its_container_is_taken_back() {
    let world = World::new();
    load(&world.root, &[1], "x").unwrap();
    let parent = Some(stack(&[1])[0].chain);
    let container = ContainerId::from_random([3; 32]);
    let mount_id = MountId::from_random([4; 32]);
    let work = world.root.begin().unwrap();
    let record = MountRecord { mount_id, init_id: Some(mount_id.init()), parent };
    let staged = world.root.mounts().stage(&work, &container, record).unwrap();
    let undo = || {
        let leftovers = world.root.sweep().unwrap();
        leftovers.works[0].undo(&world.root.commit().unwrap()).unwrap()
    };
    world.root.mounts().publish(&world.root.commit().unwrap(), staged).unwrap();
    drop(work);
    assert_eq!(undo(), [Undo::Unmount { container, mount_id, parent }]);
    std::fs::remove_dir_all(world.image_path("layerdb/mounts").join(container.hex())).unwrap();
    assert_eq!(undo(), [Undo::Discard(mount_id.into()), Undo::Discard(mount_id.init().into())]);
    std::fs::create_dir(world.path().join("containers").join(container.hex())).unwrap();
    assert_eq!(undo(), []);
}

#[test]
fn removals_that_were_interrupted_are_found_again() {
    let world = World::new();
    load(&world.root, &[1, 2], "x").unwrap();
    let lock = world.root.commit().unwrap();
    let id = world.root.images().list().unwrap()[0];
    world.root.references().update(&lock, |names| Ok(names.remove(&"x".parse().unwrap()))).unwrap();
    world.root.images().remove(&lock, &id).unwrap();
    let chains: Vec<_> = stack(&[1, 2]).iter().rev().map(|l| l.chain).collect();
    let begun = world.root.layers().begin_remove(&lock, &chains).unwrap();
    assert_eq!(begun.iter().map(|l| l.chain).collect::<Vec<_>>(), chains);
    drop(lock);
    assert!(world.root.sweep().unwrap().is_empty(), "whoever began is still at it");
    drop(begun);
    assert_eq!(world.root.sweep().unwrap().removing.len(), 2);
    // Also without the index.
    std::fs::remove_file(world.path().join("layercake/index/overlay2/stamp")).unwrap();
    assert_eq!(world.root.sweep().unwrap().removing.len(), 2);
    drop(world.root.commit().unwrap());
    sweep(&world.root).unwrap();
    assert_eq!(names(&world, "image/overlay2/layerdb/sha256"), 0);
    assert_eq!(names(&world, "layercake/index/overlay2/removing"), 0);
}

#[test]
fn temporary_files_of_docker_and_us_go() {
    let world = World::new();
    for file in [".tmp-repositories.json0123456789abcdef", ".tmp-repositories.json123"] {
        std::fs::write(world.image_path(file), "half").unwrap();
    }
    std::fs::create_dir(world.image_path("layerdb/tmp/write-set-42")).unwrap();
    std::fs::write(world.image_path("layerdb/tmp/write-set-42/size"), "1").unwrap();
    assert!(world.root.sweep().unwrap().is_empty());
    assert!(problems(&world.root).is_empty());
    assert_eq!(names(&world, "image/overlay2/layerdb/tmp"), 0);
    assert_eq!(names(&world, "image/overlay2"), 4);
}

#[test]
fn an_image_that_never_got_its_name_goes_and_one_in_use_stays() {
    let world = World::new();
    let parent = load(&world.root, &[1], "x").unwrap();
    let child = load(&world.root, &[1, 2], "y").unwrap();
    world.root.images().set_parent(&world.root.commit().unwrap(), &child, &parent).unwrap();
    let undo = |root: &store::DataRoot| {
        let work = root.begin().unwrap();
        work.note(&[child, parent].map(|id| Intent::Image { id })).unwrap();
        drop(work);
        let steps = root.sweep().unwrap().works[0].undo(&root.commit().unwrap()).unwrap();
        sweep(root).unwrap();
        steps
    };
    let untag = |name: &str| {
        let lock = world.root.commit().unwrap();
        world.root.references().update(&lock, |names| Ok(names.remove(&name.parse().unwrap()))).unwrap();
    };
    untag("x");
    assert_eq!(undo(&world.root), [], "the parent has a child, the child has a name");
    untag("y");
    assert_eq!(undo(&world.root), [Undo::RemoveImage(child), Undo::RemoveImage(parent)]);
    assert!(world.root.images().list().unwrap().is_empty());
}
