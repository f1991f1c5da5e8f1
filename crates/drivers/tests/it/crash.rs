//! A power cut in the middle of publishing or discarding: whatever is left is garbage that can be found, and nothing
//! that was there before is harmed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use drivers::suite::{Bench, Builder, Open, run};
use drivers::{Aufs, Config, Driver, LegacyOverlay, Overlay2};
use model::CacheId;
use sys::record::Op;

/// The recorder sees the whole process: one recording at a time.
static RECORDING: Mutex<()> = Mutex::new(());

/// What `act` changes below `root`, in order.
fn record(root: &Path, act: impl FnOnce()) -> Vec<Op> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (sink, below) = (log.clone(), root.display().to_string());
    sys::record::start(Arc::new(move |op: Op| {
        // The other tests of this process are recorded too.
        if format!("{op:?}").contains(&below) {
            sink.lock().unwrap().push(op);
        }
    }));
    act();
    sys::record::stop();
    std::mem::take(&mut *log.lock().unwrap())
}

/// Repeats a change in a copy of the data root.
fn replay(op: &Op, root: &Path, copy: &Path) {
    let moved = |path: &Path| copy.join(path.strip_prefix(root).unwrap());
    match op {
        Op::Rename { from, to } => fs::rename(moved(from), moved(to)).unwrap(),
        Op::Create { path, .. } => drop(fs::File::create_new(moved(path)).unwrap()),
        Op::Mkdir { path, .. } => fs::create_dir(moved(path)).unwrap(),
        Op::Symlink { path, target } => std::os::unix::fs::symlink(target, moved(path)).unwrap(),
        Op::Unlink { path } => fs::remove_file(moved(path)).unwrap(),
        Op::Rmdir { path } => fs::remove_dir(moved(path)).unwrap(),
        Op::Write { path, data, .. } => fs::write(moved(path), data).unwrap(),
        Op::Chmod { .. } | Op::SyncFile { .. } | Op::SyncDir { .. } => {}
        other => panic!("a change that this test cannot repeat: {other:?}"),
    }
}

/// For each moment of `ops`: a data root as it stood before, changed up to there, and opened anew.
fn each_moment(open: Open, ops: &[Op], root: &Path, before: &Path, check: impl Fn(&dyn Driver, usize)) {
    assert!(ops.len() >= 2, "too little was recorded: {ops:?}");
    for until in 0..=ops.len() {
        let tmp = tempfile::tempdir().unwrap();
        let copy = tmp.path().join("root");
        assert!(Command::new("cp").arg("-a").args([before, &copy]).status().unwrap().success());
        ops[..until].iter().for_each(|op| replay(op, root, &copy));
        check(&*open(&Config::new(&copy)).unwrap(), until);
    }
}

fn save(bench: &Bench, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([&bench.config.root, to]).status().unwrap().success());
}

/// What the engine does after a crash: throw away what no record names, and sweep. Then all is well.
fn recovers(driver: &dyn Driver, recorded: &[(CacheId, Option<CacheId>)]) {
    for id in driver.list().unwrap() {
        if !recorded.iter().any(|(known, _)| *known == id) {
            driver.discard(&id).unwrap();
        }
    }
    driver.sweep().unwrap();
    assert_eq!(driver.list().unwrap().len(), recorded.len());
    for (id, parent) in recorded {
        assert_eq!(driver.check(id, parent.as_ref()).unwrap(), []);
    }
    assert_eq!(driver.check_home().unwrap(), []);
    for name in ["staging", "trash"] {
        let left = fs::read_dir(driver.home().join(".layercake").join(name)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{name}");
    }
}

fn while_publishing(open: Open) {
    let _one = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    run("while_publishing", open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let stage = bench.driver.stage().unwrap();
        let one = bench.stage(&stage, Some(&base), &Builder::new().file("one", "x").build()).unwrap();
        let two = bench.stage(&stage, Some(&one), &Builder::new().file("two", "x").build()).unwrap();
        let before = tempfile::tempdir().unwrap();
        let before = before.path().join("root");
        save(bench, &before);
        let root = &bench.config.root;
        let ops = record(root, || bench.driver.publish(&stage, &[one.clone(), two.clone()]).unwrap());
        let last = ops.len();
        each_moment(open, &ops, root, &before, |driver, until| {
            // What is published is complete but perhaps for its short name.
            let published = driver.list().unwrap().len();
            let mut recorded = vec![(base.clone(), None)];
            if until == last {
                assert_eq!(published, 3);
                recorded.extend([(one.clone(), Some(base.clone())), (two.clone(), Some(one.clone()))]);
            }
            recovers(driver, &recorded);
        });
    });
}

fn while_discarding(open: Open) {
    let _one = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    run("while_discarding", open, |bench: &Bench| {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let top = bench.layer(Some(&base), Builder::new().dir("dir").file("dir/one", "x"));
        let before = tempfile::tempdir().unwrap();
        let before = before.path().join("root");
        save(bench, &before);
        let root = &bench.config.root;
        let ops = record(root, || {
            bench.driver.discard(&top).unwrap();
            bench.driver.sweep().unwrap();
        });
        each_moment(open, &ops, root, &before, |driver, _| recovers(driver, &[(base.clone(), None)]));
    });
}

macro_rules! crashes {
    ($($driver:ident $open:expr;)*) => {
        $(mod $driver {
            use super::*;

            #[test]
            fn publishing() {
                while_publishing($open);
            }

            #[test]
            fn discarding() {
                while_discarding($open);
            }
        })*
    };
}

crashes! {
    overlay2 |config| Ok(Box::new(Overlay2::open(config)?));
    overlay |config| Ok(Box::new(LegacyOverlay::open(config)?));
    aufs |config| Ok(Box::new(Aufs::open(config)?));
}
