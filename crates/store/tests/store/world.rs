//! A small store to test with, and the steps that a command takes.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use model::config::{ContainerConfig, ImageConfig};
use model::{CacheId, ChainId, ContainerId, ContainerName, DiffId, ImageId, MountId, Platform, Timestamp};
use store::{
    CommitLock, Container, DataRoot, HostConfig, Intent, LayerRecord, Mode, MountRecord, NewContainer,
    RemovingLayer,
};

pub const DRIVER: &str = "overlay2";

/// A data root in a temporary directory.
pub struct World {
    pub tmp: tempfile::TempDir,
    pub root: DataRoot,
}

impl World {
    pub fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let root = DataRoot::create(tmp.path(), DRIVER).unwrap();
        Self { tmp, root }
    }

    pub fn path(&self) -> &Path {
        self.tmp.path()
    }

    /// A path below `image/<driver>`.
    pub fn image_path(&self, below: &str) -> std::path::PathBuf {
        self.path().join("image").join(DRIVER).join(below)
    }

    /// The same root once more, as another process has it.
    pub fn reopen(&self, mode: Mode) -> DataRoot {
        DataRoot::open(self.path(), DRIVER, mode).unwrap()
    }
}

/// The driver of these tests: an empty directory for each layer.
fn driver(root: &DataRoot) -> sys::OwnedFd {
    sys::dir::ensure(root.fd(), DRIVER.as_ref(), 0o710).unwrap()
}

fn make(root: &DataRoot, id: impl Into<CacheId>) {
    sys::dir::mkdir(driver(root), id.into().as_str().as_ref(), 0o710).unwrap();
}

fn discard(root: &DataRoot, id: impl Into<CacheId>) {
    sys::tree::remove(driver(root), id.into().as_str().as_ref()).unwrap();
    sys::dir::sync(driver(root)).unwrap();
}

fn discard_mount(root: &DataRoot, id: MountId) {
    discard(root, id);
    discard(root, id.init());
}

fn finish_removal(root: &DataRoot, removing: Vec<RemovingLayer>) -> store::Result<()> {
    for layer in removing {
        layer.cache_id.iter().for_each(|id| discard(root, id.clone()));
        root.layers().finish_remove(layer)?;
    }
    Ok(())
}

/// What the driver has and the store does not name, and the other way round.
pub fn driver_problems(root: &DataRoot) -> Vec<String> {
    let entries = sys::dir::list(driver(root)).unwrap();
    let has: BTreeSet<String> = entries.into_iter().map(|e| e.name.into_string().unwrap()).collect();
    let mut named = BTreeSet::new();
    for chain in root.layers().list().unwrap() {
        named.insert(root.layers().get(&chain).unwrap().cache_id.to_string());
    }
    for container in root.mounts().list().unwrap() {
        let record = root.mounts().get(&container).unwrap();
        named.extend([record.mount_id, record.init_id.unwrap()].map(|id| id.to_string()));
    }
    let lost = named.difference(&has).map(|id| format!("the driver has lost {id}"));
    lost.chain(has.difference(&named).map(|id| format!("nothing names {id}"))).collect()
}

pub fn diff(n: u8) -> DiffId {
    DiffId::of(&[n])
}

/// The records of a stack of layers, the base first. Other numbers make other layers.
pub fn stack(numbers: &[u8]) -> Vec<LayerRecord> {
    let diffs: Vec<DiffId> = numbers.iter().copied().map(diff).collect();
    let mut parent = None;
    ChainId::each(&diffs)
        .zip(&diffs)
        .map(|(chain, diff)| {
            let cache_id = CacheId::from_random(sys::process::random());
            LayerRecord { chain, diff: *diff, parent: parent.replace(chain), cache_id, size: 7 }
        })
        .collect()
}

/// An image's configuration with these layers.
pub fn config(numbers: &[u8]) -> Vec<u8> {
    let diffs: Vec<String> = numbers.iter().map(|n| diff(*n).to_string()).collect();
    let json = serde_json::json!({
        "architecture": "amd64",
        "config": {"Cmd": ["sh"]},
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diffs},
    });
    model::gojson::to_vec(&json).unwrap()
}

/// Loads an image as a command does, and gives it a name. Layers that the store has already are dropped again.
pub fn load(root: &DataRoot, numbers: &[u8], name: &str) -> store::Result<ImageId> {
    let work = root.begin()?;
    let new = stack(numbers);
    let intents: Vec<_> =
        new.iter().map(|l| Intent::Layer { cache_id: l.cache_id.clone(), chain: Some(l.chain) }).collect();
    work.note(&intents)?;
    let mut staged = Vec::new();
    for record in new {
        make(root, record.cache_id.clone());
        let mut layer = root.layers().stage(&work)?;
        layer.tar_split()?.write_all(b"split").unwrap();
        layer.finish(record)?;
        staged.push(layer);
    }
    let image = root.images().stage(&work, config(numbers))?;
    root.sync()?;
    let lock = root.commit()?;
    let mut surplus = Vec::new();
    for layer in staged {
        let id = layer.record().unwrap().cache_id.clone();
        if root.layers().exists(&layer.record().unwrap().chain)? {
            surplus.push(id);
        } else {
            root.layers().publish(&lock, layer)?;
        }
    }
    let id = root.images().publish(&lock, image)?;
    root.references().update(&lock, |names| names.tag(&name.parse().unwrap(), id))?;
    drop(lock);
    surplus.into_iter().for_each(|id| discard(root, id));
    work.finish()?;
    Ok(id)
}

pub fn document(id: ContainerId, name: &str, image: Option<ImageId>) -> Container {
    let config: ContainerConfig = ContainerConfig { cmd: Some(vec!["sh".to_owned()]), ..Default::default() };
    NewContainer {
        id,
        name: &ContainerName::parse(name).unwrap(),
        created: Timestamp::EPOCH,
        path: "sh",
        args: &[],
        config: &config,
        image,
        platform: &Platform::new("linux", "amd64", None),
        driver: DRIVER,
        network: "bridge",
        mounts: &Default::default(),
        process_label: "",
        mount_label: "",
    }
    .document()
    .unwrap()
}

/// Creates a container as a command does.
pub fn create(root: &DataRoot, n: u8, name: &str, image: &ImageConfig) -> store::Result<ContainerId> {
    let id = ContainerId::from_random([n; 32]);
    let mount_id = MountId::from_random([n ^ 0xff; 32]);
    let work = root.begin()?;
    let record = MountRecord { mount_id, init_id: Some(mount_id.init()), parent: image.chain_id() };
    let mount = root.mounts().stage(&work, &id, record)?;
    make(root, mount_id);
    make(root, mount_id.init());
    sys::dir::sync(driver(root))?;
    let container =
        root.containers().stage(&work, document(id, name, Some(image.id())), &HostConfig::new(true))?;
    mount.sync()?;
    container.sync()?;
    let lock = root.commit()?;
    root.mounts().publish(&lock, mount)?;
    root.containers().publish(&lock, container)?;
    drop(lock);
    work.finish()?;
    Ok(id)
}

/// Removes a container as a command does.
pub fn remove_container(root: &DataRoot, id: &ContainerId) -> store::Result<()> {
    let work = root.begin()?;
    let lock = root.commit()?;
    let mount_id = root.mounts().get(id)?.mount_id;
    root.containers().remove(&lock, &work, id)?;
    root.mounts().remove(&lock, &work, id)?;
    drop(lock);
    discard_mount(root, mount_id);
    work.finish()
}

/// Removes an image with one name as a command does.
pub fn remove_image(root: &DataRoot, name: &str) -> store::Result<()> {
    let lock = root.commit()?;
    let reference = name.parse().unwrap();
    let id = root.references().read()?.get(&reference).unwrap();
    let top = root.images().get(&id)?.chain_id().unwrap();
    root.references().update(&lock, |names| Ok(names.remove(&reference)))?;
    root.images().remove(&lock, &id)?;
    let removing = release(root, &lock, Some(top))?;
    drop(lock);
    finish_removal(root, removing)
}

/// Takes a layer out of the store if nobody uses it, and then what is below it.
fn release(
    root: &DataRoot,
    lock: &CommitLock<'_>,
    top: Option<ChainId>,
) -> store::Result<Vec<RemovingLayer>> {
    let (mut removing, mut next) = (Vec::new(), top);
    while let Some(chain) = next.take() {
        if !root.backrefs().layer_in_use(&chain)? {
            let layers = root.layers().begin_remove(lock, &[chain])?;
            next = layers.first().and_then(|layer| layer.parent);
            removing.extend(layers);
        }
    }
    Ok(removing)
}

/// Sweeps as a command does.
pub fn sweep(root: &DataRoot) -> store::Result<()> {
    let leftovers = root.sweep()?;
    for dead in leftovers.works {
        let work = root.begin()?;
        let lock = root.commit()?;
        let mut removing = Vec::new();
        for step in dead.undo(&lock)? {
            match step {
                store::Undo::Discard(id) => discard(root, id),
                store::Undo::RemoveVolume(name) => root.volumes().remove(&lock, &work, &name)?,
                store::Undo::RemoveImage(id) => root.images().remove(&lock, &id)?,
                store::Undo::Release(chain) => removing.extend(release(root, &lock, Some(chain))?),
                store::Undo::Unmount { container, parent, mount_id } => {
                    root.mounts().remove(&lock, &work, &container)?;
                    discard_mount(root, mount_id);
                    removing.extend(release(root, &lock, parent)?);
                }
            }
        }
        drop(lock);
        finish_removal(root, removing)?;
        work.finish()?;
        dead.finish()?;
    }
    finish_removal(root, leftovers.removing)
}

/// Everything that is wrong, as text.
pub fn problems(root: &DataRoot) -> Vec<String> {
    let mut all = root.layers().check().unwrap();
    all.extend(root.mounts().check().unwrap());
    all.extend(root.images().check().unwrap());
    all.extend(root.references().check().unwrap());
    all.extend(root.containers().check().unwrap());
    all.into_iter().map(|f| format!("{}: {}", f.path.display(), f.damage)).collect()
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode()
        & 0o7777
}

/// Every path below a directory with its mode and, for files, its length.
pub fn listing(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let length = if meta.is_file() { meta.len() } else { 0 };
            found.push(format!("{} {:o} {length}", path.strip_prefix(dir).unwrap().display(), mode(&path)));
            if meta.is_dir() {
                dirs.push(path);
            }
        }
    }
    found.sort();
    found
}
