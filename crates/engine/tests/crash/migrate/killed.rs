//! `kill -9` of a migration at any change that it makes, again and again, until it is done.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::disk::Disk;

use super::{assert_same, facts, fill, migrate, open};
use crate::chance::Chance;
use crate::{child, shop, sound};

const PAIRS: [(&str, &str); 4] =
    [("overlay2", "vfs"), ("vfs", "overlay2"), ("overlay2", "fuse-overlayfs"), ("fuse-overlayfs", "vfs")];
/// Migrations for each pair, each killed until it has come to its end.
const ROUNDS: usize = 12;
/// Enough is enough on a slow machine.
const LIMIT: Duration = Duration::from_secs(25);

#[test]
fn a_migration_that_is_killed_goes_on() {
    if !testkit::require_root("migrate::killed") {
        return;
    }
    sys::process::clear_umask();
    let mut chance = Chance::new("migrate::killed");
    let tmp = shop::temp();
    let first = tmp.path().join("first");
    let engine = open(&first, Some("overlay2"));
    fill(&engine);
    let expected = facts(&engine);
    drop(engine);
    let (begin, mut kills, mut late) = (Instant::now(), 0, 0);
    for (from, to) in PAIRS {
        let source = tmp.path().join("source");
        std::fs::create_dir(&source).unwrap();
        Disk::read(&first).0.write_to(&source);
        if from != "overlay2" {
            migrate(open(&source, Some("overlay2")), from).unwrap();
        }
        let store = Disk::read(&source).0;
        let changes = changes(&source, from, to);
        std::fs::remove_dir_all(&source).unwrap();
        for _ in 0..ROUNDS {
            if begin.elapsed() > LIMIT {
                break;
            }
            let root = tmp.path().join("root");
            std::fs::create_dir(&root).unwrap();
            store.write_to(&root);
            kills += until_done(&root, from, to, changes, &expected, &mut chance);
            std::fs::remove_dir_all(&root).unwrap();
            late += 1;
        }
    }
    println!("migrate::killed: {kills} kills in {late} migrations, {:?}", begin.elapsed());
}

/// Answers with the number of kills that it took.
fn until_done(
    root: &Path,
    from: &str,
    to: &str,
    changes: usize,
    expected: &[String],
    chance: &mut Chance,
) -> usize {
    let mut kills = 0;
    loop {
        // What is there already takes no changes: sooner or later this is beyond the end.
        let at = chance.below(changes * 5 / 4) + 1;
        let context = format!("{from} to {to}, killed at change {at} after {kills} kills");
        let mut process =
            child::start("migrate::killed::process", &[root.to_str().unwrap(), from, to, &at.to_string()]);
        let said = process.wait_for("there").unwrap_or_else(|| panic!("{context}: it ended"));
        process.kill();
        assert!(!said.iter().any(|line| line.starts_with("failed")), "{context}: {said:?}");
        let done = said.iter().any(|line| line == "done");
        kills += usize::from(!done);

        // Whoever comes next finds a whole store, of one driver or the other.
        let engine = open(root, chosen(root, from, to));
        assert_same(&facts(&engine), expected, &context);
        let now = engine.driver().name();
        if now == to {
            sound::check(&engine, &context);
            assert!(!root.join("layercake/migrate").exists(), "{context}");
            assert!(!root.join(from).exists(), "{context}");
            return kills;
        }
        assert!(!done, "{context}: done, and still {now}");
    }
}

/// The driver of the store, as everybody chooses it; `vfs` has to be asked for where there is no other.
fn chosen<'a>(root: &Path, from: &'a str, to: &'a str) -> Option<&'a str> {
    store::Migration::complete(root).unwrap();
    let place = |name: &str| root.join("image").join(name).is_dir() && root.join(name).is_dir();
    assert!(place(from) != place(to), "{from} {} {to} {}", place(from), place(to));
    Some(if place(to) { to } else { from })
}

/// How many changes a migration makes that nobody disturbs.
fn changes(root: &Path, from: &str, to: &str) -> usize {
    let job = [root.to_str().unwrap(), from, to, &usize::MAX.to_string()];
    let mut process = child::start("migrate::killed::process", &job);
    let said = process.wait_for("there").unwrap();
    process.kill();
    let changes = said.iter().find_map(|line| line.strip_prefix("changes "));
    changes.unwrap_or_else(|| panic!("{said:?}")).parse().unwrap()
}

/// Migrates, and waits to be killed at the given change.
#[test]
#[ignore = "a process that is started by the other tests"]
fn process() {
    let Some(job) = child::job() else { return };
    let [root, from, to, at] = &job[..] else { panic!("{job:?}") };
    let at: usize = at.parse().unwrap();
    let engine = open(root.as_ref(), Some(from));
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    sys::record::start(Arc::new(move |_| {
        if counter.fetch_add(1, Ordering::SeqCst) + 1 == at {
            end();
        }
    }));
    let migrated = migrate(engine, to);
    child::say(&format!("changes {}", count.load(Ordering::SeqCst)));
    match migrated {
        Ok(_) => child::say("done"),
        Err(e) => child::say(&format!("failed: {e}")),
    }
    end();
}

/// Waits for the end.
fn end() -> ! {
    child::say("there");
    loop {
        std::thread::park();
    }
}
