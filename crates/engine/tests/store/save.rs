//! What comes out is what went in.

use std::collections::BTreeMap;

use archive::tar;
use testkit::image::Image;

use crate::world::{World, base, changes, image, on_every_driver};

/// The members of an archive with their contents.
fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut reader = tar::Reader::new(archive, tar::Limits::default());
    let mut members = BTreeMap::new();
    while let Some(member) = reader.next_member().unwrap() {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
        members.insert(String::from_utf8(member.entry.path).unwrap(), bytes);
    }
    members
}

#[test]
fn layers_come_out_byte_for_byte_sparse_files_too() {
    on_every_driver(|world| {
        world.load(image().archive()).unwrap();
        let saved = members(&world.save(&["acme/app:1"]).unwrap());
        for layer in [base(), changes()] {
            let digest = model::Digest::of(&layer);
            assert!(saved[&format!("blobs/sha256/{}", digest.hex())] == layer, "{digest}");
        }
        assert_eq!(saved[&format!("blobs/sha256/{}", &image().id()[7..])], image().config().as_bytes());
    });
}

#[test]
fn a_saved_image_loads_again_with_its_names() {
    on_every_driver(|world| {
        world.load(image().tag("acme/app:2").archive()).unwrap();
        world.load(Image::new().layer(base()).tag("acme/base:1").archive()).unwrap();
        let saved = world.save(&["acme/app", "acme/base:1"]).unwrap();
        let fresh = World::new("vfs");
        let loaded = fresh.load(saved.clone()).unwrap();
        let names: Vec<String> =
            loaded.iter().flat_map(|l| &l.references).map(model::Reference::familiar).collect();
        assert_eq!(names, ["acme/app:1", "acme/app:2", "acme/base:1"]);
        assert_eq!(fresh.save(&["acme/app", "acme/base:1"]).unwrap(), saved, "saving is reproducible");
    });
}

#[test]
fn an_image_saved_by_id_has_no_name() {
    let world = World::new("vfs");
    world.load(image().archive()).unwrap();
    let saved = members(&world.save(&[&image().id()]).unwrap());
    assert!(!saved.contains_key("repositories"));
    assert!(String::from_utf8_lossy(&saved["manifest.json"]).contains(r#""RepoTags":null"#));
    assert!(world.save(&["acme/nothing"]).is_err());
}

#[test]
fn a_changed_file_of_a_layer_is_not_saved() {
    on_every_driver(|world| {
        world.load(Image::new().layer(base()).tag("a:1").archive()).unwrap();
        let id = world.engine.driver().list().unwrap().remove(0);
        let root = world.engine.driver().layer_root(&id).unwrap();
        std::fs::write(root.path().join("etc/motd"), "HELLO\n").unwrap();
        let error = world.save(&["a:1"]).unwrap_err().to_string();
        assert!(error.contains("etc/motd"), "{error}");
    });
}
