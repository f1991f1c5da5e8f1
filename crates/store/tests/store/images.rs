//! The imagedb and the names.

use model::{ImageId, Timestamp};
use store::{Damage, Error, User, V2Metadata};

use crate::world::{World, config, load, mode, problems, remove_image};

#[test]
fn an_image_is_dockers_file() {
    let world = World::new();
    let id = load(&world.root, &[1], "acme/x:1").unwrap();
    assert_eq!(id, ImageId::of(&config(&[1])));
    let file = world.image_path("imagedb/content/sha256").join(id.hex());
    assert_eq!((mode(&file), std::fs::read(&file).unwrap()), (0o600, config(&[1])));
    assert_eq!(world.root.images().get(&id).unwrap().bytes(), config(&[1]));
    assert_eq!(world.root.images().list().unwrap(), [id]);
    assert!(std::fs::read_dir(world.image_path("imagedb/metadata/sha256")).unwrap().next().is_none());
    assert_eq!(mode(&world.image_path("repositories.json")), 0o600);
    assert!(problems(&world.root).is_empty());
}

#[test]
fn a_changed_file_is_refused_and_loading_heals_it() {
    let world = World::new();
    let id = load(&world.root, &[1], "x").unwrap();
    let file = world.image_path("imagedb/content/sha256").join(id.hex());
    std::fs::write(&file, config(&[2])).unwrap();
    let refused = world.root.images().get(&id).unwrap_err();
    let expected = ImageId::of(&config(&[2]));
    assert!(
        matches!(refused, Error::BrokenImage { damage: Damage::WrongDigest { expected: e }, .. } if e == expected)
    );
    assert_eq!(problems(&world.root).len(), 1);
    load(&world.root, &[1], "x").unwrap();
    assert!(problems(&world.root).is_empty());
}

#[test]
fn metadata_is_dockers() {
    let world = World::new();
    let parent = load(&world.root, &[1], "parent").unwrap();
    let id = load(&world.root, &[1, 2], "child").unwrap();
    let images = world.root.images();
    assert_eq!((images.parent(&id).unwrap(), images.last_updated(&id).unwrap()), (None, None));
    assert!(!images.built_locally(&id).unwrap());
    let time = Timestamp::parse("2026-11-22T00:30:52.24298859Z").unwrap();
    let lock = world.root.commit().unwrap();
    images.set_parent(&lock, &id, &parent).unwrap();
    images.set_last_updated(&lock, &id, time).unwrap();
    images.set_built_locally(&lock, &id).unwrap();
    drop(lock);
    let dir = world.image_path("imagedb/metadata/sha256").join(id.hex());
    assert_eq!(mode(&dir), 0o700);
    for (file, content) in [
        ("parent", parent.to_string().into_bytes()),
        ("lastUpdated", b"2026-11-22T00:30:52.24298859Z".to_vec()),
        ("builtLocally", vec![1]),
    ] {
        assert_eq!((mode(&dir.join(file)), std::fs::read(dir.join(file)).unwrap()), (0o600, content));
    }
    assert_eq!((images.parent(&id).unwrap(), images.last_updated(&id).unwrap()), (Some(parent), Some(time)));
    assert!(images.built_locally(&id).unwrap());
    assert_eq!(world.root.backrefs().of_image(&parent).unwrap(), [User::Image(id)]);
    remove_image(&world.root, "child").unwrap();
    assert!(!dir.exists());
    assert_eq!(world.root.backrefs().of_image(&parent).unwrap(), []);
}

#[test]
fn an_image_without_its_layer_is_not_published() {
    let world = World::new();
    let work = world.root.begin().unwrap();
    let staged = world.root.images().stage(&work, config(&[1])).unwrap();
    let refused = world.root.images().publish(&world.root.commit().unwrap(), staged).unwrap_err();
    assert!(matches!(refused, Error::NoLayer(_)));
    assert!(world.root.images().stage(&work, b"{}".to_vec()).is_err());
    assert!(world.root.images().list().unwrap().is_empty());
}

#[test]
fn prefixes_find_one_image_or_say_that_there_are_several() {
    let world = World::new();
    let ids: Vec<ImageId> = (0..40).map(|n| load(&world.root, &[n], "x").unwrap()).collect();
    let images = world.root.images();
    for id in &ids {
        assert_eq!(images.find_by_prefix(&id.hex()).unwrap(), Some(*id));
        assert_eq!(images.find_by_prefix(&id.to_string()).unwrap(), Some(*id));
        assert_eq!(images.find_by_prefix(&id.hex()[..12]).unwrap(), Some(*id));
        assert_eq!(images.find_by_prefix(&format!("sha256:{}", &id.hex()[..12])).unwrap(), Some(*id));
    }
    // Forty ids and sixteen digits: two share the first one.
    let shared =
        (0..16).map(|n| format!("{n:x}")).find(|digit| images.find_by_prefix(digit).is_err()).unwrap();
    let message = images.find_by_prefix(&shared).unwrap_err().to_string();
    assert_eq!(message, format!("multiple IDs found with provided prefix: {shared}"));
    for absent in ["", "sha256:", "xyz", &"0".repeat(64), &"0".repeat(65), "../x"] {
        assert_eq!(images.find_by_prefix(absent).unwrap(), None, "{absent:?}");
    }
}

#[test]
fn names_without_images_and_metadata_without_images_are_found() {
    let world = World::new();
    let id = load(&world.root, &[1], "x").unwrap();
    world.root.images().set_built_locally(&world.root.commit().unwrap(), &id).unwrap();
    std::fs::remove_file(world.image_path("imagedb/content/sha256").join(id.hex())).unwrap();
    let damages: Vec<_> = world.root.images().check().unwrap().into_iter().map(|f| f.damage).collect();
    assert_eq!(damages, [Damage::Orphan]);
    let names = world.root.references().check().unwrap();
    assert_eq!((names[0].damage.clone(), names.len()), (Damage::ImageMissing(id), 1));
    std::fs::write(world.image_path("repositories.json"), "{").unwrap();
    assert!(matches!(world.root.references().read().unwrap_err(), Error::BrokenFile { .. }));
    assert_eq!(world.root.references().check().unwrap().len(), 1);
}

#[test]
fn distribution_is_dockers() {
    let world = World::new();
    let (blob, diff) = (model::Digest::of(b"blob"), model::DiffId::of(b"diff"));
    let hints = world.root.distribution();
    assert_eq!((hints.diff_id(&blob).unwrap(), hints.sources(&diff).unwrap()), (None, vec![]));
    let lock = world.root.commit().unwrap();
    for n in 0..60 {
        let source = V2Metadata {
            digest: blob,
            source_repository: format!("docker.io/r{}", n % 55),
            hmac: String::new(),
            media_type: String::new(),
        };
        hints.add(&lock, &diff, source).unwrap();
    }
    let sources = hints.sources(&diff).unwrap();
    assert_eq!((sources.len(), sources[49].source_repository.as_str()), (50, "docker.io/r4"));
    assert_eq!(hints.diff_id(&blob).unwrap(), Some(diff));
    let file = world.image_path("distribution/v2metadata-by-diffid/sha256").join(diff.hex());
    let json = std::fs::read_to_string(&file).unwrap();
    assert!(
        json.starts_with(&format!(r#"[{{"Digest":"{blob}","SourceRepository":"docker.io/r10","HMAC":""}},"#))
    );
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o644, 0o755));
    let known = V2Metadata { media_type: "x/y".into(), ..sources[49].clone() };
    hints.add(&lock, &diff, known.clone()).unwrap();
    let with_type = hints.sources(&diff).unwrap();
    assert_eq!((with_type.len(), &with_type[49]), (50, &known), "a media type makes no second entry");
    hints.remove(&lock, &diff, &sources[49]).unwrap();
    assert_eq!(hints.sources(&diff).unwrap(), sources[..49]);
    std::fs::write(file, "nonsense").unwrap();
    assert_eq!(hints.sources(&diff).unwrap(), []);
}
