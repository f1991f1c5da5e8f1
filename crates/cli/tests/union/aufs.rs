//! The driver `aufs` with the program itself as its server: the conformance suite, as root and in a user namespace, and
//! what is particular to it (moby.md §9.6).

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use drivers::suite::{Bench, Builder, run};
use drivers::{Access, Aufs, Config, Damage, Driver, Error, Result};
use model::CacheId;

use crate::format::names;

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(Aufs::open(&crate::configured(config))?))
}

drivers::conformance!(super::open);

/// A base, and a layer that deletes a file and replaces a directory.
fn image(bench: &Bench) -> (CacheId, CacheId) {
    let lower = Builder::new().file("gone", "x").file("kept", "x").dir("dir").file("dir/old", "x");
    let base = bench.layer(None, lower);
    let upper = Builder::new().file(".wh.gone", "").dir("dir").file("dir/.wh..wh..opq", "");
    (base.clone(), bench.layer(Some(&base), upper.file("dir/new", "y")))
}

fn ancestors(bench: &Bench, id: &CacheId) -> String {
    fs::read_to_string(bench.driver.home().join("layers").join(id.as_str())).unwrap()
}

#[test]
fn files_and_modes_are_docker_s() {
    run("files_and_modes_are_docker_s", open, |bench: &Bench| {
        let (base, top) = image(bench);
        let container = bench.container(Some(&top));
        let home = bench.driver.home().to_owned();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
        assert!(home.ends_with("aufs") && mode(&home) == 0o710);
        assert_eq!(names(&home), [".layercake", "diff", "layers", "mnt"]);
        assert_eq!(ancestors(bench, &base), "");
        assert_eq!(ancestors(bench, &container), format!("{top}\n{base}\n"));
        assert_eq!(mode(&home.join("layers").join(base.as_str())), 0o644);
        assert_eq!(mode(&home.join("mnt").join(top.as_str())), 0o755);
        let diff = home.join("diff").join(top.as_str());
        assert_eq!(names(&diff), [".wh.gone", "dir"]);
        assert_eq!(names(&diff.join("dir")), [".wh..wh..opq", "new"]);

        let path = bench.driver.mount(&container, Access::Write).unwrap();
        assert_eq!(path, home.join("mnt").join(container.as_str()));
        assert_eq!(names(&path), ["dir", "kept"]);
        fs::remove_file(path.join("kept")).unwrap();
        fs::remove_dir_all(path.join("dir")).unwrap();
        fs::create_dir(path.join("dir")).unwrap();
        bench.driver.unmount(&container).unwrap();
        let diff = home.join("diff").join(container.as_str());
        assert_eq!(
            (names(&diff), names(&diff.join("dir"))),
            (vec![".wh.kept".to_owned(), "dir".to_owned()], vec![".wh..wh..opq".to_owned()])
        );
        assert!(!fs::symlink_metadata(diff.join(".wh.kept")).unwrap().file_type().is_char_device());
        assert_eq!(bench.changes(&container, Some(&top)), ["C /dir", "D /dir/new", "D /kept"]);

        let status = bench.driver.status().unwrap();
        let keys: Vec<&str> = status.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["Root Dir", "Backing Filesystem", "Dirs", "Dirperm1 Supported"]);
        assert_eq!((status[0].1.as_str(), status[2].1.as_str()), (home.to_str().unwrap(), "3"));
        assert_eq!(bench.driver.metadata(&container).unwrap(), []);
    });
}

/// What lies at the top of a branch of AUFS's is no part of the layer, nor is a mark a file.
#[test]
fn what_an_aufs_wrote_is_understood() {
    run("what_an_aufs_wrote_is_understood", open, |bench: &Bench| {
        let (_, top) = image(bench);
        let container = bench.container(Some(&top));
        let diff = bench.driver.home().join("diff").join(container.as_str());
        fs::write(diff.join(".wh..wh.aufs"), "").unwrap();
        for area in [".wh..wh.plnk", ".wh..wh.orph"] {
            fs::create_dir(diff.join(area)).unwrap();
        }
        fs::hard_link(diff.join(".wh..wh.aufs"), diff.join(".wh.kept")).unwrap();
        fs::create_dir(diff.join("dir")).unwrap();
        fs::hard_link(diff.join(".wh..wh.aufs"), diff.join("dir/.wh..wh..opq")).unwrap();
        fs::write(diff.join("linked"), "12345").unwrap();
        fs::hard_link(diff.join("linked"), diff.join(".wh..wh.plnk/7.8")).unwrap();

        let changes = ["C /dir", "D /dir/new", "D /kept", "A /linked"];
        assert_eq!(bench.changes(&container, Some(&top)), changes);
        assert_eq!(bench.driver.usage(&container, Some(&top)).unwrap(), 5);
        bench.look(&container, |root| assert_eq!(names(root), ["dir", "linked"]));
        let copy = bench.commit(&container, Some(&top));
        assert_eq!(bench.changes(&copy, Some(&top)), changes);
        bench.edit(&container, |root| {
            fs::write(root.join("kept"), "again").unwrap();
            fs::write(root.join("linked"), "changed").unwrap();
        });
        assert!(!diff.join(".wh.kept").exists() && diff.join(".wh..wh.aufs").exists());
        assert_eq!(fs::read(diff.join(".wh..wh.plnk/7.8")).unwrap(), b"changed");
    });
}

/// Docker renames before it removes; what it did not come to is swept.
#[test]
fn what_docker_had_begun_to_remove_is_swept() {
    run("what_docker_had_begun_to_remove_is_swept", open, |bench: &Bench| {
        let (base, top) = image(bench);
        let home = bench.driver.home();
        for part in ["diff", "mnt"] {
            fs::create_dir_all(home.join(part).join("x-removing/half")).unwrap();
        }
        assert!(bench.driver.has_trash().unwrap());
        assert_eq!(bench.driver.sweep().unwrap().removed, 2);
        assert!(!bench.driver.has_trash().unwrap());
        let mut ids = [base.to_string(), top.to_string()];
        ids.sort();
        assert_eq!((names(&home.join("diff")), names(&home.join("mnt"))), (ids.to_vec(), ids.to_vec()));
        let reserved = CacheId::parse("x-removing").unwrap();
        assert!(matches!(bench.driver.exists(&reserved), Err(Error::Reserved(_))));
    });
}

/// A layer is three things, and a crash can come between any two.
#[test]
fn parts_of_a_layer_are_listed_and_go_with_it() {
    run("parts_of_a_layer_are_listed_and_go_with_it", open, |bench: &Bench| {
        let (base, top) = image(bench);
        let home = bench.driver.home();
        let (lonely, listed) = (drivers::suite::new_id(), drivers::suite::new_id());
        fs::create_dir(home.join("diff").join(lonely.as_str())).unwrap();
        fs::write(home.join("layers").join(listed.as_str()), format!("{base}\n")).unwrap();
        fs::create_dir(home.join("mnt/no-layer")).unwrap();
        let mut all = vec![base, top, lonely.clone(), listed.clone()];
        all.sort();
        assert_eq!(bench.driver.list().unwrap(), all);
        for id in [&lonely, &listed] {
            assert!(!bench.driver.check(id, None).unwrap().is_empty());
            bench.driver.discard(id).unwrap();
        }
        bench.driver.sweep().unwrap();
        for part in ["layers", "diff", "mnt"] {
            assert_eq!(names(&home.join(part)).len(), 2, "{part}");
        }
    });
}

#[test]
fn a_list_that_is_wrong_is_written_again_from_the_parents() {
    run("a_list_that_is_wrong_is_written_again_from_the_parents", open, |bench: &Bench| {
        let (base, top) = image(bench);
        let container = bench.container(Some(&top));
        let list = bench.driver.home().join("layers").join(container.as_str());
        let right = fs::read(&list).unwrap();
        let damages: [&dyn Fn(); 4] = [
            &|| fs::remove_file(&list).unwrap(),
            &|| fs::write(&list, "").unwrap(),
            &|| fs::write(&list, format!("{base}\n")).unwrap(),
            &|| fs::write(&list, "../../etc\n").unwrap(),
        ];
        for damage in damages {
            damage();
            let found = bench.driver.check(&container, Some(&top)).unwrap();
            assert!(
                matches!(found[..], [ref one] if matches!(one.damage, Damage::Ancestors { .. })),
                "{found:?}"
            );
            bench.driver.repair(&found[0]).unwrap();
            assert_eq!(fs::read(&list).unwrap(), right);
            assert_eq!(bench.driver.check(&container, Some(&top)).unwrap(), []);
        }
        fs::remove_dir_all(bench.driver.home().join("diff").join(base.as_str())).unwrap();
        assert!(matches!(bench.driver.check(&base, None).unwrap()[0].damage, Damage::NoDiff));
        let error = bench.driver.mount(&container, Access::Write).unwrap_err();
        assert!(error.to_string().contains(&format!("the layer {base} below it is missing")), "{error}");
    });
}
