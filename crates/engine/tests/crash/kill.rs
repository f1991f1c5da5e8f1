//! `kill -9` of a process that is at work, at a change that it makes or at any time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::disk::Disk;

use crate::chance::Chance;
use crate::verbs::{self, VERBS, Verb};
use crate::{child, shop, sound};

/// Kills altogether, in halves on each driver.
const KILLS: usize = 400;
/// Enough is enough on a slow machine.
const LIMIT: Duration = Duration::from_secs(30);

/// What a verb does to a store.
struct Course {
    /// The store before.
    store: Disk,
    before: Vec<String>,
    after: Vec<String>,
    /// Changes that it makes, and the time that it takes.
    changes: usize,
    time: Duration,
}

#[test]
fn on_overlay2() {
    kill_often("overlay2");
}

#[test]
fn on_vfs() {
    kill_often("vfs");
}

fn kill_often(driver: &str) {
    if !testkit::require_root("killing processes") {
        return;
    }
    sys::process::clear_umask();
    let mut chance = Chance::new(&format!("kill::on_{driver}"));
    let mut courses: HashMap<&str, Course> = HashMap::new();
    let (begin, mut done, mut finished) = (Instant::now(), 0, 0);
    while done < KILLS / 2 && begin.elapsed() < LIMIT {
        let verb = chance.pick(VERBS);
        let course = courses.entry(verb.name).or_insert_with(|| Course::of(driver, verb));
        finished += usize::from(kill_once(driver, verb, course, &mut chance));
        done += 1;
    }
    println!("killed {done} times in {:?}, {finished} times too late", begin.elapsed());
}

impl Course {
    fn of(driver: &str, verb: &Verb) -> Self {
        let tmp = shop::temp();
        let engine = shop::open(tmp.path(), driver);
        (verb.prepare)(&engine);
        engine.reclaim().unwrap();
        let (store, _) = Disk::read(tmp.path());
        let before = without_ids(&sound::view(&engine));
        let begin = Instant::now();
        let (recording, result) = testkit::power::Recording::of(tmp.path(), |_| (verb.act)(&engine));
        result.unwrap();
        let after = without_ids(&sound::view(&engine));
        Self { store, before, after, changes: recording.len(), time: begin.elapsed() }
    }
}

/// Says whether the verb was done before it was killed.
fn kill_once(driver: &str, verb: &Verb, course: &Course, chance: &mut Chance) -> bool {
    let tmp = shop::temp();
    course.store.write_to(tmp.path());
    // The index of back references is made anew in a new place, by the verb itself: more changes than were counted.
    let at = if chance.below(2) == 0 { chance.below(course.changes * 5 / 4) + 1 } else { usize::MAX };
    let moment = course.time.mul_f64(chance.below(1200) as f64 / 1000.0);
    let context = match at {
        usize::MAX => format!("{} on {driver}, killed after {moment:?}", verb.name),
        at => format!("{} on {driver}, killed at change {at}", verb.name),
    };
    let root = tmp.path().to_str().unwrap();
    let mut process = child::start("kill::process", &[root, driver, verb.name, &at.to_string()]);
    process.wait_for("ready").unwrap();
    let said = if at == usize::MAX {
        std::thread::sleep(moment);
        process.kill()
    } else {
        // At that change, or at its end.
        let said = process.wait_for("there").unwrap();
        process.kill();
        said
    };
    assert!(said.iter().all(|line| line == "done" || line == "there"), "{context}: {said:?}");
    let finished = said.iter().any(|line| line == "done");

    let engine = shop::open(tmp.path(), driver);
    sound::check(&engine, &context);
    let view = without_ids(&sound::view(&engine));
    let expected = if finished { &[&course.after][..] } else { &[&course.before, &course.after] };
    assert!(expected.contains(&&view), "{context}, done: {finished}: {view:#?}");
    finished
}

/// What other runs of the same verb show, too: without IDs and times.
fn without_ids(view: &[String]) -> Vec<String> {
    let is_id = |word: &str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let is_time = |word: &str| matches!(word.len(), 9 | 10) && word.bytes().all(|b| b.is_ascii_digit());
    let hide = |line: &String| -> String {
        let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        let hidden = words.map(|word| {
            let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_id(bare) || is_time(bare) { word.replace(bare, "*") } else { word.to_owned() }
        });
        hidden.collect()
    };
    let mut lines: Vec<String> = view.iter().map(hide).collect();
    lines.sort();
    lines
}

/// Does what its job says, and waits to be killed at the given change.
#[test]
#[ignore = "a process that is started by the other tests"]
fn process() {
    let Some(job) = child::job() else { return };
    let [root, driver, verb, at] = &job[..] else { panic!("{job:?}") };
    let at: usize = at.parse().unwrap();
    let engine = shop::open(root.as_ref(), driver);
    let count = Arc::new(AtomicUsize::new(0));
    sys::record::start(Arc::new(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) + 1 == at {
            end();
        }
    }));
    child::say("ready");
    match (verbs::find(verb).act)(&engine) {
        Ok(()) => child::say("done"),
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
