//! The images of the tests, as archives, and what is in an archive that was saved.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The regular files of an archive by name. In Docker 20.10's archives a layer may be a symbolic link to another one: it
/// stands for what it names.
pub type Members = BTreeMap<String, Vec<u8>>;

/// The images that each fixture's archive holds.
pub const BASE: &str = "fixture/base:1";
pub const APP: &str = "fixture/app:1";
pub const COMMITTED: &str = "fixture/committed:1";

/// The fixture whose images a test uses: its archive, and what Docker said about it.
#[derive(Debug, Clone, Copy)]
pub enum Fixture {
    /// Saved by 20.10: a docker-archive with a directory for each layer.
    Classic,
    /// Saved by 28.5: an OCI layout, with the files of a docker-archive beside.
    Oci,
}

impl Fixture {
    fn dir(self) -> PathBuf {
        let version = match self {
            Self::Classic => "docker-20.10",
            Self::Oci => "docker-28.5",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(version)
    }

    /// The archive as it was saved.
    pub fn saved(self) -> Vec<u8> {
        zstd::decode_all(&fs::read(self.dir().join("saved.tar.zst")).unwrap()[..]).unwrap()
    }

    /// What Docker says about the image with a name: its ID, and `diff_ids`, `chain_ids`, `layer_sizes`, `size`.
    pub fn expected(self, name: &str) -> (String, Value) {
        let expected: Value =
            serde_json::from_slice(&fs::read(self.dir().join("expected.json")).unwrap()).unwrap();
        let images = expected["images"].as_object().unwrap();
        let named = |image: &Value| image["tags"].as_array().unwrap().iter().any(|tag| tag == name);
        let (id, image) = images.iter().find(|(_, image)| named(image)).unwrap();
        (id.clone(), image.clone())
    }
}

/// The archive of [`Fixture::Oci`] without the files that make it a docker-archive too.
pub fn oci_archive() -> Vec<u8> {
    let mut members = members(&Fixture::Oci.saved());
    members.retain(|name, _| name != "manifest.json" && name != "repositories");
    archive(&members)
}

/// The layer of [`BASE`], plain.
pub fn base_layer() -> Vec<u8> {
    layers(&members(&Fixture::Classic.saved()), BASE).remove(0)
}

/// An archive of these files.
pub fn archive(members: &Members) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, &content[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

/// The files in an archive.
pub fn members(archive: &[u8]) -> Members {
    let mut files = Members::new();
    let mut links = Vec::new();
    for entry in tar::Archive::new(Cursor::new(archive)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        match entry.header().entry_type() {
            tar::EntryType::Symlink => {
                // `../<layer>/layer.tar`, in the directory of another layer.
                let target = entry.link_name().unwrap().unwrap().to_string_lossy().into_owned();
                links.push((name, target.trim_start_matches("../").to_owned()));
            }
            tar::EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                files.insert(name, content);
            }
            _ => {}
        }
    }
    for (name, target) in links {
        if let Some(content) = files.get(&target) {
            files.insert(name, content.clone());
        }
    }
    files
}

/// The layers of the image with a name in a saved archive, lowest first, every byte.
pub fn layers(members: &Members, name: &str) -> Vec<Vec<u8>> {
    let manifest: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    let named =
        |image: &&Value| image["RepoTags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name));
    let image =
        manifest.as_array().unwrap().iter().find(named).unwrap_or_else(|| panic!("no {name} in {manifest}"));
    let layers = image["Layers"].as_array().unwrap();
    layers.iter().map(|layer| members[layer.as_str().unwrap()].clone()).collect()
}
