//! A store with what a test needs in it.

use engine::load::{Input, LoadOptions};
use engine::{Access, Engine, Options};
use model::{ContainerId, DiffId, ImageId, Silent};
use serde_json::json;

/// A store of vfs, which needs no rights and no kernel.
pub struct World {
    pub tmp: tempfile::TempDir,
    pub engine: Engine,
}

/// An image for [`World::load`].
#[derive(Debug, Clone, Default)]
pub struct Image<'a> {
    /// Its layers, lowest first: each has one file of this name, with the name as its content.
    pub layers: &'a [&'a str],
    pub names: &'a [&'a str],
    /// Seconds after 2020-01-01.
    pub age: u32,
    pub labels: &'a [(&'a str, &'a str)],
}

impl World {
    pub fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let engine = open(tmp.path(), Access::Write);
        Self { tmp, engine }
    }

    /// The same store, open for reading.
    pub fn reader(&self) -> Engine {
        open(self.tmp.path(), Access::Read)
    }

    pub fn load(&self, image: Image<'_>) -> ImageId {
        let layers: Vec<Vec<u8>> = image
            .layers
            .iter()
            .map(|name| testkit::archive::Builder::new().file(name, name).build())
            .collect();
        let created = format!("2020-01-01T00:{:02}:{:02}Z", image.age / 60, image.age % 60);
        let steps =
            image.layers.iter().map(|name| json!({"created": created, "created_by": format!("ADD {name}")}));
        let config = json!({
            "architecture": model::Platform::host().architecture,
            "os": "linux",
            "created": created,
            "config": {"Cmd": ["sh"], "Labels": image.labels.iter().copied().collect::<std::collections::BTreeMap<_, _>>()},
            "history": steps.collect::<Vec<_>>(),
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|l| DiffId::of(l)).collect::<Vec<_>>()},
        });
        let paths: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
        let manifest = json!([{"Config": "config.json", "RepoTags": image.names, "Layers": paths}]);
        let mut archive = testkit::archive::Builder::new()
            .file("manifest.json", manifest.to_string())
            .file("config.json", config.to_string());
        for (path, layer) in paths.iter().zip(layers) {
            archive = archive.file(path, layer);
        }
        let input = Input::Stream(Box::new(std::io::Cursor::new(archive.build())));
        self.engine.load(input, &LoadOptions::default(), &Silent).unwrap().remove(0).image
    }

    /// Records that `child` was built on `parent`.
    pub fn set_parent(&self, child: &ImageId, parent: &ImageId) {
        let lock = self.engine.store().commit().unwrap();
        self.engine.store().images().set_parent(&lock, child, parent).unwrap();
    }

    pub fn create(&self, name: &str, image: &str) -> ContainerId {
        let options = engine::create::CreateOptions {
            name: Some(name.into()),
            image: image.into(),
            ..Default::default()
        };
        self.engine.create(&options).unwrap().id
    }

    /// Edits a container's document as a daemon would.
    pub fn edit(&self, id: &ContainerId, edit: impl FnOnce(&mut serde_json::Value)) {
        let path = self.tmp.path().join("containers").join(id.hex()).join("config.v2.json");
        let mut document = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        edit(&mut document);
        std::fs::write(path, document.to_string()).unwrap();
    }

    /// Directories of layers in the driver.
    pub fn directories(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.engine.driver().list().unwrap().iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    /// Names in the layerdb, whatever they are.
    pub fn layerdb(&self) -> Vec<String> {
        let dir = self.tmp.path().join("image/vfs/layerdb/sha256");
        let mut names: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

fn open(root: &std::path::Path, access: Access) -> Engine {
    let options = Options { driver: Some("vfs".into()), ..Options::new(root) };
    Engine::open(&options, access).unwrap()
}
