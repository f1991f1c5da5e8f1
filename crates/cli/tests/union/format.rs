//! Docker's format (moby.md §9.4), and what the incumbent makes of it and writes into it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use drivers::suite::{Bench, Builder, run};
use drivers::{Access, Config, Driver, Result, Server};
use model::CacheId;
use testkit::tree::dump;

/// The names in a directory, sorted.
pub(super) fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An image of two layers, of which the second deletes.
fn image(bench: &Bench) -> (CacheId, CacheId) {
    let lower = Builder::new().file("gone", "x").file("kept", "x").dir("dir").file("dir/old", "x").dir("was");
    let base = bench.layer(None, lower.file("was/in", "x"));
    let upper =
        Builder::new().file(".wh.gone", "").dir("dir").file("dir/.wh..wh..opq", "").file("dir/new", "y");
    let top = bench.layer(Some(&base), upper.file(".wh.was", "").file("was", "now a file"));
    (base, top)
}

#[test]
fn files_and_modes() {
    run("files_and_modes", super::open, |bench: &Bench| {
        let (base, top) = image(bench);
        let container = bench.container(Some(&top));
        let home = bench.driver.home();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
        assert!(home.ends_with("fuse-overlayfs") && mode(home) == 0o710 && mode(&home.join("l")) == 0o700);
        assert_eq!(names(&home.join(base.as_str())), ["committed", "diff", "link"]);
        assert_eq!(names(&home.join(top.as_str())), ["committed", "diff", "link", "lower", "work"]);
        assert_eq!(mode(&home.join(container.as_str()).join("work")), 0o710);

        // An image's layer keeps deletions as its archive has them; a file in the place of one needs none.
        let diff = home.join(top.as_str()).join("diff");
        assert_eq!(names(&diff), [".wh.gone", "dir", "was"]);
        assert_eq!(names(&diff.join("dir")), [".wh..wh..opq", "new"]);
        assert!(fs::symlink_metadata(diff.join(".wh.gone")).unwrap().is_file());

        // A container's has what the kernel's OverlayFS would write.
        let root = bench.driver.mount(&container, Access::Write).unwrap();
        assert_eq!(names(&root), ["dir", "kept", "was"]);
        assert_eq!(names(&root.join("dir")), ["new"]);
        fs::remove_file(root.join("kept")).unwrap();
        bench.driver.unmount(&container).unwrap();
        let whiteout = fs::symlink_metadata(home.join(container.as_str()).join("diff/kept")).unwrap();
        assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
        assert_eq!(bench.changes(&container, Some(&top)), ["D /kept"]);
        assert_eq!(bench.driver.status().unwrap(), []);
    });
}

const INCUMBENT: &str = "/usr/bin/fuse-overlayfs";

fn open_incumbent(config: &Config) -> Result<Box<dyn Driver>> {
    super::open_with(config, Server { program: INCUMBENT.into(), args: vec![] })
}

/// What it shows of our layers, and what we read of what it wrote.
#[test]
fn the_incumbent_reads_and_writes_the_same_layers() {
    let name = "the_incumbent_reads_and_writes_the_same_layers";
    if !Path::new(INCUMBENT).exists() {
        return testkit::machine::skip(name, "fuse-overlayfs is not installed");
    }
    run(name, super::open, |bench: &Bench| {
        let (_, top) = image(bench);
        let theirs = open_incumbent(&bench.config).unwrap();
        let [one, two] = [(); 2].map(|()| bench.container(Some(&top)));
        let change = |root: &Path| {
            fs::remove_file(root.join("kept")).unwrap();
            fs::remove_dir_all(root.join("dir")).unwrap();
            fs::create_dir(root.join("dir")).unwrap();
            fs::write(root.join("dir/more"), "z").unwrap();
            fs::write(root.join("was"), "changed").unwrap();
        };
        let mut seen = Vec::new();
        for (driver, id) in [(&bench.driver, &one), (&theirs, &two)] {
            let root = driver.mount(id, Access::Write).unwrap();
            assert_eq!(names(&root), ["dir", "kept", "was"]);
            change(&root);
            driver.unmount(id).unwrap();
            let changes = ["C /dir", "A /dir/more", "D /dir/new", "D /kept", "C /was"];
            assert_eq!(bench.changes(id, Some(&top)), changes, "{id}");
            seen.push(bench.diff(id, Some(&top)).len());
            let copy = bench.commit(id, Some(&top));
            let shown = bench.look(&copy, |root| (names(root), names(&root.join("dir"))));
            assert_eq!(shown, (vec!["dir".to_owned(), "was".to_owned()], vec!["more".to_owned()]));
            let root = theirs.mount(id, Access::Read).unwrap();
            let lines = dump(&root).len();
            theirs.unmount(id).unwrap();
            assert_eq!(bench.look(id, |root| dump(root).len()), lines);
        }
        assert_eq!(seen[0], seen[1], "the same archive but for times");
    });
}
