//! Two pulls at once.

use std::time::Duration;

use engine::pull::PullOptions;
use testkit::registry::{Fault, Form, Trouble};

use crate::world::{APP, Log, World, client, image, layer, on_every_driver, open};

#[test]
fn two_pulls_of_one_image_fetch_each_layer_once() {
    on_every_driver(|world| {
        let blobs = world.serve(&image());
        // Slow enough that both are at it.
        let slowly = Trouble::Drip { bytes: 100_000, every: Duration::from_millis(5) };
        world.server.fault(Fault::on("GET", "/blobs/", slowly).always());
        let other = open(world.root(), world.engine.driver().name());
        let pulled = std::thread::scope(|scope| {
            let pulls = [&world.engine, &other].map(|engine| {
                let pull = || {
                    engine.pull(
                        &client(),
                        &world.name("acme/app:1"),
                        &PullOptions::default(),
                        &Log::default(),
                    )
                };
                scope.spawn(pull)
            });
            pulls.map(|pull| pull.join().unwrap().unwrap())
        });
        assert_eq!(pulled[0].image, pulled[1].image);
        for blob in &blobs {
            assert_eq!(world.gets(blob).len(), 1);
        }
        assert!(world.engine.check(Default::default(), &model::Silent).unwrap().is_sound());
        assert_eq!(world.engine.driver().list().unwrap().len(), blobs.len());
    });
}

#[test]
fn images_that_share_some_layers_do_not_wait_for_each_other_for_ever() {
    let world = World::new();
    let parts: Vec<Vec<u8>> = (1..6).map(|n| layer("part", n * 1000)).collect();
    let image = |order: &[usize]| testkit::image::Image {
        layers: order.iter().map(|part| parts[*part].clone()).collect(),
        ..testkit::image::Image::new()
    };
    world.server.add_image(APP, "1", &image(&[0, 1, 2, 3]), Form::Oci);
    world.server.add_image(APP, "2", &image(&[0, 3, 2, 1]), Form::Oci);
    world.server.add_image(APP, "3", &image(&[4, 3, 0]), Form::Oci);
    std::thread::scope(|scope| {
        let pulls = ["1", "2", "3"].map(|tag| {
            let world = &world;
            scope.spawn(move || world.pull(&format!("acme/app:{tag}")))
        });
        for pull in pulls {
            pull.join().unwrap().unwrap();
        }
    });
    assert_eq!(world.engine.store().images().list().unwrap().len(), 3);
}

#[test]
fn who_waited_for_a_pull_that_fails_goes_on_with_it() {
    let world = World::new();
    let blobs = world.serve(&image());
    let download = world.engine.store().downloads().take(&blobs[0]).unwrap();
    std::thread::scope(|scope| {
        let pull = scope.spawn(|| world.pull("acme/app:1"));
        while !world.log.take().iter().any(|line| line.ends_with(": Waiting")) {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(download);
        pull.join().unwrap().unwrap();
    });
}
