//! Without root: in a user namespace, with `userxattr`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use drivers::suite::{Bench, Builder, Open, run};
use drivers::{Config, LegacyOverlay, Overlay2};

fn there(config: &Config) -> Config {
    Config { user_namespace: true, ..config.clone() }
}

#[test]
fn a_container_s_life_on_overlay2() {
    if testkit::in_user_namespace("user_namespace::a_container_s_life_on_overlay2") {
        a_container_s_life(|config| Ok(Box::new(Overlay2::open(&there(config))?)));
    }
}

#[test]
fn a_container_s_life_on_overlay() {
    if testkit::in_user_namespace("user_namespace::a_container_s_life_on_overlay") {
        a_container_s_life(|config| Ok(Box::new(LegacyOverlay::open(&there(config))?)));
    }
}

fn a_container_s_life(open: Open) {
    run("a_container_s_life", open, |bench: &Bench| {
        let base = bench
            .layer(None, Builder::new().dir("dir").file("dir/old", "x").file("gone", "x").file("kept", "x"));
        let archive = Builder::new()
            .file(".wh.gone", "")
            .dir("dir")
            .file("dir/.wh..wh..opq", "")
            .file_with("foreign", "x", |e| (e.uid, e.gid) = (1000, 1000))
            .char_device("null", 1, 3);
        let top = bench.layer(Some(&base), archive);
        let container = bench.edited(Some(&top), |root| {
            assert!(
                !root.join("gone").exists() && !root.join("dir/old").exists() && !root.join("null").exists()
            );
            fs::write(root.join("kept"), "changed").unwrap();
            fs::remove_dir(root.join("dir")).unwrap();
            fs::create_dir(root.join("dir")).unwrap();
            fs::set_permissions(root.join("dir"), fs::Permissions::from_mode(0o755)).unwrap();
            fs::remove_file(root.join("foreign")).unwrap();
        });
        assert_eq!(bench.changes(&container, Some(&top)), ["D /foreign", "C /kept"]);
        let copy = bench.commit(&container, Some(&top));
        assert_eq!(bench.look(&copy, |root| fs::read(root.join("kept")).unwrap()), b"changed");
        if bench.driver.name() == "overlay2" {
            let status = bench.driver.status().unwrap();
            assert_eq!(status.last().unwrap(), &("userxattr".to_owned(), "true".to_owned()));
        }
        for id in [&copy, &container, &top, &base] {
            assert_eq!(bench.driver.check(id, None).unwrap(), []);
            bench.driver.discard(id).unwrap();
        }
        bench.driver.sweep().unwrap();
    });
}
