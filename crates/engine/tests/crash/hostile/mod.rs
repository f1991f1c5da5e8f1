//! Hostile archives, from the outside to the inside: layers, the archive of the image, its documents. Nothing of them
//! is published, nothing is changed outside of the store, and the message says what is wrong and where.

mod images;
mod layers;

use engine::load::{Input, LoadOptions};
use engine::{Access, Engine, Limits, Options};
use model::progress::Silent;
use testkit::archive::Builder;
use testkit::image::{Image, digest};
use testkit::tree;

use crate::{child, shop, sound};

/// A store with an image in it, and beside it what hostile archives are after.
struct Scene {
    dir: tempfile::TempDir,
    engine: Engine,
    view: Vec<String>,
    outside: Vec<String>,
}

impl Scene {
    fn new(driver: &str) -> Option<Self> {
        Self::with_limits(driver, Limits::default())
    }

    fn with_limits(driver: &str, limits: Limits) -> Option<Self> {
        if !testkit::require_root("hostile archives") {
            return None;
        }
        sys::process::clear_umask();
        let dir = shop::temp();
        tree::file(dir.path(), "victim/secret", "a secret");
        tree::dir(dir.path(), "victim/dir");
        tree::settle_times(&dir.path().join("victim"));
        let options = Options { limits, ..shop::options(&dir.path().join("root"), driver) };
        let engine = Engine::open(&options, Access::Write).unwrap();
        shop::load(&engine, &shop::image_a()).unwrap();
        let view = sound::view(&engine);
        let mut scene = Self { dir, engine, view, outside: Vec::new() };
        scene.outside = scene.look_outside();
        Some(scene)
    }

    fn victim(&self) -> String {
        self.dir.path().join("victim").to_str().unwrap().to_owned()
    }

    fn look_outside(&self) -> Vec<String> {
        let beside = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| format!("{:?}", entry.unwrap().file_name()));
        let mut lines: Vec<String> = beside.collect();
        lines.sort();
        lines.extend(tree::dump(&self.dir.path().join("victim")));
        lines
    }

    fn load(&self, archive: Vec<u8>) -> Result<(), String> {
        let input = Input::Stream(Box::new(std::io::Cursor::new(archive)));
        let loaded = child::alone(|| self.engine.load(input, &LoadOptions::default(), &Silent));
        assert_eq!(self.look_outside(), self.outside, "something outside was changed");
        loaded.map(drop).map_err(|e| e.to_string())
    }

    /// The archive is refused, with all of these words, and has left nothing.
    fn refuses(&self, what: &str, archive: Vec<u8>, words: &[&str]) {
        let error = self.load(archive).expect_err(what);
        println!("{what}: {error}");
        for word in words {
            assert!(error.contains(word), "{what}: {word:?} is not in: {error}");
        }
        assert_eq!(sound::view(&self.engine), self.view, "{what}: {error}");
        sound::check(&self.engine, what);
    }

    /// An image whose second layer is refused: the message names the layer.
    fn refuses_layer(&self, what: &str, layer: impl Into<Vec<u8>>, words: &[&str]) {
        let layer = layer.into();
        let name = digest(&layer)["sha256:".len()..].to_owned();
        let image =
            Image::new().layer(shop::single("below")).layer(layer).layer(shop::single("above")).tag("evil:1");
        self.refuses(what, image.archive(), &[&[name.as_str()], words].concat());
    }

    /// An image whose layer is taken, with the meaning that it has inside.
    fn contains(&self, layer: Builder, inside: &str) {
        let image = Image::new().layer(layer.build()).tag("odd:1");
        self.load(image.archive()).unwrap();
        sound::check(&self.engine, inside);
        let id = shop::create(&self.engine, "odd", "odd:1").unwrap();
        let tree = self.engine.mount(&id, drivers::Access::Read).unwrap();
        assert!(tree.join(inside).symlink_metadata().is_ok(), "{inside} is missing");
        assert_ne!(std::fs::read(tree.join(inside)).ok(), Some(b"a secret".to_vec()), "{inside} was read");
        self.engine.unmount(&id).unwrap();
        self.engine.remove_container(&id, false).unwrap();
        self.engine.remove_image("odd:1", Default::default()).unwrap();
        assert_eq!(sound::view(&self.engine), self.view);
    }
}

fn both(test: impl Fn(&Scene)) {
    for driver in shop::DRIVERS {
        if let Some(scene) = Scene::new(driver) {
            test(&scene);
        }
    }
}
