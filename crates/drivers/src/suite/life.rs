//! The life of a layer, and what processes do to each other's.

use std::fs;
use std::time::Duration;

use model::CacheId;

use super::layers::leftovers;
use super::{Bench, Builder, new_id};
use crate::{Access, Error, LayerKind, Stamp};

/// Nobody sees a layer before it is published, and no other stage either.
pub fn a_staged_layer_is_invisible(bench: &Bench) {
    let stage = bench.driver.stage().unwrap();
    let id = bench.stage(&stage, None, &Builder::new().file("file", "x").build()).unwrap();
    assert!(!bench.driver.exists(&id).unwrap() && bench.driver.list().unwrap().is_empty());
    assert!(matches!(bench.driver.mount(&id, Access::Read), Err(Error::NoLayer(_))));
    let other = bench.driver.stage().unwrap();
    let child = bench.driver.prepare(&other, &new_id(), Some(&id), LayerKind::ReadOnly);
    assert!(matches!(child, Err(Error::NoLayer(_))));
    assert!(bench.driver.view(Some(&stage), &id).unwrap().lookup("file".as_ref()).unwrap().is_some());
    bench.driver.publish(&stage, std::slice::from_ref(&id)).unwrap();
    assert!(bench.reopen().exists(&id).unwrap());
    assert!(bench.driver.view(None, &id).unwrap().lookup("file".as_ref()).unwrap().is_some());
}

/// A name stands for one layer, staged or published.
pub fn names_are_taken_once(bench: &Bench) {
    let (one, two) = (bench.driver.stage().unwrap(), bench.driver.stage().unwrap());
    let id = new_id();
    bench.driver.prepare(&one, &id, None, LayerKind::ReadOnly).unwrap();
    assert!(matches!(bench.driver.prepare(&one, &id, None, LayerKind::ReadOnly), Err(Error::Exists(_))));
    bench.driver.prepare(&two, &id, None, LayerKind::ReadOnly).unwrap();
    let staged = bench.driver.staged_root(&one, &id).unwrap();
    fs::write(super::path_of(&staged).join("first"), "").unwrap();
    drop(staged);
    bench.driver.publish(&one, std::slice::from_ref(&id)).unwrap();
    assert!(matches!(bench.driver.publish(&two, std::slice::from_ref(&id)), Err(Error::Exists(_))));
    assert!(bench.look(&id, |root| root.join("first").exists()));
    assert!(matches!(bench.driver.prepare(&one, &id, None, LayerKind::ReadOnly), Err(Error::Exists(_))));
}

/// The driver's own names are no layers.
pub fn reserved_names(bench: &Bench) {
    let stage = bench.driver.stage().unwrap();
    let reserved = CacheId::parse(crate::aside::NAME).unwrap();
    let refused = bench.driver.prepare(&stage, &reserved, None, LayerKind::ReadOnly);
    assert!(matches!(refused, Err(Error::Reserved(_))));
    assert!(matches!(bench.driver.discard(&reserved), Err(Error::Reserved(_))));
    assert!(bench.driver.exists(&reserved).is_err());
    assert_eq!(bench.driver.list().unwrap(), []);
}

/// A whole image at once; where layers are independent, its top is unpacked before its bottom.
pub fn layers_of_one_stage_publish_together(bench: &Bench) {
    let stage = bench.driver.stage().unwrap();
    let ids = [new_id(), new_id(), new_id()];
    let archive =
        |n: usize| Builder::new().dir("dir").file(format!("dir/{n}"), "").file("top", n.to_string()).build();
    let fill = |n: usize| {
        let applied = bench.apply(&stage, &ids[n], &archive(n)).unwrap();
        bench.driver.finish(&stage, &ids[n], applied).unwrap();
    };
    let prepare = |n: usize| {
        let parent = n.checked_sub(1).map(|n| &ids[n]);
        bench.driver.prepare(&stage, &ids[n], parent, LayerKind::ReadOnly).unwrap();
    };
    if bench.driver.capabilities().independent_layers {
        (0..3).for_each(prepare);
        [2, 1, 0].into_iter().for_each(fill);
    } else {
        (0..3).for_each(|n| {
            prepare(n);
            fill(n);
        });
    }
    bench.driver.publish(&stage, &ids).unwrap();
    bench.look(&bench.container(Some(&ids[2])), |root| {
        assert_eq!(fs::read(root.join("top")).unwrap(), b"2");
        assert_eq!(fs::read_dir(root.join("dir")).unwrap().count(), 3);
    });
}

/// If one of several cannot be published, none is.
pub fn a_failed_publish_publishes_nothing(bench: &Bench) {
    let taken = bench.layer(None, Builder::new().file("theirs", ""));
    let stage = bench.driver.stage().unwrap();
    let id = bench.stage(&stage, None, &Builder::new().build()).unwrap();
    let never_staged = new_id();
    for bad in [&taken, &never_staged] {
        let other = bench.driver.stage().unwrap();
        let first = bench.stage(&other, None, &Builder::new().build()).unwrap();
        assert!(bench.driver.publish(&other, &[first.clone(), bad.clone()]).is_err());
        assert_eq!(bench.driver.list().unwrap(), std::slice::from_ref(&taken));
    }
    assert!(bench.look(&taken, |root| root.join("theirs").exists()));
    bench.driver.publish(&stage, &[id]).unwrap();
}

/// A process that died leaves a stage that nobody holds: here the stage is dropped.
pub fn a_stage_with_a_dead_owner_is_swept(bench: &Bench) {
    let stage = bench.driver.stage().unwrap();
    bench.stage(&stage, None, &Builder::new().dir("d").file("d/f", "x").build()).unwrap();
    drop(stage);
    assert_eq!(leftovers(bench).len(), 1);
    assert_eq!(bench.reopen().sweep().unwrap(), crate::Swept { stages: 1, removed: 1, left: 0 });
    assert!(leftovers(bench).is_empty());
    assert_eq!(bench.driver.sweep().unwrap(), crate::Swept::default());
}

/// Another process' sweep does not touch a stage in use; `remove` gives its space back at once.
pub fn a_live_stage_is_left_alone(bench: &Bench) {
    let stage = bench.driver.stage().unwrap();
    let id = bench.stage(&stage, None, &Builder::new().file("file", "x").build()).unwrap();
    assert_eq!(bench.reopen().sweep().unwrap(), crate::Swept::default());
    bench.driver.publish(&stage, &[id]).unwrap();
    stage.remove().unwrap();
    assert!(leftovers(bench).is_empty());
}

/// Discard is at once and for all processes; sweep gives the space back; both can be repeated.
pub fn discard_and_sweep(bench: &Bench) {
    let base = bench.layer(None, Builder::new().dir("dir").file("dir/file", "x"));
    let top = bench.layer(Some(&base), Builder::new().file("top", "x"));
    bench.driver.discard(&top).unwrap();
    bench.driver.discard(&top).unwrap();
    assert_eq!(bench.reopen().list().unwrap(), std::slice::from_ref(&base));
    assert!(matches!(bench.driver.layer_root(&top), Err(Error::NoLayer(_))));
    assert_eq!(leftovers(bench).len(), 1);
    assert_eq!(bench.driver.sweep().unwrap().removed, 1);
    assert!(leftovers(bench).is_empty());
    assert!(bench.look(&base, |root| root.join("dir/file").exists()));
    assert!(bench.driver.check_home().unwrap().is_empty());
}

/// A layer that is mounted can be discarded; nothing of what is below it is harmed.
pub fn discard_what_is_mounted(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("file", "x"));
    let id = bench.container(Some(&base));
    let root = bench.driver.mount(&id, Access::Write).unwrap();
    let busy = fs::File::create(root.join("busy")).unwrap();
    bench.driver.discard(&id).unwrap();
    assert!(!root.join("file").exists());
    bench.driver.sweep().unwrap();
    assert!(leftovers(bench).is_empty());
    drop(busy);
    assert_eq!(sys::mount::table(&bench.config.root).unwrap(), []);
    assert!(bench.look(&base, |root| root.join("file").exists()));
}

/// Whoever mounted it: the same path, one unmount.
pub fn mount_is_idempotent_across_processes(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("file", "x"));
    let id = bench.container(Some(&base));
    let path = bench.driver.mount(&id, Access::Write).unwrap();
    fs::write(path.join("new"), "x").unwrap();
    let other = bench.reopen();
    for access in [Access::Write, Access::Read] {
        assert_eq!(other.mount(&id, access).unwrap(), path);
        assert_eq!(bench.driver.mount(&id, access).unwrap(), path);
    }
    if bench.driver.capabilities().mounts {
        assert_eq!(other.mounted(&id).unwrap(), Some(path));
        assert!(other.unmount(&id).unwrap());
    }
    assert!(!bench.driver.unmount(&id).unwrap());
    assert_eq!(bench.driver.mounted(&id).unwrap(), None);
    assert!(bench.look(&id, |root| root.join("new").exists()));
}

/// A process that works in the tree does not hinder the unmount, and keeps its files.
pub fn a_detached_mount_stays_usable(bench: &Bench) {
    use std::io::Write as _;
    let base = bench.layer(None, Builder::new().file("file", "x"));
    let id = bench.container(Some(&base));
    let root = bench.driver.mount(&id, Access::Write).unwrap();
    let mut busy = fs::File::create(root.join("busy")).unwrap();
    bench.driver.unmount(&id).unwrap();
    let early = bench.driver.usage_stamp(&id).unwrap();
    busy.write_all(b"late").unwrap();
    drop(busy);
    assert_eq!(bench.look(&id, |root| fs::read(root.join("busy")).unwrap()), b"late");
    assert_changed(bench, &id, early, "the layer may have changed after the unmount");
    bench.edit(&id, |root| fs::remove_file(root.join("busy")).unwrap());
    assert!(bench.driver.check(&id, Some(&base)).unwrap().is_empty());
}

/// The stamp of a layer at rest, which some drivers never give.
fn stamp(bench: &Bench, id: &CacheId) -> Option<Stamp> {
    for _ in 0..400 {
        if let Some(stamp) = bench.driver.usage_stamp(id).unwrap() {
            return Some(stamp);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Asserts that a layer in use has another stamp than before, or none: a mounted one has none.
fn assert_changed(bench: &Bench, id: &CacheId, before: Option<Stamp>, when: &str) {
    let now = bench.driver.usage_stamp(id).unwrap();
    let mounts = bench.driver.capabilities().mounts;
    assert!(now.is_none() || !mounts && now != before, "{when}: {now:?}, before {before:?}");
}

/// The stamp changes with the layer, however it was mounted and unmounted.
pub fn usage_and_its_stamp(bench: &Bench) {
    let base = bench.layer(None, Builder::new().dir("deep").dir("deep/er").file("deep/er/file", "x"));
    let id = bench.container(Some(&base));
    assert_eq!(bench.driver.usage(&id, Some(&base)).unwrap(), 0);
    let Some(fresh) = stamp(bench, &id) else {
        bench.edit(&id, |root| fs::write(root.join("new"), "12345").unwrap());
        assert_eq!(bench.driver.usage(&id, Some(&base)).unwrap(), 5);
        return testkit::machine::skip("usage_and_its_stamp", "the driver never gives a stamp");
    };
    assert_eq!(stamp(bench, &id), Some(fresh.clone()));
    let root = bench.driver.mount(&id, Access::Write).unwrap();
    fs::write(root.join("deep/er/file"), "longer").unwrap();
    assert_changed(bench, &id, Some(fresh.clone()), "written to while mounted");
    bench.driver.unmount(&id).unwrap();
    assert_eq!(bench.driver.usage(&id, Some(&base)).unwrap(), 6);
    let written = stamp(bench, &id).unwrap();
    assert_ne!(written, fresh);
    // A child of an image layer changes nothing in the other containers of that image.
    bench.container(Some(&base));
    assert_eq!(stamp(bench, &id), Some(written.clone()));

    if !bench.driver.capabilities().mounts {
        return;
    }
    // Docker and umount(8) leave the mount point there; what is written before must be seen after.
    let root = bench.driver.mount(&id, Access::Write).unwrap();
    fs::write(root.join("deep/er/file"), "x").unwrap();
    sys::mount::detach(&root).unwrap();
    assert_eq!(bench.driver.usage_stamp(&id).unwrap(), None);
    fs::remove_dir(&root).unwrap();
    assert_ne!(stamp(bench, &id).unwrap(), written);
    assert_eq!(bench.driver.usage(&id, Some(&base)).unwrap(), 1);
}

/// Nothing is wrong with what the driver itself made, mounted, unmounted or discarded.
pub fn a_healthy_store_has_no_findings(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("file", "x"));
    let top = bench.layer(Some(&base), Builder::new().file("top", "x"));
    let gone = bench.layer(Some(&top), Builder::new());
    let container = bench.edited(Some(&top), |root| fs::write(root.join("new"), "").unwrap());
    bench.driver.discard(&gone).unwrap();
    bench.look(&top, |_| ());
    let mounted = bench.container(Some(&top));
    bench.driver.mount(&mounted, Access::Write).unwrap();
    for (id, parent) in [(&base, None), (&top, Some(&base)), (&container, Some(&top)), (&mounted, Some(&top))]
    {
        assert_eq!(bench.driver.check(id, parent).unwrap(), []);
        assert_eq!(bench.driver.check(id, None).unwrap(), []);
    }
    assert_eq!(bench.driver.check_home().unwrap(), []);
    let missing = bench.driver.check(&gone, None).unwrap();
    assert!(missing.len() == 1 && missing[0].is_harmful() && !missing[0].is_repairable(), "{missing:?}");
}

/// A limit that cannot be enforced is refused, not forgotten.
pub fn size_limits_need_quota(bench: &Bench) {
    if bench.driver.capabilities().quota {
        return;
    }
    let stage = bench.driver.stage().unwrap();
    let kind = LayerKind::Writable { size: Some(1 << 30) };
    let refused = bench.driver.prepare(&stage, &new_id(), None, kind);
    assert!(matches!(refused, Err(Error::Unsupported { .. } | Error::NoQuota { .. })), "{refused:?}");
}

/// Each call says so when there is no such layer.
pub fn missing_layers_are_said_to_be_missing(bench: &Bench) {
    let id = new_id();
    let driver = &bench.driver;
    let stage = driver.stage().unwrap();
    let errors = [
        driver.mount(&id, Access::Read).err(),
        driver.unmount(&id).err(),
        driver.mounted(&id).err(),
        driver.changes(&id, None).err(),
        driver.diff(&id, None, &mut Vec::new()).err(),
        driver.usage(&id, None).err(),
        driver.usage_stamp(&id).err(),
        driver.metadata(&id).err(),
        driver.layer_root(&id).err(),
        driver.view(None, &id).err(),
        driver.staged_root(&stage, &id).err(),
        driver.prepare(&stage, &new_id(), Some(&id), LayerKind::ReadOnly).err(),
        driver.publish(&stage, std::slice::from_ref(&id)).err(),
    ];
    for (n, error) in errors.iter().enumerate() {
        assert!(matches!(error, Some(Error::NoLayer(missing)) if *missing == id), "call {n}: {error:?}");
    }
    assert!(!driver.exists(&id).unwrap());
    driver.discard(&id).unwrap();
}
