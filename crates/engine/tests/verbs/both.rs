//! Stores of both drivers.

use std::path::Path;
use std::process::{Command, Stdio};

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
            config: model::ContainerConfig { cmd: Some(vec!["sh".into()]), ..Default::default() },
            ..Default::default()
        };
        self.engine.create(&options).unwrap().id
    }
}

/// A data root that a real daemon wrote (tests/fixtures). `None` where it cannot be unpacked whole.
pub fn docker_root(version: &str) -> Option<tempfile::TempDir> {
    if !testkit::require_root("a data root of Docker's") {
        return None;
    }
    let packed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(version).join("root.tar.zst");
    let (_, mut plain) =
        archive::compress::open(std::fs::File::open(packed).unwrap(), archive::compress::Limits::default())
            .unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let tar = Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-x", "-C"])
        .arg(tmp.path())
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut tar) = tar else {
        testkit::machine::skip("a data root of Docker's", "needs GNU tar");
        return None;
    };
    std::io::copy(&mut plain, &mut tar.stdin.take().unwrap()).unwrap();
    assert!(tar.wait().unwrap().success());
    Some(tmp)
}
