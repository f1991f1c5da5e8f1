//! Power cuts. All changes that a verb makes are recorded; the store is rebuilt as it would stand after each of them,
//! with and without what no sync had made durable by then, and opened: the verb is done or not done, nothing else is
//! lost, nothing is left over, and what was reported as done is done.

use testkit::power::{Loss, Recording};

use crate::verbs::{self, Verb};
use crate::{shop, sound};

/// Of the moments in which a stage is filled, one in so many is looked at.
const STRIDE: usize = 5;
/// Failures that are printed.
const SHOWN: usize = 5;

fn each_moment(name: &str) {
    if !testkit::require_root(name) {
        return;
    }
    sys::process::clear_umask();
    for driver in shop::DRIVERS {
        replay(driver, verbs::find(name));
    }
}

fn replay(driver: &str, verb: &Verb) {
    let tmp = shop::temp();
    let root = tmp.path().join("root");
    let engine = shop::open(&root, driver);
    (verb.prepare)(&engine);
    sound::check(&engine, "before");
    let before = sound::view(&engine);
    let (recording, done) = Recording::of(&root, || (verb.act)(&engine));
    done.unwrap();
    let after = sound::view(&engine);
    sound::check(&engine, "after");
    assert_ne!(before, after, "{} changes nothing", verb.name);

    let mut failures = Vec::new();
    for count in recording.moments(STRIDE) {
        for loss in recording.losses(count) {
            let mut wrong = |text: &str, details: &[String]| {
                let moment = recording.last(count);
                failures.push(format!("{moment}, {loss:?} lost: {text}\n  {}", details.join("\n  ")));
            };
            let copy = shop::temp();
            recording.after(count, &loss).write_to(copy.path());
            let engine = shop::open(copy.path(), driver);
            let problems = sound::problems(&engine);
            if !problems.is_empty() {
                wrong("not sound", &problems);
                continue;
            }
            let view = sound::view(&engine);
            let reported = count == recording.len();
            if view != after && (reported || view != before) {
                wrong("neither done nor not done", &difference(&before, &view, &after));
            }
            if view == before && loss == Loss::Nothing && count % STRIDE == 0 {
                let done = (verb.act)(&engine).map_err(|e| e.to_string());
                let problems: Vec<String> = done.err().into_iter().chain(sound::problems(&engine)).collect();
                if !problems.is_empty() {
                    wrong("done again", &problems);
                }
            }
        }
    }
    let shown = failures.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} on {driver}: {} failures, of them:\n{shown}", verb.name, failures.len());
}

/// What is only in one of these.
fn difference(before: &[String], view: &[String], after: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for line in view {
        let tag = match (before.contains(line), after.contains(line)) {
            (true, true) => continue,
            (true, false) => "as before",
            (false, true) => "as after ",
            (false, false) => "neither  ",
        };
        lines.push(format!("{tag} {line}"));
    }
    for (name, other) in [("before", before), ("after", after)] {
        for line in other.iter().filter(|line| !view.contains(line)) {
            lines.push(format!("missing, {name}: {line}"));
        }
    }
    lines
}

macro_rules! replays {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            each_moment(stringify!($name));
        }
    )*

    #[test]
    fn no_verb_is_forgotten() {
        let all: Vec<&str> = verbs::VERBS.iter().map(|verb| verb.name).collect();
        assert_eq!(all, [$(stringify!($name)),*]);
    }
    };
}

replays!(load load_sharing load_moving_a_name load_several create commit commit_without_a_name import tag rename rm
    rm_last_user rmi rmi_sharing rmi_name rmi_child);
