//! The process behind a mount.

use std::fs;
use std::process::Command;

use drivers::suite::{Bench, Builder, run};
use drivers::{Access, Damage, Server};
use model::CacheId;

/// The processes that serve this layer.
fn servers(id: &CacheId) -> Vec<String> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap() {
        let process = process.unwrap();
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        if command.contains("serve-union") && command.contains(id.as_str()) {
            found.push(process.file_name().into_string().unwrap());
        }
    }
    found
}

/// A server that was killed takes nothing with it but its mount.
#[test]
fn a_killed_server() {
    run("a_killed_server", super::open, |bench: &Bench| {
        let image = bench.layer(None, Builder::new().file("file", "below"));
        let id = bench.container(Some(&image));
        let kill = || {
            let root = bench.driver.mount(&id, Access::Write).unwrap();
            let [server] = &servers(&id)[..] else { panic!("no server") };
            assert!(Command::new("kill").args(["-9", server]).status().unwrap().success());
            while fs::read_dir(&root).is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            root
        };
        let root = bench.driver.mount(&id, Access::Write).unwrap();
        fs::write(root.join("file"), "above").unwrap();
        kill();
        let damages: Vec<_> = bench.driver.check(&id, Some(&image)).unwrap();
        assert!(matches!(damages.as_slice(), [found] if found.damage == Damage::DeadMount), "{damages:?}");
        assert_eq!(bench.driver.usage_stamp(&id).unwrap(), None);
        assert_eq!(bench.changes(&id, Some(&image)), ["C /file"]);

        bench.driver.repair(&damages[0]).unwrap();
        assert_eq!(bench.driver.check(&id, Some(&image)).unwrap(), []);
        bench.edit(&id, |root| assert_eq!(fs::read(root.join("file")).unwrap(), b"above"));

        let root = kill();
        assert_eq!(bench.driver.mount(&id, Access::Write).unwrap(), root);
        assert_eq!(fs::read(root.join("file")).unwrap(), b"above");
        assert!(bench.driver.unmount(&id).unwrap());

        kill();
        assert!(bench.driver.unmount(&id).unwrap() && !bench.driver.unmount(&id).unwrap());
        kill();
        bench.driver.discard(&id).unwrap();
        assert_eq!(sys::mount::table(&bench.config.root).unwrap(), []);
    });
}

/// When an unmount returns, nothing works on the layer any more.
#[test]
fn an_unmount_waits_for_the_server() {
    run("an_unmount_waits_for_the_server", super::open, |bench: &Bench| {
        let image = bench.layer(None, Builder::new().file("file", "x"));
        let id = bench.container(Some(&image));
        let work = bench.driver.home().join(id.as_str()).join("work");
        let lock = || {
            let work = sys::dir::reopen(sys::dir::open_path(&work).unwrap()).unwrap();
            sys::lock::try_lock(work, sys::lock::Mutual::Exclusive).unwrap()
        };
        for _ in 0..5 {
            bench.driver.mount(&id, Access::Write).unwrap();
            assert!(lock().is_none(), "the server holds the lock");
            bench.driver.unmount(&id).unwrap();
            assert!(lock().is_some(), "it is gone");
        }
    });
}

/// What keeps the server from mounting is told in its own words, and nothing is left behind.
#[test]
fn a_server_that_fails() {
    run("a_server_that_fails", super::open, |bench: &Bench| {
        let image = bench.layer(None, Builder::new().file("file", "x"));
        let id = bench.container(Some(&image));
        let program = |program: &str, args: &[&str]| Server {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
        };
        for (server, said) in [
            (program("/nonexistent", &[]), "No such file or directory"),
            (program("sh", &["-c", "echo no such luck >&2; exit 3"]), "no such luck"),
            (program("sh", &["-c", "exit 3"]), "exit status: 3"),
        ] {
            let driver = super::open_with(&bench.config, server).unwrap();
            let error = driver.mount(&id, Access::Write).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(id.as_str()), "{error}");
            assert_eq!(driver.check(&id, Some(&image)).unwrap(), []);
        }
        let none = drivers::open("fuse-overlayfs", &bench.config).unwrap();
        let error = none.mount(&id, Access::Write).unwrap_err().to_string();
        assert_eq!(error, "fuse-overlayfs: there is no program to serve its mounts");
    });
}
