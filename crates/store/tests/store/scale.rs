use crate::world::*;
use std::time::Instant;
#[test]
fn scale() {
    let world = World::new();
    let id = load(&world.root, &[1, 2], "x").unwrap();
    let image = world.root.images().get(&id).unwrap();
    // clone containers by hand
    let c = create(&world.root, 1, "web", &image).unwrap();
    let cdir = world.path().join("containers");
    let mdir = world.image_path("layerdb/mounts");
    let text = std::fs::read_to_string(cdir.join(c.hex()).join("config.v2.json")).unwrap();
    let host = std::fs::read(cdir.join(c.hex()).join("hostconfig.json")).unwrap();
    for n in 0..3000u32 {
        let hex = format!("{n:08x}{}", "ab".repeat(28));
        let d = cdir.join(&hex);
        std::fs::create_dir(&d).unwrap();
        std::fs::write(
            d.join("config.v2.json"),
            text.replace(&c.hex(), &hex).replace("/web", &format!("/web{n}")),
        )
        .unwrap();
        std::fs::write(d.join("hostconfig.json"), &host).unwrap();
        let m = mdir.join(&hex);
        std::fs::create_dir(&m).unwrap();
        std::fs::write(m.join("mount-id"), &hex).unwrap();
        std::fs::write(m.join("init-id"), format!("{hex}-init")).unwrap();
        std::fs::write(m.join("parent"), image.chain_id().unwrap().to_string()).unwrap();
    }
    std::fs::remove_file(world.path().join("layercake/index/overlay2/stamp")).unwrap();
    let t = Instant::now();
    drop(world.root.commit().unwrap());
    eprintln!("rebuild {:?}", t.elapsed());
    let t = Instant::now();
    drop(world.root.commit().unwrap());
    eprintln!("commit {:?}", t.elapsed());
    let t = Instant::now();
    let r = world.reopen(store::Mode::Write);
    eprintln!("open {:?}", t.elapsed());
    let t = Instant::now();
    r.sweep().unwrap();
    eprintln!("sweep {:?}", t.elapsed());
    let t = Instant::now();
    r.containers().resolve("web77").unwrap().unwrap();
    eprintln!("name {:?}", t.elapsed());
    let t = Instant::now();
    r.containers().resolve("00000077").unwrap().unwrap();
    eprintln!("prefix {:?}", t.elapsed());
    let t = Instant::now();
    create(&r, 7, "new", &image).unwrap();
    eprintln!("create {:?}", t.elapsed());
    let t = Instant::now();
    assert!(r.backrefs().layer_in_use(&image.chain_id().unwrap()).unwrap());
    eprintln!("in use {:?}", t.elapsed());
    let t = Instant::now();
    assert_eq!(r.backrefs().of_image(&image.id()).unwrap().len(), 3002);
    eprintln!("of image {:?}", t.elapsed());
    let t = Instant::now();
    remove_container(&r, &model::ContainerId::from_random([7; 32])).unwrap();
    eprintln!("rm {:?}", t.elapsed());
    let t = Instant::now();
    for i in r.containers().list().unwrap() {
        r.containers().get(&i).unwrap();
    }
    eprintln!("read all {:?}", t.elapsed());
}
