//! Stores of both drivers.

use engine::import::ImportOptions;
use engine::load::Input;
use engine::{Access, Engine, Options};
use model::{ContainerId, Silent};

use crate::world::World;

/// An empty store of each driver that works here.
pub fn worlds() -> Vec<World> {
    let mut worlds = vec![World::new()];
    worlds.extend(overlay());
    worlds
}

/// An empty store of overlay2.
pub fn overlay() -> Option<World> {
    if !testkit::require_root("overlay2") {
        return None;
    }
    let tmp = tempfile::tempdir().unwrap();
    let options = Options { driver: Some("overlay2".into()), ..Options::new(tmp.path()) };
    match Engine::open(&options, Access::Write) {
        Ok(engine) => Some(World { tmp, engine }),
        Err(e) => {
            testkit::machine::skip("overlay2", &e.to_string());
            None
        }
    }
}

impl World {
    /// A container called `name` of an image that has what is in the archive.
    pub fn container_of(&self, name: &str, archive: Vec<u8>) -> ContainerId {
        let options = ImportOptions {
            reference: Some(format!("{name}-image:1").parse().unwrap()),
            ..Default::default()
        };
        self.engine
            .import(Input::Stream(Box::new(std::io::Cursor::new(archive))), &options, &Silent)
            .unwrap();
        let options = engine::create::CreateOptions {
            name: Some(name.into()),
            image: format!("{name}-image:1"),
            cmd: vec!["sh".into()],
            ..Default::default()
        };
        self.engine.create(&options).unwrap().id
    }
}
