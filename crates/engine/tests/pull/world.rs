//! A store, a registry, and images for it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use archive::compress::Compression;
use engine::pull::{PullOptions, Pulled};
use engine::{Access, Engine, Options, Result};
use model::progress::{Event, Progress};
use model::{Digest, Reference};
use registry::{Anonymous, Client};
use testkit::archive::Builder;
use testkit::image::Image;
use testkit::registry::{Form, Request, Server, Setup};

/// The repository of most tests.
pub const APP: &str = "acme/app";

pub struct World {
    _tmp: tempfile::TempDir,
    pub engine: Engine,
    pub server: Server,
    pub log: Log,
}

/// Runs `test` with a store of each driver that works here.
pub fn on_every_driver(test: impl Fn(&World)) {
    test(&World::with("vfs", Setup::default()));
    if testkit::machine::require_root("the same on overlay2") {
        test(&World::with("overlay2", Setup::default()));
    }
}

impl World {
    pub fn new() -> Self {
        Self::with("vfs", Setup::default())
    }

    pub fn with(driver: &str, setup: Setup) -> Self {
        sys::process::clear_umask();
        let tmp = tempfile::tempdir().unwrap();
        let engine = open(&tmp.path().join("root"), driver);
        Self { _tmp: tmp, engine, server: Server::start_with(setup), log: Log::default() }
    }

    /// A name on the server.
    pub fn name(&self, rest: &str) -> Reference {
        name(&self.server.address(), rest)
    }

    pub fn pull(&self, rest: &str) -> Result<Pulled> {
        self.pull_with(rest, &PullOptions::default())
    }

    pub fn pull_with(&self, rest: &str, options: &PullOptions) -> Result<Pulled> {
        self.engine.pull(&client(), &self.name(rest), options, &self.log)
    }

    /// The text of a pull that fails; nothing of it is in the store, and nothing is left that a sweep does not take.
    pub fn fails(&self, rest: &str) -> String {
        let error = self.pull(rest).unwrap_err().to_string();
        self.assert_empty();
        error
    }

    pub fn assert_empty(&self) {
        let store = self.engine.store();
        assert!(store.layers().list().unwrap().is_empty());
        assert!(store.images().list().unwrap().is_empty());
        assert_eq!(store.references().read().unwrap().iter().count(), 0);
        assert!(self.engine.driver().list().unwrap().is_empty());
        let works = std::fs::read_dir(self.root().join("layercake/work")).unwrap();
        assert_eq!(works.count(), 0);
    }

    pub fn root(&self) -> &Path {
        self.engine.root()
    }

    /// What came of blobs that were not finished.
    pub fn interrupted(&self) -> u64 {
        self.engine.store().downloads().interrupted().unwrap().iter().map(|left| left.size).sum()
    }

    /// How often the bytes of a blob were asked for.
    pub fn gets(&self, digest: &Digest) -> Vec<Request> {
        self.server.requests_for("GET", &format!("/blobs/{digest}"))
    }
}

pub fn open(root: &Path, driver: &str) -> Engine {
    let options = Options { driver: Some(driver.to_owned()), ..Options::new(root) };
    Engine::open(&options, Access::Write).unwrap()
}

pub fn name(server: &str, rest: &str) -> Reference {
    Reference::parse(&format!("{server}/{rest}")).unwrap()
}

/// A client that waits for nothing.
pub fn client() -> Client {
    let options = registry::Options {
        backoff: Duration::from_millis(1),
        idle_timeout: Duration::from_millis(500),
        ..registry::Options::default()
    };
    Client::new(options, Arc::new(Anonymous)).unwrap()
}

/// Remembers what a user would read.
#[derive(Default)]
pub struct Log(Mutex<Vec<String>>);

impl Log {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Progress for Log {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Status { item, status } => self.0.lock().unwrap().push(format!("{item}: {status}")),
            Event::Message(text) => self.0.lock().unwrap().push(text.to_owned()),
            _ => {}
        }
    }
}

/// Bytes that no compression makes shorter.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A layer with one file of so many bytes.
pub fn layer(name: &str, len: usize) -> Vec<u8> {
    Builder::new().file(name, noise(len, name.len() as u64 + len as u64)).build()
}

/// An image of two gzip layers of some length.
pub fn image() -> Image {
    Image::new().layer(layer("large", 2_000_000)).layer(layer("small", 20_000)).compressed(Compression::Gzip)
}

impl World {
    /// Puts `image` on the server as `acme/app:1`. Answers with the digests of its layers' blobs.
    pub fn serve(&self, image: &Image) -> Vec<Digest> {
        self.server.add_image(APP, "1", image, Form::Docker);
        image.layers.iter().map(|layer| Digest::of(layer)).collect()
    }
}
