//! Power cuts. All changes that a verb makes are recorded; the store is rebuilt as it would stand after each of them,
//! with and without what no sync had made durable by then, and opened: the verb is done or not done, nothing else is
//! lost, nothing is left over, and what was reported as done is done.

use std::collections::HashSet;

use engine::Engine;
use testkit::image::Image;
use testkit::power::{Loss, Recording};

use crate::verbs::{self, Verb};
use crate::{shop, sound};

/// Of the moments in which a stage is filled or the trash emptied, one in so many is looked at.
const STRIDE: usize = 7;
/// Power cuts after which the recovery suffers power cuts, too.
const RECOVERIES: usize = 3;
/// Failures that are printed.
const SHOWN: usize = 5;

/// What is wrong after a power cut.
type Faults = Vec<String>;

fn replay(name: &str) {
    if !testkit::require_root(name) {
        return;
    }
    sys::process::clear_umask();
    for driver in shop::DRIVERS {
        replay_on(driver, verbs::find(name));
    }
}

fn replay_on(driver: &str, verb: &Verb) {
    let tmp = shop::temp();
    let root = tmp.path().join("root");
    let engine = shop::open(&root, driver);
    (verb.prepare)(&engine);
    sound::check(&engine, "before");
    let before = sound::view(&engine);
    let (recording, done) = Recording::of(&root, |_| (verb.act)(&engine));
    done.unwrap();
    let after = sound::view(&engine);
    sound::check(&engine, "after");
    assert_ne!(before, after, "{} changes nothing", verb.name);

    let what = format!("{} on {driver}", verb.name);
    each_cut(&what, driver, &recording, STRIDE, |engine, count, loss| {
        let view = sound::view(engine);
        let reported = count == recording.len();
        if view != after && (reported || view != before) {
            return differences(&before, &view, &after);
        }
        if view != before || *loss != Loss::Nothing || count % STRIDE != 0 {
            return Faults::new();
        }
        let again = (verb.act)(engine).err().map(|e| format!("done again: {e}"));
        again.into_iter().chain(sound::problems(engine)).collect()
    });
    for count in (1..=RECOVERIES).map(|n| n * recording.len() / (RECOVERIES + 1)) {
        let copy = shop::temp();
        recording.after(count, &Loss::Nothing).write_to(copy.path());
        let (recovery, engine) = Recording::of(copy.path(), |_| shop::open(copy.path(), driver));
        let recovered = sound::view(&engine);
        let what = format!("recovery of {what}, {}", recording.last(count));
        each_cut(&what, driver, &recovery, STRIDE, |engine, _, _| {
            let view = sound::view(engine);
            if view == recovered { Faults::new() } else { differences(&recovered, &view, &recovered) }
        });
    }
}

/// Looks at the store after each cut and each loss. Panics, once all were looked at, if it is not sound somewhere, or
/// not as it should be.
fn each_cut(
    what: &str,
    driver: &str,
    recording: &Recording,
    stride: usize,
    look: impl Fn(&Engine, usize, &Loss) -> Faults,
) {
    let (mut failures, mut seen) = (Vec::new(), HashSet::new());
    for count in recording.moments(stride) {
        for loss in recording.losses(count) {
            let disk = recording.after(count, &loss);
            if !seen.insert((disk.fingerprint(), count == recording.len())) {
                continue;
            }
            let copy = shop::temp();
            disk.write_to(copy.path());
            let engine = shop::open(copy.path(), driver);
            let mut faults = sound::problems(&engine);
            if faults.is_empty() {
                faults = look(&engine, count, &loss);
            }
            if !faults.is_empty() {
                let moment = recording.last(count);
                failures.push(format!("{moment}, {loss:?} lost:\n  {}", faults.join("\n  ")));
            }
        }
    }
    let shown = failures.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{what}: {} failures, of them:\n{shown}", failures.len());
}

/// What is only in one of these.
fn differences(before: &[String], view: &[String], after: &[String]) -> Faults {
    let mut lines = vec!["neither done nor not done".to_owned()];
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

/// A command that was reported as done stays done, also if the next one makes more durable than it has to itself.
#[test]
fn what_was_removed_stays_removed() {
    if !testkit::require_root("replay::what_was_removed_stays_removed") {
        return;
    }
    sys::process::clear_umask();
    for driver in shop::DRIVERS {
        for verb in ["rm", "rm_last_user", "rmi_sharing"].map(verbs::find) {
            let tmp = shop::temp();
            let engine = shop::open(tmp.path(), driver);
            (verb.prepare)(&engine);
            let small = Image::new().layer(shop::single("small")).tag("small:1");
            let (recording, (reported, removed)) = Recording::of(tmp.path(), |so_far| {
                (verb.act)(&engine).unwrap();
                let then = (so_far(), sound::view(&engine));
                shop::load(&engine, &small).unwrap();
                then
            });
            let after = sound::view(&engine);
            let what = format!("{} and load on {driver}", verb.name);
            each_cut(&what, driver, &recording, STRIDE, |engine, count, _| {
                let view = sound::view(engine);
                let sound = count < reported || view == removed || view == after;
                if sound { Faults::new() } else { differences(&removed, &view, &after) }
            });
        }
    }
}

/// A new store is empty at every moment.
#[test]
fn open() {
    if !testkit::require_root("replay::open") {
        return;
    }
    sys::process::clear_umask();
    for driver in shop::DRIVERS {
        let tmp = shop::temp();
        let (recording, _) = Recording::of(tmp.path(), |_| shop::open(tmp.path(), driver));
        each_cut(&format!("open on {driver}"), driver, &recording, 1, |engine, _, _| {
            let loaded = shop::load(engine, &shop::image_a()).err().map(|e| format!("load: {e}"));
            loaded.into_iter().chain(sound::problems(engine)).collect()
        });
    }
}

/// Emptying the trash changes nothing that anybody sees.
#[test]
fn reclaim() {
    if !testkit::require_root("replay::reclaim") {
        return;
    }
    sys::process::clear_umask();
    for driver in shop::DRIVERS {
        let tmp = shop::temp();
        let engine = shop::open(tmp.path(), driver);
        let verb = verbs::find("rmi_sharing");
        (verb.prepare)(&engine);
        (verb.act)(&engine).unwrap();
        let view = sound::view(&engine);
        let (recording, done) = Recording::of(tmp.path(), |_| engine.reclaim());
        done.unwrap();
        each_cut(&format!("reclaim on {driver}"), driver, &recording, STRIDE, |engine, _, _| {
            let now = sound::view(engine);
            if now == view { Faults::new() } else { differences(&view, &now, &view) }
        });
    }
}

macro_rules! replays {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name));
        }
    )*

    #[test]
    fn no_verb_is_forgotten() {
        let all: Vec<&str> = verbs::VERBS.iter().map(|verb| verb.name).collect();
        assert_eq!(all, [$(stringify!($name)),*]);
    }
    };
}

replays!(load load_sharing load_moving_a_name load_several create create_with_volumes rm_with_volumes volume_create
    volume_rm commit commit_without_a_name import tag rename rm
    rm_last_user rmi rmi_sharing rmi_name rmi_child);
