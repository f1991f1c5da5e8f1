//! Stores of both drivers, and images to put into them.

use std::io::{Cursor, Write};
use std::process::{Command, Stdio};

use archive::compress::{Compression, Encoder, encoder};
use engine::load::{Input, LoadOptions, Loaded};
use engine::{Access, Engine, Options, Result};
use model::Silent;
use testkit::archive::Builder;
use testkit::image::Image;

/// A store in a temporary directory.
pub struct World {
    _tmp: tempfile::TempDir,
    pub engine: Engine,
}

/// Runs `test` with a store of each driver that works here.
pub fn on_every_driver(test: impl Fn(&World)) {
    test(&World::new("vfs"));
    if testkit::machine::require_root("the same on overlay2") {
        test(&World::new("overlay2"));
    }
}

impl World {
    pub fn new(driver: &str) -> Self {
        sys::process::clear_umask();
        let tmp = tempfile::tempdir().unwrap();
        let options = Options { driver: Some(driver.to_owned()), ..Options::new(tmp.path().join("root")) };
        let engine = Engine::open(&options, Access::Write).unwrap();
        Self { _tmp: tmp, engine }
    }

    pub fn load(&self, archive: Vec<u8>) -> Result<Vec<Loaded>> {
        self.engine.load(stream(archive), &LoadOptions::default(), &Silent)
    }

    pub fn save(&self, names: &[&str]) -> Result<Vec<u8>> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut out = Vec::new();
        self.engine.save(&names, &mut out, &Silent)?;
        Ok(out)
    }

    /// Nothing is in the store, and nothing is left lying about.
    pub fn assert_empty(&self) {
        assert!(self.engine.store().layers().list().unwrap().is_empty());
        assert!(self.engine.store().images().list().unwrap().is_empty());
        assert!(self.engine.driver().list().unwrap().is_empty());
    }
}

pub fn stream(bytes: Vec<u8>) -> Input {
    Input::Stream(Box::new(Cursor::new(bytes)))
}

/// A base layer with something of everything that an unprivileged user can make too.
pub fn base() -> Vec<u8> {
    Builder::new()
        .dir("etc")
        .file("etc/motd", "hello\n")
        .file("etc/issue", "issue\n")
        .hardlink("etc/second", "etc/motd")
        .symlink("etc/link", "motd")
        .sparse("etc/sparse", &[(8192, b"data"), (1 << 20, b"end")], 2 << 20)
        .dir("srv")
        .file("srv/one", "1")
        .build()
}

/// A layer on it that adds, replaces, deletes and empties.
pub fn changes() -> Vec<u8> {
    Builder::new()
        .dir("etc")
        .file("etc/motd", "changed\n")
        .file("etc/.wh.issue", "")
        .dir("srv")
        .file("srv/.wh..wh..opq", "")
        .file("srv/two", "2")
        .build()
}

/// The image that most tests use.
pub fn image() -> Image {
    Image::new().layer(base()).layer(changes()).tag("acme/app:1")
}

pub fn compressed(kind: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = encoder(kind, Vec::new()).unwrap();
    out.write_all(bytes).unwrap();
    Encoder::finish(out).unwrap()
}

/// What a tool of the system makes of `bytes`.
pub fn piped(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}
