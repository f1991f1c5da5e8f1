//! A store, and a registry to push to.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use archive::compress;
use engine::load::{Input, LoadOptions};
use engine::push::{PushOptions, Pushed};
use engine::{Access, Engine, Options, Result};
use model::{DiffId, Digest, Reference, Silent};
use registry::{Anonymous, Client, Credential, Credentials, Secret};
use testkit::archive::Builder;
use testkit::image::Image;
use testkit::registry::Server;

pub struct World {
    _tmp: tempfile::TempDir,
    pub engine: Engine,
}

impl World {
    pub fn new() -> Self {
        sys::process::clear_umask();
        let tmp = tempfile::tempdir().unwrap();
        let options = Options { driver: Some("vfs".to_owned()), ..Options::new(tmp.path().join("root")) };
        let engine = Engine::open(&options, Access::Write).unwrap();
        Self { _tmp: tmp, engine }
    }

    /// A store that has this image.
    pub fn with(image: &Image) -> Self {
        let world = Self::new();
        world.load(image.archive());
        world
    }

    pub fn load(&self, archive: Vec<u8>) {
        let input = Input::Stream(Box::new(Cursor::new(archive)));
        self.engine.load(input, &LoadOptions::default(), &Silent).unwrap();
    }

    pub fn push(&self, name: &str) -> Result<Pushed> {
        self.push_so(name, &PushOptions::default())
    }

    pub fn push_so(&self, name: &str, options: &PushOptions) -> Result<Pushed> {
        self.push_by(&client(Arc::new(Anonymous)), name, options)
    }

    pub fn push_by(&self, client: &Client, name: &str, options: &PushOptions) -> Result<Pushed> {
        self.engine.push(client, &reference(name), options, &Silent)
    }

    /// The digests that the store knows for a layer.
    pub fn hints(&self, layer: &[u8]) -> Vec<store::V2Metadata> {
        self.engine.store().distribution().sources(&DiffId::of(layer)).unwrap()
    }
}

pub fn reference(name: &str) -> Reference {
    Reference::parse(name).unwrap()
}

/// A client that does not wait long.
pub fn client(credentials: Arc<dyn Credentials>) -> Client {
    let options = registry::Options { backoff: Duration::from_millis(1), ..registry::Options::default() };
    Client::new(options, credentials).unwrap()
}

/// Always the same user.
pub struct User(pub &'static str, pub &'static str);

impl Credentials for User {
    fn get(&self, _server: &str) -> registry::Result<Option<Credential>> {
        Ok(Some(Credential::Basic { user: self.0.to_owned(), password: Secret::new(self.1) }))
    }
}

/// Bytes that nothing makes smaller.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A layer of several blocks.
pub fn base() -> Vec<u8> {
    Builder::new()
        .dir("srv")
        .file("srv/noise", noise(3 << 20, 1))
        .file("srv/text", "text\n".repeat(1 << 18))
        .build()
}

/// A small one.
pub fn top() -> Vec<u8> {
    Builder::new().file("motd", "hello\n").build()
}

/// An image with this name.
pub fn image(name: &str) -> Image {
    Image::new().layer(base()).layer(top()).tag(name)
}

/// `127.0.0.1:<port>/acme/app:1`.
pub fn app(server: &Server) -> String {
    format!("{}/acme/app:1", server.address())
}

/// The manifest that the server has under a tag.
pub fn manifest(server: &Server, repository: &str, tag: &str) -> serde_json::Value {
    let (media_type, bytes) = server.manifest(repository, tag).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(manifest["mediaType"], media_type.as_str());
    manifest
}

/// Digests of the manifest's layers.
pub fn digests(manifest: &serde_json::Value) -> Vec<Digest> {
    let layers = manifest["layers"].as_array().unwrap();
    layers.iter().map(|layer| layer["digest"].as_str().unwrap().parse().unwrap()).collect()
}

/// What a blob holds.
pub fn plain(blob: Vec<u8>) -> Vec<u8> {
    let (_, mut stream) = compress::open(Cursor::new(blob), compress::Limits::default()).unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    out
}

/// The server has the image whole: every layer uncompresses to what it was.
pub fn assert_has(server: &Server, repository: &str, tag: &str, image: &Image) {
    let manifest = manifest(server, repository, tag);
    let config: Digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    assert_eq!(server.blob(&config).unwrap(), image.config().into_bytes());
    let digests = digests(&manifest);
    assert_eq!(digests.len(), image.layers.len());
    for ((digest, descriptor), layer) in
        digests.iter().zip(manifest["layers"].as_array().unwrap()).zip(&image.layers)
    {
        assert!(server.has_blob(repository, digest), "{repository} has no {digest}");
        let blob = server.blob(digest).unwrap();
        assert_eq!(descriptor["size"], blob.len());
        assert!(plain(blob) == *layer, "{digest}");
    }
}
