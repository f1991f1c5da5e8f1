//! The verbs that change a store, each with what has to be there before.

use engine::Engine;
use engine::commit::CommitOptions;
use engine::create::CreateOptions;
use engine::import::ImportOptions;
use engine::load::Input;
use engine::remove_image::RemoveImage;
use engine::volumes::CreateVolume;
use model::config::{ContainerConfig, Empty};
use model::progress::Silent;

use crate::shop;

/// One thing that a user does.
#[derive(Clone, Copy)]
pub struct Verb {
    pub name: &'static str,
    /// Makes what it needs.
    pub prepare: fn(&Engine),
    /// Does it.
    pub act: fn(&Engine) -> engine::Result<()>,
}

/// All of them.
pub const VERBS: &[Verb] = &[
    Verb { name: "load", prepare: |_| {}, act: |e| shop::load(e, &shop::image_a()).map(drop) },
    Verb { name: "load_sharing", prepare: with_image, act: |e| shop::load(e, &shop::image_b()).map(drop) },
    Verb { name: "load_moving_a_name", prepare: with_image, act: load_moving_a_name },
    Verb { name: "load_several", prepare: |_| {}, act: load_several },
    Verb { name: "create", prepare: with_image, act: |e| shop::create(e, "new", "a:1").map(drop) },
    Verb { name: "create_with_volumes", prepare: with_image, act: create_with_volumes },
    Verb { name: "rm_with_volumes", prepare: with_container_with_volumes, act: remove_with_volumes },
    Verb { name: "volume_create", prepare: |_| {}, act: create_volume },
    Verb { name: "volume_rm", prepare: with_volume, act: |e| e.remove_volume("data") },
    Verb { name: "commit", prepare: with_container, act: commit },
    Verb { name: "commit_without_a_name", prepare: with_container, act: commit_without_a_name },
    Verb { name: "import", prepare: |_| {}, act: import },
    Verb { name: "tag", prepare: with_image, act: tag },
    Verb { name: "rename", prepare: with_container, act: rename },
    Verb { name: "rm", prepare: with_container, act: remove_container },
    Verb { name: "rm_last_user", prepare: with_container_of_a_lost_image, act: remove_container },
    Verb { name: "rmi", prepare: with_image, act: |e| remove_image(e, "a:1") },
    Verb { name: "rmi_sharing", prepare: with_two_images, act: |e| remove_image(e, "a:1") },
    Verb { name: "rmi_name", prepare: with_two_images, act: |e| remove_image(e, "b:1") },
    Verb { name: "rmi_child", prepare: with_child_image, act: |e| remove_image(e, "child:1") },
];

/// The verb of that name.
pub fn find(name: &str) -> &'static Verb {
    VERBS.iter().find(|verb| verb.name == name).unwrap()
}

fn with_image(engine: &Engine) {
    shop::load(engine, &shop::image_a()).unwrap();
}

fn with_two_images(engine: &Engine) {
    with_image(engine);
    shop::load(engine, &shop::image_b()).unwrap();
}

fn with_container(engine: &Engine) {
    with_image(engine);
    let id = shop::create(engine, "box", "a:1").unwrap();
    shop::edit(engine, &id);
}

/// One volume gets the image's content, the other has none.
fn create_with_volumes(engine: &Engine) -> engine::Result<()> {
    let volumes = ["/etc", "/data"].map(|path| (path.to_owned(), Empty {}));
    let config = ContainerConfig { volumes: Some(volumes.into()), ..ContainerConfig::default() };
    let options =
        CreateOptions { name: Some("box".into()), image: "a:1".into(), config, ..CreateOptions::default() };
    engine.create(&options).map(drop)
}

fn with_container_with_volumes(engine: &Engine) {
    with_image(engine);
    create_with_volumes(engine).unwrap();
}

fn remove_with_volumes(engine: &Engine) -> engine::Result<()> {
    engine.remove_container_with_volumes(&engine.find_container("box")?, false)
}

fn create_volume(engine: &Engine) -> engine::Result<()> {
    let labels = [("a".to_owned(), "b".to_owned())].into();
    let wanted = CreateVolume { name: Some("data".into()), labels, ..CreateVolume::default() };
    engine.create_volume(&wanted).map(drop)
}

fn with_volume(engine: &Engine) {
    create_volume(engine).unwrap();
}

/// The container is the last user of some layers.
fn with_container_of_a_lost_image(engine: &Engine) {
    with_two_images(engine);
    shop::create(engine, "box", "b:1").unwrap();
    let image = engine.find_image("b:1").unwrap().to_string();
    engine.remove_image(&image, RemoveImage { force: true, no_prune: false }).unwrap();
    engine.reclaim().unwrap();
}

fn with_child_image(engine: &Engine) {
    with_container(engine);
    commit_as(engine, "child:1").unwrap();
    remove_container(engine).unwrap();
    engine.reclaim().unwrap();
}

fn load_moving_a_name(engine: &Engine) -> engine::Result<()> {
    shop::load(engine, &shop::image_b().tag("a:1")).map(drop)
}

fn load_several(engine: &Engine) -> engine::Result<()> {
    let archive = testkit::image::archive(&[shop::image_a(), shop::image_b()]);
    let input = Input::Stream(Box::new(std::io::Cursor::new(archive)));
    engine.load(input, &engine::load::LoadOptions::default(), &Silent).map(drop)
}

fn commit(engine: &Engine) -> engine::Result<()> {
    commit_as(engine, "new:1")
}

fn commit_as(engine: &Engine, name: &str) -> engine::Result<()> {
    let options = CommitOptions { reference: Some(name.parse()?), ..CommitOptions::default() };
    engine.commit(&engine.find_container("box")?, &options).map(drop)
}

fn commit_without_a_name(engine: &Engine) -> engine::Result<()> {
    engine.commit(&engine.find_container("box")?, &CommitOptions::default()).map(drop)
}

fn import(engine: &Engine) -> engine::Result<()> {
    let options = ImportOptions { reference: Some("imported:1".parse()?), ..ImportOptions::default() };
    let input = Input::Stream(Box::new(std::io::Cursor::new(shop::base())));
    engine.import(input, &options, &Silent).map(drop)
}

fn tag(engine: &Engine) -> engine::Result<()> {
    engine.tag(&engine.find_image("a:1")?, &"other:2".parse()?)
}

fn rename(engine: &Engine) -> engine::Result<()> {
    engine.rename(&engine.find_container("box")?, "case")
}

fn remove_container(engine: &Engine) -> engine::Result<()> {
    engine.remove_container(&engine.find_container("box")?, false)
}

fn remove_image(engine: &Engine, name: &str) -> engine::Result<()> {
    engine.remove_image(name, RemoveImage::default()).map(drop)
}
