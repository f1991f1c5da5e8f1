//! What every store is, whatever happened to it: whole, and without garbage.

use std::collections::BTreeSet;
use std::path::Path;

use crate::child;
use engine::Engine;
use engine::check::CheckOptions;
use model::progress::Silent;
use model::{CacheId, ChainId, Digest, ImageId};
use sys::Root;
use testkit::tree::{Without, dump_without};

/// What users see of a store, one line for each thing: all images and containers with their names, and what is in the
/// containers.
pub fn view(engine: &Engine) -> Vec<String> {
    let store = engine.store();
    let names = store.references().read().unwrap().by_image();
    let mut view = Vec::new();
    for id in store.images().list().unwrap() {
        let names: Vec<String> = names.get(&id).into_iter().flatten().map(|name| name.familiar()).collect();
        let parent = store.images().parent(&id).unwrap().map(|id| id.short());
        let local = store.images().built_locally(&id).unwrap();
        view.push(format!("image {} {names:?} parent {parent:?} local {local}", id.short()));
    }
    for id in store.containers().list().unwrap() {
        let document = store.containers().get(&id).unwrap();
        let image = document.image().map(|id| id.short());
        view.push(format!("container {} {} of {image:?}", id.short(), document.name()));
        let upper = super::shop::upper(engine, &id);
        // On vfs all of the image is in it; its times say nothing of the container.
        let files = dump_without(&upper, Without { dir_times: true, times: false });
        view.extend(files.into_iter().map(|file| format!("container {} has {file}", id.short())));
    }
    for volume in store.volumes().list().unwrap() {
        let name = volume.name;
        // The names of anonymous ones are random.
        let shown = if name.as_str().len() == 64 { "without a name" } else { name.as_str() };
        let data = store.volumes().path(&name);
        let files = dump_without(&data, Without { dir_times: true, times: false });
        let volume = format!("volume {shown} with {:?}", volume.labels);
        view.extend(files.into_iter().map(|file| format!("{volume} has {file}")));
    }
    view
}

/// Panics unless everything that is visible is whole, by content, and there is nothing else. The trash is emptied.
pub fn check(engine: &Engine, context: &str) {
    let problems = problems(engine);
    assert!(problems.is_empty(), "{context}:\n  {}", problems.join("\n  "));
}

/// What is wrong with a store.
pub fn problems(engine: &Engine) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(e) = child::alone(|| engine.reclaim()) {
        problems.push(format!("reclaim: {e}"));
    }
    check_finds(engine, &mut problems);
    metadata(engine, &mut problems);
    layers(engine, &mut problems);
    driver(engine, &mut problems);
    leftovers(engine.root(), Path::new(""), &mut problems);
    problems
}

/// What `check` finds. It knows more than this module; but what this module finds it might overlook.
fn check_finds(engine: &Engine, problems: &mut Vec<String>) {
    let report = engine.check(CheckOptions::default(), &Silent).unwrap();
    for finding in report.findings.iter().filter(|finding| finding.kind != "missing-image") {
        problems.push(format!("check: {} {}: {}", finding.kind, finding.subject, finding.message));
    }
}

/// What the store itself finds, and that the verbs that only look do not fail.
fn metadata(engine: &Engine, problems: &mut Vec<String>) {
    let store = engine.store();
    let findings = [
        store.layers().check(),
        store.mounts().check(),
        store.images().check(),
        store.containers().check(),
        store.references().check(),
        store.volumes().check(),
    ];
    for finding in findings.map(Result::unwrap).concat() {
        // Users may remove an image with force although a container was created from it.
        if matches!(finding.damage, store::Damage::ImageMissing(_)) {
            continue;
        }
        problems.push(format!("{}: {:?}: {}", finding.path.display(), finding.subject, finding.damage));
    }
    for id in store.images().list().unwrap() {
        problems.extend(engine.inspect_image(&id).err().map(|e| format!("inspect of image {id}: {e}")));
        problems.extend(engine.history(&id).err().map(|e| format!("history of {id}: {e}")));
    }
    for id in store.containers().list().unwrap() {
        problems.extend(engine.inspect_container(&id, true).err().map(|e| format!("inspect of {id}: {e}")));
        problems.extend(engine.diff(&id).err().map(|e| format!("diff of {id}: {e}")));
    }
}

/// Each layer is what its name says, bit by bit, and something needs it.
fn layers(engine: &Engine, problems: &mut Vec<String>) {
    let needed = needed(engine);
    for chain in engine.store().layers().list().unwrap() {
        if !needed.contains(&chain) {
            problems.push(format!("layer {chain} is of no use"));
        }
        if let Err(e) = content(engine, &chain) {
            problems.push(format!("layer {chain}: {e}"));
        }
    }
}

/// The layers of all images and containers.
fn needed(engine: &Engine) -> BTreeSet<ChainId> {
    let store = engine.store();
    let mut tops = Vec::new();
    for id in store.images().list().unwrap() {
        tops.extend(store.images().get(&id).unwrap().chain_id());
    }
    for id in store.mounts().list().unwrap() {
        tops.extend(store.mounts().get(&id).unwrap().parent);
    }
    let chain = |top| store.layers().chain(&top).unwrap_or_default();
    tops.into_iter().flat_map(chain).map(|record| record.chain).collect()
}

/// Writes the layer's archive anew and compares its digest.
fn content(engine: &Engine, chain: &ChainId) -> Result<(), String> {
    let record = engine.store().layers().get(chain).map_err(|e| e.to_string())?;
    let split = engine.store().layers().tar_split(chain).map_err(|e| e.to_string())?.ok_or("no tar-split")?;
    let root: Root = engine.driver().layer_root(&record.cache_id).map_err(|e| e.to_string())?;
    let mut archive = Vec::new();
    let records = archive::tar_split::gunzip(split);
    changeset::regenerate::regenerate(records, &root, &mut archive).map_err(|e| e.to_string())?;
    let found = model::DiffId::from(Digest::of(&archive));
    if found == record.diff { Ok(()) } else { Err(format!("its content has the digest {found}")) }
}

/// The driver's layers are sound, and are those that the store names.
fn driver(engine: &Engine, problems: &mut Vec<String>) {
    let (store, driver) = (engine.store(), engine.driver());
    let mut named: Vec<(CacheId, Option<CacheId>)> = Vec::new();
    let cache_id = |chain: &ChainId| store.layers().get(chain).ok().map(|record| record.cache_id);
    for chain in store.layers().list().unwrap() {
        let Ok(record) = store.layers().get(&chain) else { continue };
        named.push((record.cache_id, record.parent.as_ref().and_then(cache_id)));
    }
    for id in store.mounts().list().unwrap() {
        let Ok(record) = store.mounts().get(&id) else { continue };
        let below = record.parent.as_ref().and_then(cache_id);
        let init: Option<CacheId> = record.init_id.map(Into::into);
        named.push((record.mount_id.into(), init.clone().or(below.clone())));
        named.extend(init.map(|init| (init, below)));
    }
    for (id, parent) in &named {
        for finding in driver.check(id, parent.as_ref()).unwrap() {
            problems.push(format!("{id}: {finding}"));
        }
    }
    for finding in driver.check_home().unwrap() {
        problems.push(finding.to_string());
    }
    let named: BTreeSet<CacheId> = named.into_iter().map(|(id, _)| id).collect();
    for id in driver.list().unwrap() {
        if !named.contains(&id) {
            problems.push(format!("{}/{id} is named by no record", driver.name()));
        }
    }
}

/// Private directories are empty, and nothing temporary lies about.
fn leftovers(root: &Path, below: &Path, problems: &mut Vec<String>) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let private = ["layercake/work", "layerdb/tmp", ".layercake/staging", ".layercake/trash"];
        let name = entry.file_name().to_string_lossy().into_owned();
        if private.iter().any(|dir| below.ends_with(dir))
            || name.contains(".tmp-")
            || name.ends_with("-removing")
        {
            problems.push(format!("{} is left over", path.display()));
        } else if entry.file_type().unwrap().is_dir() && name != "diff" {
            leftovers(root, &path, problems);
        }
    }
}

/// The image of that name, if there is one.
pub fn image(engine: &Engine, name: &str) -> Option<ImageId> {
    engine.find_image(name).ok()
}
