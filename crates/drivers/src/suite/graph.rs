//! What Docker asks of a driver (moby.md §14, graphtest).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use testkit::tree::{Without, dump_without};

use super::{Bench, Builder};

/// A new layer exists, is listed, and its root is 0755 root:root and empty.
pub fn create_empty(bench: &Bench) {
    let id = bench.container(None);
    assert!(bench.driver.exists(&id).unwrap());
    assert_eq!(bench.driver.list().unwrap(), std::slice::from_ref(&id));
    bench.look(&id, |root| {
        let meta = fs::metadata(root).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o755, 0, 0));
        assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    });
}

/// Mode bits and owners hold over unmount and mount.
pub fn create_base(bench: &Bench) {
    let id = bench.edited(None, base);
    bench.look(&id, assert_base);
}

/// A child shows what its parent has.
pub fn create_snap(bench: &Bench) {
    let base_layer = bench.layer_by_edit(None, base);
    let child = bench.container(Some(&base_layer));
    bench.look(&child, assert_base);
    bench.edit(&child, assert_base);
}

fn base(root: &std::path::Path) {
    fs::create_dir(root.join("dir")).unwrap();
    chown(root.join("dir"), Some(1), Some(2)).unwrap();
    fs::set_permissions(root.join("dir"), fs::Permissions::from_mode(0o1705)).unwrap();
    fs::write(root.join("file"), "content").unwrap();
    fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o4222)).unwrap();
}

fn assert_base(root: &std::path::Path) {
    let dir = fs::metadata(root.join("dir")).unwrap();
    assert_eq!((dir.mode() & 0o7777, dir.uid(), dir.gid()), (0o1705, 1, 2));
    let file = fs::metadata(root.join("file")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid()), (0o4222, 0, 0));
    assert_eq!(fs::read(root.join("file")).unwrap(), b"content");
}

/// The lowest of 128 layers can be read, and each layer's own file.
pub fn deep_layer_read(bench: &Bench) {
    let count = 128;
    let stage = bench.driver.stage().unwrap();
    let mut ids = Vec::new();
    for n in 0..count {
        let archive =
            Builder::new().file(format!("{n}"), format!("layer {n}")).file("top", n.to_string()).build();
        ids.push(bench.stage(&stage, ids.last(), &archive).unwrap());
    }
    bench.driver.publish(&stage, &ids).unwrap();
    let container = bench.container(ids.last());
    bench.edit(&container, |root| {
        assert_eq!(fs::read_to_string(root.join("top")).unwrap(), (count - 1).to_string());
        for n in 0..count {
            assert_eq!(fs::read_to_string(root.join(n.to_string())).unwrap(), format!("layer {n}"));
        }
    });
}

/// The difference of a layer, applied to another child of its parent, gives the same tree; and its size is the same.
pub fn diff_apply(bench: &Bench) {
    let mut archive = Builder::new().dir("gone");
    for n in 0..10 {
        archive = archive.file(format!("file{n}"), vec![b'a'; n * 100]).file(format!("gone/{n}"), "x");
    }
    let parent = bench.layer(None, archive);
    let container = bench.edited(Some(&parent), |root| {
        for n in 0..10 {
            fs::write(root.join(format!("file{n}")), vec![b'b'; n * 50]).unwrap();
        }
        fs::remove_dir_all(root.join("gone")).unwrap();
        fs::remove_file(root.join("file9")).unwrap();
        fs::create_dir(root.join("new")).unwrap();
    });
    let usage = bench.driver.usage(&container, Some(&parent)).unwrap();
    assert_eq!(usage, (0..9).map(|n| n * 50).sum::<u64>());
    let copy = bench.commit(&container, Some(&parent));
    assert_eq!(bench.driver.usage(&copy, Some(&parent)).unwrap(), usage);
    // The root has no entry in a difference, so its time is not carried over.
    let without = Without { dir_times: true, ..Without::default() };
    let tree = |id| bench.look(id, |root| dump_without(root, without));
    assert_eq!(tree(&copy), tree(&container));
}

/// What was done is what is told, sorted, mounted or not.
pub fn changes(bench: &Bench) {
    let parent = bench.layer(
        None,
        Builder::new()
            .dir("dir")
            .file("dir/gone", "x")
            .file("dir/kept", "x")
            .dir("empty")
            .file("changed", "old")
            .file("modes", "x")
            .file("kept", "x"),
    );
    let container = bench.container(Some(&parent));
    assert_eq!(bench.changes(&container, Some(&parent)), [""; 0]);
    let expected = [
        "C /changed",
        "C /dir",
        "A /dir/new",
        "D /dir/gone",
        "D /empty",
        "A /made",
        "A /made/in",
        "C /modes",
    ];
    let mut expected = expected.to_vec();
    expected.sort_by_key(|line| &line[2..]);
    let root = bench.driver.mount(&container, crate::Access::Write).unwrap();
    fs::write(root.join("changed"), "new").unwrap();
    fs::write(root.join("dir/new"), "").unwrap();
    fs::remove_file(root.join("dir/gone")).unwrap();
    fs::remove_dir(root.join("empty")).unwrap();
    fs::create_dir(root.join("made")).unwrap();
    fs::write(root.join("made/in"), "").unwrap();
    fs::set_permissions(root.join("modes"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(bench.changes(&container, Some(&parent)), expected);
    bench.driver.unmount(&container).unwrap();
    assert_eq!(bench.changes(&container, Some(&parent)), expected);
}
