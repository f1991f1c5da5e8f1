//! The store moves from one storage driver to another.
//!
//! | module | subject |
//! | --- | --- |
//! | [`pairs`] | between every two drivers: the same images, containers, bytes |
//! | [`killed`] | killed at random, and gone on with |
//! | [`power`] | the power fails after each change |
//! | [`refused`] | what stands against it |
//! | [`hidden`] | the driver is changed without moving anything |

mod hidden;
mod killed;
mod pairs;
mod power;
mod refused;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use engine::migrate::{MigrateOptions, Migrated};
use engine::{Access, Engine, Options};
use model::progress::Silent;
use model::{ContainerId, Digest, Timestamp};
use store::BuildRecord;

use crate::{child, shop};

/// The drivers that work in the data root at `root`.
fn working(root: &Path) -> Vec<&'static str> {
    let all = ["overlay2", "fuse-overlayfs", "vfs", "overlay", "aufs", "btrfs"];
    let works = |name: &&str| {
        let place = tempfile::tempdir_in(root).unwrap();
        drivers::is_known(name) && drivers::open(name, &drivers::Config::new(place.path())).is_ok()
    };
    all.into_iter().filter(works).collect()
}

/// Opens a store for writing with the driver that it has.
fn open(root: &Path, driver: Option<&str>) -> Engine {
    // It is not asked to mount anything.
    let union_server = Some(engine::Server { program: "true".into(), args: Vec::new() });
    let driver = driver.map(str::to_owned);
    let options = Options { driver, threads: Some(1), union_server, ..Options::new(root) };
    child::alone(|| Engine::open(&options, Access::Write)).unwrap()
}

/// The driver that has something in the data root.
fn present(root: &Path) -> String {
    let mut have = store::DataRoot::drivers(root).unwrap();
    have.retain(|name| root.join(name).is_dir());
    assert_eq!(have.len(), 1, "{have:?}");
    have.remove(0)
}

fn migrate(engine: Engine, to: &str) -> engine::Result<Migrated> {
    let options = MigrateOptions { to: to.to_owned(), ..MigrateOptions::default() };
    child::alone(|| engine.migrate(&options, &Silent))
}

/// Fills a store: images that share layers, one without a name; containers, one of them changed in every way; a step of
/// a build.
fn fill(engine: &Engine) {
    shop::load(engine, &shop::image_a()).unwrap();
    shop::load(engine, &shop::image_b()).unwrap();
    shop::create(engine, "new", "b:1").unwrap();
    let changed = shop::create(engine, "changed", "a:1").unwrap();
    change(engine, &changed);
    let committed = engine.commit(&changed, &engine::commit::CommitOptions::default()).unwrap();
    let chain = engine.store().images().get(&committed).unwrap().chain_id().unwrap();
    let record = BuildRecord {
        key: Digest::of(b"a step"),
        chain,
        created: Timestamp::from_unix(1_600_000_000, 0),
        used: Timestamp::from_unix(1_600_000_000, 0),
        description: "RUN something".to_owned(),
    };
    let lock = engine.store().commit().unwrap();
    engine.store().build_cache().publish(&lock, &record).unwrap();
}

/// Works in a container's tree as its processes would.
fn change(engine: &Engine, container: &ContainerId) {
    let dir = engine.mount(container, engine::mount::Access::Write).unwrap();
    fs::write(dir.join("etc/passwd"), "changed in the container").unwrap();
    fs::remove_file(dir.join("bin/ash")).unwrap();
    fs::remove_dir_all(dir.join("var/log")).unwrap();
    fs::create_dir(dir.join("var/log")).unwrap();
    fs::write(dir.join("var/log/other"), "in a directory that hides what was below").unwrap();
    fs::create_dir_all(dir.join("new/deep")).unwrap();
    fs::write(dir.join("new/deep/large"), vec![b'x'; 300_000]).unwrap();
    fs::hard_link(dir.join("new/deep/large"), dir.join("new/again")).unwrap();
    symlink("deep/large", dir.join("new/link")).unwrap();
    fs::set_permissions(dir.join("opt"), fs::Permissions::from_mode(0o1777)).unwrap();
    std::os::unix::fs::chown(dir.join("opt/a"), Some(1234), Some(5678)).unwrap();
    let file = fs::File::open(dir.join("opt/a")).unwrap();
    sys::xattr::set_fd(&file, "user.told".as_ref(), b"by the container").unwrap();
    // Of the root itself.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).unwrap();
    engine.unmount(container).unwrap();
}

/// All that users can tell of a store, whatever driver it has: images with their metadata, containers with every byte
/// of their trees, steps of builds.
fn facts(engine: &Engine) -> Vec<String> {
    let store = engine.store();
    let names = store.references().read().unwrap().by_image();
    let mut facts = Vec::new();
    for id in store.images().list().unwrap() {
        let names: Vec<String> = names.get(&id).into_iter().flatten().map(|name| name.familiar()).collect();
        let images = store.images();
        let parent = images.parent(&id).unwrap();
        let (updated, local) = (images.last_updated(&id).unwrap(), images.built_locally(&id).unwrap());
        facts.push(format!("image {id} {names:?} {parent:?} {updated:?} {local}"));
    }
    for id in store.containers().list().unwrap() {
        let document = store.containers().get(&id).unwrap();
        assert_eq!(document.driver(), engine.driver().name());
        let mut tree = Vec::new();
        engine.export(&id, &mut tree, &Silent).unwrap();
        let tree = Digest::of(&tree);
        facts.push(format!("container {id} {} {:?}: {tree}", document.name(), document.image()));
        let mount = store.mounts().get(&id).unwrap();
        let root = engine
            .driver()
            .view(None, &mount.mount_id.into())
            .unwrap()
            .lookup("".as_ref())
            .unwrap()
            .unwrap()
            .meta;
        facts.push(format!("root of {id} {:o} {} {} {:?}", root.mode, root.uid, root.gid, root.mtime));
        for change in engine.diff(&id).unwrap() {
            facts.push(format!("change of {id} {change:?}"));
        }
    }
    for record in store.build_cache().list().unwrap() {
        facts.push(format!("step {record:?}"));
    }
    facts
}

/// What differs.
#[track_caller]
fn assert_same(found: &[String], expected: &[String], context: &str) {
    let missing: Vec<_> = expected.iter().filter(|fact| !found.contains(fact)).collect();
    let new: Vec<_> = found.iter().filter(|fact| !expected.contains(fact)).collect();
    assert!(missing.is_empty() && new.is_empty(), "{context}:\nmissing {missing:#?}\nnew {new:#?}");
}
