//! Whatever bytes stand in the files: reading them gives a value or an error, never a panic.

use proptest::prelude::*;
use store::Mode;

use crate::world::{World, create, load, problems, stack};

/// Every small file of a store with one image and one container.
fn files(world: &World) -> Vec<std::path::PathBuf> {
    let layer = world.image_path("layerdb/sha256").join(stack(&[1, 2])[1].chain.hex());
    let container = world.root.containers().list().unwrap()[0].hex();
    let mount = world.image_path("layerdb/mounts").join(&container);
    let image = world.root.images().list().unwrap()[0];
    let work = world.path().join("layercake/work/dead");
    std::fs::create_dir_all(&work).unwrap();
    let mut files = vec![
        world.image_path("imagedb/content/sha256").join(image.hex()),
        world.image_path("imagedb/metadata/sha256").join(image.hex()).join("parent"),
        world.image_path("imagedb/metadata/sha256").join(image.hex()).join("lastUpdated"),
        world.image_path("repositories.json"),
        world.path().join("containers").join(&container).join("config.v2.json"),
        world.path().join("containers").join(&container).join("hostconfig.json"),
        world.path().join("layercake/index/overlay2/stamp"),
        work.join("notes"),
    ];
    files.extend(["diff", "parent", "cache-id", "size"].map(|file| layer.join(file)));
    files.extend(["mount-id", "init-id", "parent"].map(|file| mount.join(file)));
    files
}

fn use_everything(world: &World) {
    let _ = problems(&world.root);
    let root = world.reopen(Mode::Read);
    for record in stack(&[1, 2]) {
        let _ = root.layers().chain(&record.chain);
        let _ = root.backrefs().of_layer(&record.chain);
    }
    for id in root.images().list().unwrap() {
        let _ = (root.images().get(&id), root.images().parent(&id), root.images().last_updated(&id));
        let _ = root.backrefs().of_image(&id);
    }
    let _ = root.references().read().map(|names| names.by_image());
    for id in root.containers().list().unwrap() {
        let _ =
            root.containers().get(&id).map(|c| (c.state().status(), c.created(), c.image(), c.document()));
        let _ = (root.containers().host_config(&id), root.mounts().get(&id));
    }
    let _ = root.containers().resolve("web");
    let _ = world.root.sweep();
    let _ = world.root.commit();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_content_makes_reading_panic(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "(sha256:)?[a-f0-9]{0,64}(-init)?[ \n]?".prop_map(String::into_bytes),
            "[\\{\\[\"]{1,4}(ID|State|Config|Repositories|rootfs)?\":?(null|1|\\[\\]|\\{\\}|\")?[\\}\\]]{0,3}"
                .prop_map(String::into_bytes),
            "(layer|mount|x) [a-f0-9:-]{0,9} ?[a-z/.]{0,4}\n?".prop_map(String::into_bytes),
        ],
    ) {
        let world = World::new();
        let id = load(&world.root, &[1, 2], "x").unwrap();
        world.root.images().set_built_locally(&world.root.commit().unwrap(), &id).unwrap();
        create(&world.root, 1, "web", &world.root.images().get(&id).unwrap()).unwrap();
        for file in files(&world) {
            let before = std::fs::read(&file).ok();
            let _ = std::fs::create_dir_all(file.parent().unwrap());
            std::fs::write(&file, &bytes).unwrap();
            use_everything(&world);
            match before {
                Some(before) if file.parent().unwrap().exists() => std::fs::write(&file, before).unwrap(),
                _ => _ = std::fs::remove_file(&file),
            }
        }
    }
}
