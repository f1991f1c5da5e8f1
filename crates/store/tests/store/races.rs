//! Several processes on one store. flock(2) belongs to open files, so threads with roots of their own stand for them.

use std::thread;

use store::Mode;

use crate::world::{World, create, load, problems, remove_container, remove_image};

const THREADS: u8 = 4;
const ROUNDS: u8 = 12;

#[test]
fn no_name_is_lost() {
    let world = World::new();
    let id = load(&world.root, &[1], "x").unwrap();
    thread::scope(|scope| {
        for t in 0..THREADS {
            let world = &world;
            scope.spawn(move || {
                let root = world.reopen(Mode::Write);
                for n in 0..ROUNDS {
                    let name = format!("r{}:t{t}-{n}", n % 3).parse().unwrap();
                    let lock = root.commit().unwrap();
                    root.references().update(&lock, |names| names.tag(&name, id)).unwrap();
                }
            });
        }
    });
    let names = world.root.references().read().unwrap();
    assert_eq!(names.of_image(&id).len(), usize::from(THREADS) * usize::from(ROUNDS) + 1);
}

#[test]
fn the_whole_life_at_once_leaves_an_empty_store() {
    let world = World::new();
    thread::scope(|scope| {
        for t in 0..THREADS {
            let world = &world;
            scope.spawn(move || {
                let root = world.reopen(Mode::Write);
                for n in 0..ROUNDS {
                    // All of them use the layer 1, publish it and release it.
                    let image = load(&root, &[1, 10 + t, 100 + n % 2], &format!("t{t}")).unwrap();
                    let config = root.images().get(&image).unwrap();
                    assert_eq!(root.layers().chain(&config.chain_id().unwrap()).unwrap().len(), 3);
                    let container = create(&root, t + 1, &format!("c{t}"), &config).unwrap();
                    assert_eq!(root.containers().resolve(&format!("c{t}")).unwrap(), Some(container));
                    remove_container(&root, &container).unwrap();
                    remove_image(&root, &format!("t{t}")).unwrap();
                    assert!(root.sweep().unwrap().works.is_empty());
                }
            });
        }
    });
    assert!(problems(&world.root).is_empty());
    assert!(crate::world::driver_problems(&world.root).is_empty());
    assert!(world.root.layers().list().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(world.path().join("layercake/work")).unwrap().count(), 0);
}
