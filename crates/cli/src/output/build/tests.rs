use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A clock that stands where it is set, in milliseconds.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, milliseconds: u64) {
        self.0.store(milliseconds, Ordering::Relaxed);
    }

    fn reader(&self) -> Box<dyn Fn() -> Duration + Send> {
        let clock = self.0.clone();
        Box::new(move || Duration::from_millis(clock.load(Ordering::Relaxed)))
    }
}

/// Plays `events`, each at its time, and gives what is shown and what is said at the end.
fn play(events: &[(u64, BuildEvent<'_>)]) -> (String, String) {
    let clock = Clock::default();
    let mut shown = Vec::new();
    let mut plain = Plain::new(&mut shown, clock.reader());
    let mut logs = Logs::new(clock.reader());
    for (time, event) in events {
        clock.set(*time);
        plain.event(*event);
        logs.event(*event);
    }
    plain.finish();
    (String::from_utf8(shown).unwrap(), logs.ending())
}

fn started(id: u64, name: &str) -> BuildEvent<'_> {
    BuildEvent::Started { id, name }
}

fn output(id: u64, text: &str) -> BuildEvent<'_> {
    BuildEvent::Output { id, text: text.as_bytes() }
}

#[test]
fn plain_text_looks_like_buildkits() {
    let (shown, said) = play(&[
        (0, started(1, "[internal] load build definition from Dockerfile")),
        (0, BuildEvent::Status { id: 1, item: "transferring dockerfile:", done: 102, total: None }),
        (0, BuildEvent::Done { id: 1 }),
        (10, started(2, "[1/2] FROM docker.io/library/busybox:latest")),
        (10, BuildEvent::Cached { id: 2 }),
        (1000, started(3, "[2/2] RUN echo a; echo b")),
        (1213, output(3, "a\nb")),
        (1214, output(3, "c\n")),
        (1500, output(3, "no end")),
        (1500, BuildEvent::Status { id: 3, item: "sha256:00", done: 5, total: Some(2000) }),
        (1500, BuildEvent::Status { id: 3, item: "sha256:00", done: 2000, total: Some(2000) }),
        (1500, BuildEvent::Status { id: 3, item: "naming to x", done: 0, total: Some(0) }),
        (2350, BuildEvent::Done { id: 3 }),
    ]);
    assert_eq!(
        shown,
        "\
#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 102B done
#1 DONE 0.0s

#2 [1/2] FROM docker.io/library/busybox:latest
#2 CACHED

#3 [2/2] RUN echo a; echo b
#3 0.213 a
#3 0.214 bc
#3 sha256:00 2kB / 2kB done
#3 naming to x done
#3 1.350 no end
#3 DONE 1.4s
"
    );
    assert_eq!(said, "");
}

#[test]
fn lines_of_a_part_stand_together() {
    let (shown, _) = play(&[
        (0, started(1, "one")),
        (0, started(2, "two")),
        (100, output(2, "x\n")),
        (200, output(1, "a\n")),
        (300, BuildEvent::Done { id: 1 }),
        (400, BuildEvent::Done { id: 2 }),
    ]);
    assert_eq!(shown, "#1 one\n#1 0.200 a\n#1 DONE 0.3s\n\n#2 two\n#2 0.100 x\n#2 DONE 0.4s\n");
}

#[test]
fn who_waits_long_is_shown_in_between() {
    let (shown, _) = play(&[
        (0, started(1, "one")),
        (0, started(2, "two")),
        (100, output(2, "x\n")),
        (4000, output(2, "y\n")),
        (4100, BuildEvent::Done { id: 2 }),
        (4200, BuildEvent::Done { id: 1 }),
    ]);
    assert_eq!(
        shown,
        "#1 one\n#1 ...\n\n#2 two\n#2 0.100 x\n#2 4.000 y\n#2 DONE 4.1s\n\n#1 one\n#1 DONE 4.2s\n"
    );
}

#[test]
fn what_failed_is_said_again_below() {
    let (shown, said) = play(&[
        (0, started(1, "[2/2] RUN false")),
        (0, started(2, "other")),
        (100, output(1, "oh\n")),
        (200, BuildEvent::Failed { id: 1, error: "exit code: 1" }),
        (200, BuildEvent::Canceled { id: 2 }),
        (200, BuildEvent::Warning { rule: "StageNameCasing", message: "Stage name 'X'", line: Some(3) }),
    ]);
    assert_eq!(shown, "#1 [2/2] RUN false\n#1 0.100 oh\n#1 ERROR: exit code: 1\n\n#2 other\n#2 CANCELED\n");
    assert_eq!(
        said,
        "------\n > [2/2] RUN false:\n0.100 oh\n------\n\
         \n 1 warning found:\n - StageNameCasing: Stage name 'X' (line 3)\n"
    );
}

#[test]
fn long_names_are_cut() {
    assert_eq!(shortened(&"ä".repeat(80)), "ä".repeat(72) + "...");
    assert_eq!(shortened("RUN a\nb"), "RUN a");
}
