//! Docker's format: written as Docker writes it, and read as Docker leaves it (moby.md §2, §8).

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use drivers::suite::{Bench, Builder, run};
use drivers::{Access, Error};
use model::CacheId;

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_modes_and_contents() {
    run("files_modes_and_contents", super::open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let home = bench.driver.home();
        assert_eq!(names(&home.join(base.as_str())), ["diff", "link"]);
        let top = bench.layer(Some(&base), Builder::new());
        let container = bench.container(Some(&top));

        let of = |id: &CacheId, name: &str| home.join(id.as_str()).join(name);
        assert_eq!((mode(home), mode(home.join("l")), mode(home.join(".layercake"))), (0o710, 0o700, 0o700));
        assert_eq!(names(&home.join(base.as_str())), ["committed", "diff", "link"]);
        assert_eq!(names(&home.join(top.as_str())), ["committed", "diff", "link", "lower", "work"]);
        assert_eq!(names(&home.join(container.as_str())), ["diff", "link", "lower", "work"]);
        let modes = [
            ("", 0o710),
            ("diff", 0o755),
            ("link", 0o644),
            ("lower", 0o644),
            ("work", 0o700),
            ("committed", 0o600),
        ];
        for (name, expected) in modes {
            assert_eq!(mode(of(&top, name)), expected, "{name}");
        }
        let link = |id| text(of(id, "link"));
        assert_eq!(link(&base).len(), 26);
        assert_eq!(text(of(&top, "lower")), format!("l/{}", link(&base)));
        assert_eq!(text(of(&container, "lower")), format!("l/{}:l/{}", link(&top), link(&base)));
        assert_eq!(text(of(&top, "committed")), "");
        assert_eq!(
            fs::read_link(home.join("l").join(link(&top))).unwrap(),
            Path::new(&format!("../{top}/diff"))
        );
        assert_eq!(names(&home.join("l")).len(), 3);
    });
}

#[test]
fn inspect_s_data() {
    run("inspect_s_data", super::open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new());
        let top = bench.layer(Some(&base), Builder::new());
        let container = bench.container(Some(&top));
        let home = bench.driver.home().display().to_string();
        let data = |id| bench.driver.metadata(id).unwrap();
        let pair = |key: &str, value: String| (key.to_owned(), value);
        let own = |id| {
            [("MergedDir", "merged"), ("UpperDir", "diff"), ("WorkDir", "work")]
                .map(|(key, name)| pair(key, format!("{home}/{id}/{name}")))
        };
        assert_eq!(data(&base), own(&base));
        let lower = pair("LowerDir", format!("{home}/{top}/diff:{home}/{base}/diff"));
        assert_eq!(data(&container), [&[lower][..], &own(&container)].concat());
    });
}

/// What BuildKit and old Dockers leave: short ids, white space, other modes, no `committed`.
#[test]
fn a_home_that_docker_left() {
    run("a_home_that_docker_left", super::open, |bench: &Bench| {
        let home = bench.driver.home();
        let (base, top) = ("0qx3kfyo3v5u0jmkhyqoe2b8d", "3mz1l7c5hdsxk8v1dtm0z9w2f");
        for (id, link) in [(base, "SRIBZQXV2IAPPQE5IP5UJCLSJV"), (top, "BHBGLCLIAGO2624HMRRFCBFXR3")] {
            fs::create_dir_all(home.join(id).join("diff")).unwrap();
            fs::write(home.join(id).join("link"), format!("{link}\n")).unwrap();
            symlink(format!("../{id}/diff"), home.join("l").join(link)).unwrap();
        }
        fs::write(home.join(base).join("diff/file"), "below").unwrap();
        fs::create_dir(home.join(top).join("work")).unwrap();
        fs::write(home.join(top).join("lower"), "l/SRIBZQXV2IAPPQE5IP5UJCLSJV ").unwrap();
        fs::create_dir(home.join("unknown")).unwrap();

        let [base, top] = [base, top].map(|id| CacheId::parse(id).unwrap());
        assert_eq!(bench.driver.check(&top, Some(&base)).unwrap(), []);
        bench.edit(&top, |root| assert_eq!(text(root.join("file")), "below"));
        let container = bench.container(Some(&top));
        bench.edit(&container, |root| fs::write(root.join("file"), "above").unwrap());
        assert_eq!(bench.changes(&container, Some(&top)), ["C /file"]);
        assert_eq!(text(home.join(base.as_str()).join("diff/file")), "below");
    });
}

/// A layer that others are built on is never mounted for writing; nor is a base mounted at all, as in Docker.
#[test]
fn what_is_mounted_for_writing() {
    run("what_is_mounted_for_writing", super::open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new());
        let top = bench.layer(Some(&base), Builder::new());
        let container = bench.container(Some(&top));
        for id in [&base, &top] {
            assert!(matches!(bench.driver.mount(id, Access::Write), Err(Error::ReadOnly { .. })));
        }
        let alone = bench.container(None);
        assert_eq!(
            bench.driver.mount(&alone, Access::Write).unwrap(),
            bench.driver.home().join(alone.as_str()).join("diff")
        );
        assert_eq!(bench.driver.mounted(&alone).unwrap(), None);
        bench.driver.mount(&container, Access::Read).unwrap();
        let refused = bench.driver.mount(&container, Access::Write).unwrap_err();
        assert!(refused.to_string().contains("it is mounted for reading"), "{refused}");
    });
}

/// Docker mounts an image's top layer writable for a save, and the kernel writes into it (moby.md §7).
#[test]
fn a_view_leaves_no_trace_in_the_layer() {
    run("a_view_leaves_no_trace_in_the_layer", super::open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let top = bench.layer(Some(&base), Builder::new().dir("dir"));
        let path = bench.driver.home().join(top.as_str());
        bench.look(&top, |root| assert_eq!(fs::read_dir(root).unwrap().count(), 2));
        let diff = sys::dir::open_path(&path.join("diff")).unwrap();
        assert_eq!(sys::xattr::list_fd(&diff).unwrap(), Vec::<std::ffi::OsString>::new());
        assert_eq!(names(&path), ["diff", "link", "lower", "work"]);
        assert_eq!(fs::read_dir(path.join("work")).unwrap().count(), 0);
    });
}

#[test]
fn depth_is_limited_as_the_caller_says() {
    run("depth_is_limited_as_the_caller_says", super::open, |bench: &Bench| {
        let stage = bench.driver.stage().unwrap();
        let mut ids = vec![bench.stage(&stage, None, &Builder::new().file("bottom", "x").build()).unwrap()];
        let next = |driver: &dyn drivers::Driver, parent: &CacheId| {
            let id = drivers::suite::new_id();
            driver.prepare(&stage, &id, Some(parent), drivers::LayerKind::ReadOnly).map(|()| id)
        };
        while ids.len() <= 128 {
            ids.push(next(&*bench.driver, &ids[ids.len() - 1]).unwrap());
        }
        let error = next(&*bench.driver, &ids[128]).unwrap_err();
        assert_eq!(error.to_string(), "max depth exceeded");

        let mut config = bench.config.clone();
        config.max_lowers = 499;
        let deep = super::open(&config).unwrap();
        while ids.len() <= 499 {
            ids.push(next(&*deep, &ids[ids.len() - 1]).unwrap());
        }
        deep.publish(&stage, &ids).unwrap();
        let top = &ids[499];
        match deep.mount(top, Access::Write) {
            Ok(root) => assert!(root.join("bottom").exists()),
            Err(e) if e.to_string().contains("too many layers for this kernel") => {
                testkit::machine::skip("500 layers", &e.to_string());
            }
            Err(e) => panic!("{e}"),
        }
        deep.unmount(top).unwrap();
    });
}

#[test]
fn info_s_lines_are_docker_s() {
    run("info_s_lines_are_docker_s", super::open, |bench: &Bench| {
        let status = bench.driver.status().unwrap();
        let keys: Vec<&str> = status.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            ["Backing Filesystem", "Supports d_type", "Using metacopy", "Native Overlay Diff", "userxattr"]
        );
        for (key, value) in &status[1..] {
            assert!(["true", "false"].contains(&value.as_str()), "{key}: {value}");
        }
        assert_eq!((status[1].1.as_str(), status[4].1.as_str()), ("true", "false"));
        assert_eq!(names(&bench.driver.home().join(".layercake")), Vec::<String>::new());
        assert_eq!(sys::mount::table(&bench.config.root).unwrap(), []);
    });
}
