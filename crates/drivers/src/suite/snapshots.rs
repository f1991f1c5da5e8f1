//! What containerd asks of a snapshotter (anchors.md B.2). Its tests of keys, labels, filters and walks have no
//! counterpart: those things are the caller's here.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use testkit::tree::{Without, dump, dump_without};

use super::{Bench, Builder};
use crate::Access;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn tree(bench: &Bench, id: &model::CacheId) -> Vec<String> {
    bench.look(id, |root| dump_without(root, Without { dir_times: true, ..Without::default() }))
}

/// Prepare, write, commit, once more on top, and the view is the tree that was made.
pub fn basic(bench: &Bench) {
    let flat = tempfile::tempdir().unwrap();
    let first = |root: &Path| {
        fs::write(root.join("foo"), "foo\n").unwrap();
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::write(root.join("a/b/c/file"), "one").unwrap();
    };
    let second = |root: &Path| {
        fs::write(root.join("bar"), "bar\n").unwrap();
        fs::remove_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(root.join("a/d")).unwrap();
    };
    first(flat.path());
    let lower = bench.layer_by_edit(None, first);
    assert_eq!(bench.look(&lower, |root| fs::read(root.join("a/b/c/file")).unwrap()), b"one");
    second(flat.path());
    let upper = bench.layer_by_edit(Some(&lower), second);
    mode(flat.path(), 0o755);
    let without = Without { times: true, ..Without::default() };
    assert_eq!(bench.look(&upper, |root| dump_without(root, without)), dump_without(flat.path(), without));
}

/// A name can be used again, at once and for something else.
pub fn reuse_after_discard(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("base", ""));
    let id = super::new_id();
    for kind in
        [crate::LayerKind::ReadOnly, crate::LayerKind::Writable { size: None }, crate::LayerKind::ReadOnly]
    {
        let stage = bench.driver.stage().unwrap();
        bench.driver.prepare(&stage, &id, Some(&base), kind).unwrap();
        bench.driver.publish(&stage, std::slice::from_ref(&id)).unwrap();
        assert!(bench.look(&id, |root| root.join("base").exists()));
        bench.driver.discard(&id).unwrap();
        assert!(!bench.driver.exists(&id).unwrap());
    }
}

/// A file of the same size, rewritten within a second, is not taken for unchanged.
pub fn same_size_rewrite_within_a_second(bench: &Bench) {
    let lower = bench.layer_by_edit(None, |root| fs::write(root.join("file"), "one").unwrap());
    for _ in 0..5 {
        let upper = bench.layer_by_edit(Some(&lower), |root| fs::write(root.join("file"), "two").unwrap());
        assert_eq!(bench.look(&upper, |root| fs::read(root.join("file")).unwrap()), b"two");
    }
}

/// A directory that was removed and made again does not show what was in it.
pub fn directory_removed_and_made_again(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().dir("dir").file("dir/old", "x").dir("dir/sub"));
    let upper = bench.layer_by_edit(Some(&lower), |root| {
        fs::remove_dir_all(root.join("dir")).unwrap();
        fs::create_dir(root.join("dir")).unwrap();
        fs::write(root.join("dir/new"), "").unwrap();
    });
    let names = |root: &Path| -> Vec<_> {
        fs::read_dir(root.join("dir")).unwrap().map(|e| e.unwrap().file_name()).collect()
    };
    assert_eq!(bench.look(&upper, names), ["new"]);
}

/// A change of owner alone is a change.
pub fn owner_change(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().dir("dir").file("dir/file", "x"));
    let upper = bench.layer_by_edit(Some(&lower), |root| {
        chown(root.join("dir"), Some(11), Some(12)).unwrap();
        chown(root.join("dir/file"), Some(13), Some(14)).unwrap();
    });
    bench.look(&upper, |root| {
        let owner = |path: &str| fs::metadata(root.join(path)).map(|m| (m.uid(), m.gid())).unwrap();
        assert_eq!((owner("dir"), owner("dir/file")), ((11, 12), (13, 14)));
    });
}

/// Owners of directories that are changed, removed and made again over three layers.
pub fn directory_attributes_over_three_layers(bench: &Bench) {
    let base = bench.layer_by_edit(None, |root| {
        for (n, dir) in ["d1", "d2", "d3", "d4"].iter().enumerate() {
            fs::create_dir(root.join(dir)).unwrap();
            fs::write(root.join(dir).join("file"), dir).unwrap();
            chown(root.join(dir), Some(n as u32 + 1), Some(n as u32 + 1)).unwrap();
            mode(&root.join(dir), 0o700);
        }
    });
    let middle = bench.layer_by_edit(Some(&base), |root| {
        fs::remove_dir_all(root.join("d1")).unwrap();
        mode(&root.join("d2"), 0o1777);
        fs::write(root.join("d3/more"), "").unwrap();
    });
    let top = bench.layer_by_edit(Some(&middle), |root| {
        fs::create_dir(root.join("d1")).unwrap();
        mode(&root.join("d1"), 0o2711);
        chown(root.join("d4"), Some(44), Some(44)).unwrap();
    });
    bench.look(&top, |root| {
        let of = |path: &str| fs::metadata(root.join(path)).map(|m| (m.mode() & 0o7777, m.uid())).unwrap();
        assert_eq!(of("d1"), (0o2711, 0));
        assert_eq!(of("d2"), (0o1777, 2));
        assert_eq!(of("d3"), (0o700, 3));
        assert_eq!(of("d4"), (0o700, 44));
        assert!(
            !root.join("d1/file").exists() && root.join("d3/file").exists() && root.join("d3/more").exists()
        );
    });
}

/// What one layer deleted stays deleted above a layer that says nothing of it.
pub fn deletion_holds_through_an_empty_layer(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().file("foo", "x").dir("dir").file("dir/bar", "x"));
    let deleted = bench.layer_by_edit(Some(&lower), |root| {
        fs::remove_file(root.join("foo")).unwrap();
        fs::remove_dir_all(root.join("dir")).unwrap();
    });
    let empty = bench.layer(Some(&deleted), Builder::new());
    let top = bench.layer_by_edit(Some(&empty), |root| fs::write(root.join("new"), "").unwrap());
    assert_eq!(bench.look(&top, |root| fs::read_dir(root).unwrap().count()), 1);
}

/// A lower layer's file is moved in one layer and linked in the next. That two names are one file is not asked for:
/// where trees are compared, a new name of an unchanged file is a new file.
pub fn move_and_link_a_lower_file(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().file("f1", "one").dir("d").file("d/f2", "two"));
    let moved = bench.layer_by_edit(Some(&lower), |root| {
        fs::rename(root.join("f1"), root.join("d/moved")).unwrap();
        fs::hard_link(root.join("d/f2"), root.join("linked")).unwrap();
    });
    let top = bench.layer_by_edit(Some(&moved), |root| {
        fs::remove_file(root.join("d/f2")).unwrap();
        fs::hard_link(root.join("linked"), root.join("d/again")).unwrap();
    });
    bench.look(&top, |root| {
        assert!(!root.join("f1").exists() && !root.join("d/f2").exists());
        assert_eq!(fs::read(root.join("d/moved")).unwrap(), b"one");
        assert_eq!(fs::read(root.join("d/again")).unwrap(), b"two");
    });
}

/// A view cannot be written to, not even by root; a base layer's neither.
pub fn view_refuses_writes(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("file", "x"));
    let top = bench.layer(Some(&base), Builder::new().file("more", "x"));
    if !bench.driver.capabilities().read_only_views {
        return testkit::machine::skip("view_refuses_writes", "the driver's views are plain directories");
    }
    for id in [&base, &top] {
        let tree = |id| dump(&super::path_of(&bench.driver.layer_root(id).unwrap()).join("."));
        let before = tree(id);
        bench.look(id, |root| {
            assert!(fs::write(root.join("new"), "").is_err());
            assert!(fs::write(root.join("file"), "changed").is_err());
            assert!(fs::remove_file(root.join("file")).is_err());
        });
        assert_eq!(tree(id), before);
    }
}

/// To end what has ended is no error.
pub fn unmount_twice(bench: &Bench) {
    let base = bench.layer(None, Builder::new().file("file", "x"));
    let id = bench.container(Some(&base));
    bench.driver.mount(&id, Access::Write).unwrap();
    assert_eq!(bench.driver.unmount(&id).unwrap(), bench.driver.capabilities().mounts);
    assert!(!bench.driver.unmount(&id).unwrap());
    assert_eq!(bench.driver.mounted(&id).unwrap(), None);
}

/// The root of an empty layer is 0755; what an archive says of the root holds from then on.
pub fn root_permission(bench: &Bench) {
    let root_mode = |id| bench.look(id, |root| fs::metadata(root).unwrap().mode() & 0o7777);
    let empty = bench.layer(None, Builder::new());
    assert_eq!(root_mode(&empty), 0o755);
    let strict = bench.layer(Some(&empty), Builder::new().dir_with("./", |entry| entry.mode = 0o1700));
    assert_eq!(root_mode(&strict), 0o1700);
    let above = bench.layer(Some(&strict), Builder::new().file("file", ""));
    assert_eq!(root_mode(&above), 0o1700);
    assert_eq!(root_mode(&bench.container(Some(&above))), 0o1700);
}

/// Files are renamed over layers; a directory as far as the driver can.
pub fn rename(bench: &Bench) {
    let lower = bench.layer(None, Builder::new().dir("dir").file("dir/a", "a").file("b", "b"));
    let upper = bench.layer_by_edit(Some(&lower), |root| {
        fs::rename(root.join("dir/a"), root.join("a")).unwrap();
        fs::rename(root.join("b"), root.join("dir/b")).unwrap();
        fs::rename(root.join("a"), root.join("dir/b")).unwrap();
        if let Err(e) = fs::rename(root.join("dir"), root.join("moved")) {
            // What mv(1) does then.
            assert_eq!(e.kind(), std::io::ErrorKind::CrossesDevices);
            fs::create_dir(root.join("moved")).unwrap();
            fs::copy(root.join("dir/b"), root.join("moved/b")).unwrap();
            fs::remove_dir_all(root.join("dir")).unwrap();
        }
    });
    bench.look(&upper, |root| {
        assert_eq!(fs::read_dir(root).unwrap().count(), 1);
        assert_eq!(fs::read(root.join("moved/b")).unwrap(), b"a");
    });
}

/// Changes in 128 layers, each compared with the same changes in one flat tree.
pub fn every_layer_of_128(bench: &Bench) {
    let flat = tempfile::tempdir().unwrap();
    mode(flat.path(), 0o755);
    let mut top: Option<model::CacheId> = None;
    for n in 0..128 {
        let change = |root: &Path| {
            fs::write(root.join("bottom"), format!("layer {n}")).unwrap();
            fs::write(root.join(format!("file{n}")), "x").unwrap();
            match n % 4 {
                0 => fs::create_dir(root.join(format!("dir{n}"))).unwrap(),
                1 => fs::write(root.join(format!("dir{}/in", n - 1)), "").unwrap(),
                2 => fs::remove_file(root.join(format!("file{}", n - 2))).unwrap(),
                _ => fs::remove_dir_all(root.join(format!("dir{}", n - 3))).unwrap(),
            }
        };
        change(flat.path());
        let container = bench.edited(top.as_ref(), change);
        let without = Without { times: true, ..Without::default() };
        if n % 16 == 15 {
            assert_eq!(
                bench.look(&container, |root| dump_without(root, without)),
                dump_without(flat.path(), without)
            );
        }
        top = Some(bench.commit(&container, top.as_ref()));
        bench.driver.discard(&container).unwrap();
    }
    assert_eq!(tree(bench, &top.unwrap()).len(), 1 + fs::read_dir(flat.path()).unwrap().count());
}
