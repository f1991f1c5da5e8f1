//! The driver `overlay`: the conformance suite, and what is particular to it (moby.md §9.1).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use drivers::suite::{Bench, Builder, new_id, run};
use drivers::{Access, Config, Damage, Driver, LayerKind, LegacyOverlay, Result};
use model::CacheId;
use testkit::tree::dump;

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(LegacyOverlay::open(config)?))
}

drivers::conformance!(super::open);

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn at(bench: &Bench, id: &CacheId, path: &str) -> PathBuf {
    bench.driver.home().join(id.as_str()).join(path)
}

/// An image of two layers, of which the second deletes and changes.
fn image(bench: &Bench) -> (CacheId, CacheId) {
    let lower = Builder::new().file("gone", "x").file("kept", "x").dir("dir").file("dir/old", "x");
    let base = bench.layer(None, lower.symlink("link", "kept"));
    let upper =
        Builder::new().file(".wh.gone", "").dir("dir").file("dir/.wh..wh..opq", "").file("dir/new", "y");
    (base.clone(), bench.layer(Some(&base), upper))
}

#[test]
fn files_and_modes_are_docker_s() {
    run("files_and_modes_are_docker_s", open, |bench: &Bench| {
        let (base, top) = image(bench);
        let container = bench.container(Some(&top));
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(bench.driver.home()), mode(&at(bench, &base, ""))), (0o710, 0o710));
        assert_eq!(
            (names(&at(bench, &base, "")), names(&at(bench, &top, ""))),
            (vec!["root".to_owned()], vec!["root".to_owned()])
        );
        assert_eq!(names(&at(bench, &top, "root")), ["dir", "kept", "link"]);
        assert_eq!(names(&at(bench, &top, "root/dir")), ["new"]);
        assert_eq!(names(&at(bench, &container, "")), ["lower-id", "upper", "work"]);
        assert_eq!(fs::read_to_string(at(bench, &container, "lower-id")).unwrap(), top.as_str());
        assert_eq!(mode(&at(bench, &container, "lower-id")), 0o600);
        assert_eq!(
            (mode(&at(bench, &container, "upper")), mode(&at(bench, &container, "work"))),
            (0o755, 0o700)
        );

        let home = bench.driver.home().to_str().unwrap();
        let data = |id| bench.driver.metadata(id).unwrap();
        let pair = |key: &str, value: String| (key.to_owned(), value);
        assert_eq!(data(&top), [pair("RootDir", format!("{home}/{top}/root"))]);
        assert_eq!(
            data(&container),
            [
                pair("LowerDir", format!("{home}/{top}/root")),
                pair("MergedDir", format!("{home}/{container}/merged")),
                pair("UpperDir", format!("{home}/{container}/upper")),
                pair("WorkDir", format!("{home}/{container}/work")),
            ]
        );
        let status = bench.driver.status().unwrap();
        let keys: Vec<&str> = status.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["Backing Filesystem", "Supports d_type"]);
    });
}

/// A file is one inode in all layers; nothing that a layer changes is changed in another.
#[test]
fn layers_share_files_and_nothing_else() {
    run("layers_share_files_and_nothing_else", open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new().dir("d").file("d/kept", "x").file("d/changed", "old"));
        let before = bench.look(&base, dump);
        let upper = Builder::new()
            .file_with("d/changed", "new", |e| e.mode = 0o4755)
            .hardlink("linked", "d/kept")
            .dir_with("d", |e| e.mode = 0o700);
        let top = bench.layer(Some(&base), upper);
        let ino = |id: &CacheId, path: &str| fs::metadata(at(bench, id, "root").join(path)).unwrap().ino();
        assert_eq!(ino(&base, "d/kept"), ino(&top, "d/kept"));
        assert_eq!(ino(&base, "d/kept"), ino(&top, "linked"));
        assert_ne!(ino(&base, "d/changed"), ino(&top, "d/changed"));
        assert_ne!(ino(&base, "d"), ino(&top, "d"));
        let container = bench.container(Some(&top));
        bench.edit(&container, |root| fs::write(root.join("d/kept"), "changed").unwrap());
        bench.edit(&container, |root| {
            fs::set_permissions(root.join("linked"), fs::Permissions::from_mode(0o600)).unwrap()
        });
        assert_eq!(bench.look(&base, dump), before);
    });
}

/// The writable layer of a container begins as its init layer, which is no change of its own.
#[test]
fn a_container_begins_with_a_copy_of_its_init_layer() {
    run("a_container_begins_with_a_copy_of_its_init_layer", open, |bench: &Bench| {
        let (_, top) = image(bench);
        let init = bench.edited(Some(&top), |root| {
            fs::write(root.join("init"), "made").unwrap();
            fs::remove_file(root.join("kept")).unwrap();
            fs::remove_dir_all(root.join("dir")).unwrap();
            fs::create_dir(root.join("dir")).unwrap();
            fs::write(root.join("dir/init"), "x").unwrap();
        });
        let container = bench.container(Some(&init));
        assert_eq!(fs::read_to_string(at(bench, &container, "lower-id")).unwrap(), top.as_str());
        let tree = |id| bench.look(id, |root| dump(root).split_off(1));
        assert_eq!(tree(&container), tree(&init));
        assert_eq!(bench.changes(&container, Some(&init)), [""; 0]);
        assert_eq!(bench.driver.usage(&container, Some(&init)).unwrap(), 0);
        bench.edit(&container, |root| {
            fs::write(root.join("new"), "12345").unwrap();
            fs::remove_file(root.join("init")).unwrap();
            fs::write(root.join("dir/more"), "1").unwrap();
        });
        let changes = ["C /dir", "A /dir/more", "D /init", "A /new"];
        assert_eq!(bench.changes(&container, Some(&init)), changes);
        assert_eq!(bench.driver.usage(&container, Some(&init)).unwrap(), 6);
        let copy = bench.commit(&container, Some(&init));
        assert_eq!(tree(&copy), tree(&container));
        assert_eq!(bench.driver.check(&container, Some(&init)).unwrap(), []);
    });
}

/// What a step of a build wrote becomes the tree that it showed.
#[test]
fn a_sealed_layer_is_a_tree() {
    run("a_sealed_layer_is_a_tree", open, |bench: &Bench| {
        let (_, top) = image(bench);
        let layer = bench.edited(Some(&top), |root| {
            fs::remove_file(root.join("kept")).unwrap();
            fs::remove_dir_all(root.join("dir")).unwrap();
            fs::create_dir(root.join("dir")).unwrap();
            fs::write(root.join("dir/sealed"), "12345").unwrap();
            fs::hard_link(root.join("dir/sealed"), root.join("again")).unwrap();
            fs::rename(root.join("link"), root.join("moved")).unwrap();
            testkit::tree::set_xattr(&root.join("dir"), "user.note", b"kept");
        });
        let tree = |id| bench.look(id, dump);
        let (shown, diff) = (tree(&layer), bench.diff(&layer, Some(&top)).len());
        bench.driver.seal(&layer).unwrap();
        assert_eq!(names(&at(bench, &layer, "")), ["root"]);
        assert_eq!(tree(&layer), shown);
        assert_eq!(bench.driver.usage(&layer, Some(&top)).unwrap(), 5 + 4);
        assert!(diff > 0 && !dump(&at(bench, &layer, "root")).iter().any(|line| line.contains("overlay.")));
        bench.driver.seal(&layer).unwrap();
        let child = bench.layer(Some(&layer), Builder::new().file("more", "x"));
        assert_eq!(names(&at(bench, &child, "root")), ["again", "dir", "more", "moved"]);
        assert_eq!(bench.driver.check(&layer, Some(&top)).unwrap(), []);
        bench.driver.sweep().unwrap();
        // Killed before the upper was gone: the tree counts.
        fs::create_dir(at(bench, &layer, "upper")).unwrap();
        fs::write(at(bench, &layer, "lower-id"), top.as_str()).unwrap();
        assert_eq!(tree(&layer), shown);
    });
}

/// A file with as many names as the file system allows is copied.
#[test]
fn one_link_too_many_is_a_copy() {
    run("one_link_too_many_is_a_copy", open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let (root, aside) = (at(bench, &base, "root/file"), bench.config.root.join("links"));
        fs::create_dir(&aside).unwrap();
        if (0..65_010).try_for_each(|n| fs::hard_link(&root, aside.join(n.to_string()))).is_ok() {
            return testkit::machine::skip(
                "one_link_too_many_is_a_copy",
                "this file system allows more links",
            );
        }
        let top = bench.layer(Some(&base), Builder::new().file("more", "x"));
        let copy = fs::metadata(at(bench, &top, "root/file")).unwrap();
        assert_eq!((copy.nlink(), copy.len()), (1, 1));
        assert_eq!(bench.changes(&top, Some(&base)), ["A /more"]);
    });
}

#[test]
fn a_damaged_container_is_told_and_mended() {
    run("a_damaged_container_is_told_and_mended", open, |bench: &Bench| {
        let (_, top) = image(bench);
        let container = bench.container(Some(&top));
        let check = || bench.driver.check(&container, Some(&top)).unwrap();
        for text in [None, Some(""), Some("../../etc"), Some("nobody")] {
            match text {
                None => fs::remove_file(at(bench, &container, "lower-id")).unwrap(),
                Some(text) => fs::write(at(bench, &container, "lower-id"), text).unwrap(),
            }
            let found = check();
            assert!(
                matches!(found[..], [ref one] if matches!(one.damage, Damage::LowerId { .. })),
                "{found:?}"
            );
            bench.driver.repair(&found[0]).unwrap();
            assert_eq!(check(), []);
        }
        fs::remove_dir(at(bench, &container, "work")).unwrap();
        assert!(bench.driver.mount(&container, Access::Write).is_err());
        bench.driver.repair(&check()[0]).unwrap();
        bench.edit(&container, |_| ());
        fs::remove_dir_all(at(bench, &top, "root")).unwrap();
        assert!(
            matches!(bench.driver.check(&top, None).unwrap()[..], [ref one] if one.damage == Damage::NoDiff)
        );
        assert!(matches!(check()[..], [ref one] if one.damage == Damage::NoLower(top.clone())));
        let error = bench.driver.mount(&container, Access::Write).unwrap_err().to_string();
        assert!(error.contains(&format!("the layer {top} below it is missing or has no files")), "{error}");
    });
}

#[test]
fn it_takes_no_options_and_no_limits() {
    run("it_takes_no_options_and_no_limits", open, |bench: &Bench| {
        let config = Config { options: vec!["overlay.Size=1".to_owned()], ..bench.config.clone() };
        let error = open(&config).err().unwrap().to_string();
        assert_eq!(error, "overlay: unknown option overlay.size");
        let stage = bench.driver.stage().unwrap();
        let kind = LayerKind::Writable { size: Some(1) };
        let error = bench.driver.prepare(&stage, &new_id(), None, kind).unwrap_err().to_string();
        assert_eq!(error, "overlay: --storage-opt is not supported for overlay");
    });
}
