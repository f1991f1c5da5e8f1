//! The layerdb.

use std::io::Write;

use model::{CacheId, ChainId};
use store::{Damage, Error, LayerRecord, Published, StagedLayer, Work};

use crate::world::{World, mode, problems, stack};

fn stage<'a>(world: &World, work: &'a Work<'a>, record: &LayerRecord) -> StagedLayer<'a> {
    let mut staged = world.root.layers().stage(work).unwrap();
    staged.tar_split().unwrap().write_all(b"split").unwrap();
    staged.finish(record.clone()).unwrap();
    staged.sync().unwrap();
    staged
}

fn publish(world: &World, record: &LayerRecord) -> Result<Published, Error> {
    let work = world.root.begin().unwrap();
    let staged = stage(world, &work, record);
    let published = world.root.layers().publish(&world.root.commit().unwrap(), staged);
    work.finish().unwrap();
    published
}

#[test]
fn a_published_layer_is_dockers_directory() {
    let world = World::new();
    let records = stack(&[1, 2]);
    for record in &records {
        assert_eq!(publish(&world, record).unwrap(), Published::New);
        assert_eq!(world.root.layers().get(&record.chain).unwrap(), *record);
    }
    let dir = world.image_path("layerdb/sha256").join(records[1].chain.hex());
    assert_eq!(mode(&dir), 0o700);
    for (file, text) in [
        ("diff", records[1].diff.to_string()),
        ("parent", records[0].chain.to_string()),
        ("cache-id", records[1].cache_id.to_string()),
        ("size", "7".to_owned()),
        ("tar-split.json.gz", "split".to_owned()),
    ] {
        assert_eq!((mode(&dir.join(file)), std::fs::read_to_string(dir.join(file)).unwrap()), (0o644, text));
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 5);
    let base = world.image_path("layerdb/sha256").join(records[0].chain.hex());
    assert!(!base.join("parent").exists());
    assert_eq!(world.root.layers().chain(&records[1].chain).unwrap(), records);
    assert!(world.root.layers().tar_split(&records[0].chain).unwrap().is_some());
    assert!(problems(&world.root).is_empty());
}

#[test]
fn the_second_of_two_equal_layers_takes_the_place_of_the_first() {
    let world = World::new();
    let first = stack(&[1]).remove(0);
    let second = LayerRecord { cache_id: CacheId::parse("other").unwrap(), ..first.clone() };
    publish(&world, &first).unwrap();
    assert_eq!(publish(&world, &second).unwrap(), Published::Replaced(Some(first.cache_id)));
    assert_eq!(world.root.layers().get(&first.chain).unwrap(), second);
}

#[test]
fn a_layer_needs_its_parent() {
    let world = World::new();
    let records = stack(&[1, 2]);
    assert!(
        matches!(publish(&world, &records[1]).unwrap_err(), Error::NoLayer(id) if id == records[0].chain)
    );
    assert!(!world.root.layers().exists(&records[1].chain).unwrap());
}

/// moby.md §4: Docker then says "file exists" for ever.
#[test]
fn a_damaged_directory_in_the_way_is_replaced() {
    let world = World::new();
    let record = stack(&[1]).remove(0);
    for (file, content, old) in [("size", "x", true), ("cache-id", "", false), ("diff", "sha256:1", true)] {
        publish(&world, &record).unwrap();
        let path = world.image_path("layerdb/sha256").join(record.chain.hex()).join(file);
        std::fs::write(&path, content).unwrap();
        assert!(matches!(world.root.layers().get(&record.chain), Err(Error::BrokenLayer { .. })));
        let expected = Published::Replaced(old.then(|| record.cache_id.clone()));
        assert_eq!(publish(&world, &record).unwrap(), expected);
        assert_eq!(world.root.layers().get(&record.chain).unwrap(), record);
        assert!(problems(&world.root).is_empty());
    }
}

#[test]
fn every_tear_has_its_name() {
    let world = World::new();
    let records = stack(&[1, 2]);
    let other = stack(&[3]).remove(0);
    let top = &records[1];
    let unknown: ChainId = other.chain;
    let not_empty = |file: &'static str| Damage::Empty(file);
    for (file, content, expected) in [
        ("diff", None, Damage::Missing("diff")),
        ("diff", Some(String::new()), not_empty("diff")),
        ("cache-id", Some(" \n".to_owned()), not_empty("cache-id")),
        ("cache-id", None, Damage::Missing("cache-id")),
        ("size", Some(String::new()), not_empty("size")),
        ("parent", Some(String::new()), not_empty("parent")),
        ("parent", Some(unknown.to_string()), Damage::ParentLayerMissing(unknown)),
        ("parent", None, Damage::WrongChain { expected: ChainId::extend(None, &top.diff) }),
        (
            "diff",
            Some(records[0].diff.to_string()),
            Damage::WrongChain { expected: ChainId::extend(Some(&records[0].chain), &records[0].diff) },
        ),
        ("tar-split.json.gz", None, Damage::Missing("tar-split.json.gz")),
    ] {
        records.iter().for_each(|record| _ = publish(&world, record).unwrap());
        let path = world.image_path("layerdb/sha256").join(top.chain.hex()).join(file);
        match &content {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let findings = world.root.layers().check().unwrap();
        assert_eq!(findings.iter().map(|f| &f.damage).collect::<Vec<_>>(), [&expected], "{file} {content:?}");
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
    publish(&world, &records[1]).unwrap();
    let size = world.image_path("layerdb/sha256").join(top.chain.hex()).join("size");
    std::fs::write(size, "-1").unwrap();
    let found = world.root.layers().check().unwrap();
    assert!(matches!(&found[..], [f] if matches!(f.damage, Damage::Invalid { file: "size", .. })));
}

#[test]
fn leftovers_of_docker_are_found() {
    let world = World::new();
    let record = stack(&[1]).remove(0);
    publish(&world, &record).unwrap();
    let all = world.image_path("layerdb/sha256");
    let removing = format!("{}-{}-removing", record.chain.hex(), "0".repeat(64));
    std::fs::rename(all.join(record.chain.hex()), all.join(&removing)).unwrap();
    std::fs::create_dir(all.join("strange")).unwrap();
    std::fs::create_dir(world.image_path("layerdb/tmp/write-set-123")).unwrap();
    let damages: Vec<_> = world.root.layers().check().unwrap().into_iter().map(|f| f.damage).collect();
    assert_eq!(damages, [Damage::Removing, Damage::Unknown, Damage::WriteSet]);
    let found = world.root.layers().removing().unwrap();
    assert_eq!((found[0].chain, found[0].cache_id.clone()), (record.chain, Some(record.cache_id)));
    assert!(world.root.layers().removing().unwrap().is_empty(), "it is ours now");
    for layer in found {
        world.root.layers().finish_remove(layer).unwrap();
    }
    assert!(!all.join(removing).exists());
}

#[test]
fn white_space_around_values_is_accepted() {
    let world = World::new();
    let records = stack(&[1, 2]);
    for record in &records {
        publish(&world, record).unwrap();
    }
    let dir = world.image_path("layerdb/sha256").join(records[1].chain.hex());
    for file in ["diff", "parent", "cache-id", "size"] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        std::fs::write(dir.join(file), format!(" {text}\r\n")).unwrap();
    }
    assert_eq!(world.root.layers().get(&records[1].chain).unwrap(), records[1]);
}

#[test]
fn a_repair_writes_the_small_files_and_leaves_the_rest() {
    let world = World::new();
    let record = stack(&[1]).remove(0);
    publish(&world, &record).unwrap();
    let dir = world.image_path("layerdb/sha256").join(record.chain.hex());
    std::fs::write(dir.join("size"), "").unwrap();
    world.root.layers().rewrite(&world.root.commit().unwrap(), &record).unwrap();
    assert_eq!(world.root.layers().get(&record.chain).unwrap(), record);
    assert_eq!(std::fs::read(dir.join("tar-split.json.gz")).unwrap(), b"split");
}

#[test]
fn a_layer_is_staged_under_its_right_name_only() {
    let world = World::new();
    let work = world.root.begin().unwrap();
    let records = stack(&[1, 2]);
    let wrong = LayerRecord { chain: records[0].chain, ..records[1].clone() };
    assert!(world.root.layers().stage(&work).unwrap().finish(wrong).is_err());
    let unfinished = world.root.layers().stage(&work).unwrap();
    assert!(world.root.layers().publish(&world.root.commit().unwrap(), unfinished).is_err());
}
