//! What the kernel forgets: a server numbers what the kernel knows, and numbers come and go while others look them up.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::mount::{MountFlags, mount_remount};
use testkit::tree::file;

use crate::files::{append, names, stat};
use crate::stage::{ours, rule};

/// Makes the kernel forget all of a mount that is not open.
fn forget(path: &Path) {
    mount_remount(path, MountFlags::empty(), c"").unwrap();
}

/// Lists a tree, and looks every entry up; returns how many there are.
fn walk(path: &Path) -> usize {
    let entries = fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut found = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        found += 1 + if stat(&path).is_dir() { walk(&path) } else { 0 };
    }
    found
}

#[test]
fn nothing_is_lost_when_it_is_looked_up_while_it_is_forgotten() {
    rule(|s| {
        for n in 0..400 {
            let layer = if n % 2 == 0 { s.lower(1) } else { s.lower(2) };
            file(&layer, &format!("{}/{}/{n}", n % 10, n % 20), "");
        }
        s.mount();
        let root = s.at("");
        let expected = walk(&root);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let walker = || {
                // Stops the others if this one fails.
                let result =
                    std::panic::catch_unwind(|| (0..200).for_each(|_| assert_eq!(walk(&root), expected)));
                stop.store(true, Ordering::Relaxed);
                result
            };
            let walkers = [scope.spawn(walker), scope.spawn(walker)];
            while !stop.load(Ordering::Relaxed) {
                forget(&root);
            }
            for walker in walkers {
                walker.join().unwrap().expect("a walk failed");
            }
        });
    });
}

#[test]
fn names_are_made_and_removed_while_others_are_forgotten() {
    rule(|s| {
        file(&s.lower(2), "d/low", "2");
        s.mount();
        let root = s.at("");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let make = |own: &'static str| {
                let root = &root;
                let stop = &stop;
                move || {
                    let result = std::panic::catch_unwind(|| {
                        for n in 0..200 {
                            let dir = root.join(format!("d/{own}-{n}"));
                            fs::create_dir(&dir).unwrap();
                            fs::write(dir.join("f"), own).unwrap();
                            fs::rename(dir.join("f"), dir.join("g")).unwrap();
                            append(dir.join("g"), "x");
                            assert_eq!(names(&dir), ["g"]);
                            fs::remove_file(dir.join("g")).unwrap();
                            fs::remove_dir(&dir).unwrap();
                        }
                    });
                    stop.store(true, Ordering::Relaxed);
                    result
                }
            };
            let makers = [scope.spawn(make("a")), scope.spawn(make("b"))];
            while !stop.load(Ordering::Relaxed) {
                forget(&root);
            }
            for maker in makers {
                maker.join().unwrap().expect("a change failed");
            }
        });
        assert_eq!(names(s.at("d")), ["low"]);
    });
}

#[test]
fn an_open_file_survives_that_its_name_is_forgotten() {
    ours(|s| {
        file(&s.lower(2), "d/f", "2");
        s.mount();
        let reader = fs::File::open(s.at("d/f")).unwrap();
        forget(&s.at(""));
        append(s.at("d/f"), "x");
        forget(&s.at(""));
        assert_eq!(reader.metadata().unwrap().len(), 2);
        assert_eq!(std::io::read_to_string(&reader).unwrap(), "2x");
    });
}
