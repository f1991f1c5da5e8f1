//! A store to work in, and images to put into it.

use std::path::{Path, PathBuf};

use engine::create::CreateOptions;
use engine::load::{Input, LoadOptions};
use engine::{Access, Engine, Options};
use model::progress::Silent;
use model::{ContainerId, ImageId};
use tempfile::TempDir;

use crate::child;
use testkit::archive::Builder;
use testkit::image::Image;

/// The drivers that the tests go through.
pub const DRIVERS: [&str; 2] = ["overlay2", "vfs"];

/// A directory for stores, in memory where possible.
pub fn temp() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("layercake-").tempdir_in(place).unwrap()
}

/// Opens a store for writing, as every writing command does.
pub fn open(root: &Path, driver: &str) -> Engine {
    child::alone(|| Engine::open(&options(root, driver), Access::Write)).unwrap()
}

/// One thread: then the changes of a verb come in the same order every time.
pub fn options(root: &Path, driver: &str) -> Options {
    Options { driver: Some(driver.to_owned()), threads: Some(1), ..Options::new(root) }
}

/// A base of every kind of file.
pub fn base() -> Vec<u8> {
    let setuid = |e: &mut archive::tar::Entry| (e.mode, e.uid, e.gid) = (0o4755, 7, 8);
    Builder::new()
        .dir("bin")
        .file_with("bin/sh", vec![b'#'; 9000], setuid)
        .hardlink("bin/ash", "bin/sh")
        .symlink("sbin", "bin")
        .dir("etc")
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .file("etc/empty", "")
        .sparse("var/log/sparse", &[(8192, b"data")], 20_000)
        .char_device("dev-null", 1, 3)
        .build()
}

/// A layer that changes and deletes what is in [`base`].
pub fn change() -> Vec<u8> {
    Builder::new()
        .dir("etc")
        .file("etc/passwd", "nobody:x:1:1::/:/bin/false\n")
        .file("etc/.wh.empty", "")
        .dir("var/log")
        .file("var/log/.wh..wh..opq", "")
        .file("var/log/new", "new")
        .build()
}

/// A layer with one file of this content.
pub fn single(content: &str) -> Vec<u8> {
    Builder::new().dir("opt").file(format!("opt/{content}"), content).build()
}

/// Three layers.
pub fn image_a() -> Image {
    Image::new().layer(base()).layer(change()).layer(single("a")).tag("a:1")
}

/// Two of `a`'s, and two of its own.
pub fn image_b() -> Image {
    Image::new().layer(base()).layer(change()).layer(single("b")).layer(single("bb")).tag("b:1").tag("b:2")
}

/// Loads an image and answers with its ID.
pub fn load(engine: &Engine, image: &Image) -> engine::Result<ImageId> {
    let archive = Input::Stream(Box::new(std::io::Cursor::new(image.archive())));
    Ok(engine.load(archive, &LoadOptions::default(), &Silent)?[0].image)
}

/// Creates a container.
pub fn create(engine: &Engine, name: &str, image: &str) -> engine::Result<ContainerId> {
    let options = CreateOptions { name: Some(name.into()), image: image.into(), ..CreateOptions::default() };
    Ok(engine.create(&options)?.id)
}

/// Changes something in a container, where its files lie.
pub fn edit(engine: &Engine, container: &ContainerId) {
    let upper = upper(engine, container);
    testkit::tree::file(&upper, "work/new", "written in the container");
    testkit::tree::file(&upper, "work/large", vec![b'x'; 100_000]);
}

/// The directory with a container's files.
pub fn upper(engine: &Engine, container: &ContainerId) -> PathBuf {
    let mount = engine.store().mounts().get(container).unwrap();
    engine.driver().layer_root(&mount.mount_id.into()).unwrap().path().to_owned()
}
