//! What a pull tells while it runs, in Docker's words. Fetching and unpacking a layer go on at once, but are shown one
//! after the other: what unpacking has done meanwhile is told when the fetching is over.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::progress::{Event, Phase, Progress};

/// Tells `out` of a pull.
pub(super) struct Report<'a> {
    out: &'a dyn Progress,
    /// Layers that are being fetched.
    fetching: Mutex<HashMap<String, Unpacking>>,
    /// Layers that were announced.
    layers: Mutex<HashSet<String>>,
}

/// What unpacking has done of a layer that is being fetched.
#[derive(Default)]
struct Unpacking {
    begun: bool,
    total: Option<u64>,
    done: u64,
    finished: bool,
}

impl<'a> Report<'a> {
    pub fn new(out: &'a dyn Progress) -> Self {
        Self { out, fetching: Mutex::default(), layers: Mutex::default() }
    }

    /// Announces the layers, each with whether the store has it; once, however often the work begins again.
    pub fn announce<'i>(&self, layers: impl Iterator<Item = (&'i str, bool)>) {
        let mut known = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            for (item, exists) in layers {
                self.out.status(item, if exists { "Already exists" } else { "Pulling fs layer" });
                known.insert(item.to_owned());
            }
        }
    }

    /// Somebody else has to be waited for.
    pub fn waiting(&self, item: &str) {
        self.out.status(item, "Waiting");
    }

    /// A blob is going to be fetched. Before its layer is unpacked, so that the two are not mixed up.
    pub fn expect(&self, item: &str) {
        self.fetching_now().insert(item.to_owned(), Unpacking::default());
    }

    /// A blob of `total` bytes is fetched, of which `have` are there.
    pub fn fetching(&self, item: &str, total: u64, have: u64) {
        self.out.start(item, Phase::Downloading, Some(total));
        self.out.advance(item, have);
    }

    /// So many bytes have come.
    pub fn fetched(&self, item: &str, bytes: u64) {
        self.out.advance(item, bytes);
    }

    /// All bytes have come.
    pub fn verifying(&self, item: &str) {
        self.out.status(item, "Verifying Checksum");
    }

    /// All bytes have come and are right.
    pub fn verified(&self, item: &str) {
        let mut fetching = self.fetching_now();
        self.out.status(item, "Download complete");
        let Some(unpacking) = fetching.remove(item) else { return };
        if unpacking.finished {
            self.complete(item);
        } else if unpacking.begun {
            self.out.start(item, Phase::Unpacking, unpacking.total);
            self.out.advance(item, unpacking.done);
        }
    }

    /// The bytes are not right, or will not come: what was told of them does not hold.
    pub fn forget(&self) {
        self.fetching_now().clear();
    }

    fn complete(&self, item: &str) {
        let layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if layers.contains(item) {
            self.out.status(item, "Pull complete");
        } else {
            self.out.finish(item);
        }
    }

    fn fetching_now(&self) -> MutexGuard<'_, HashMap<String, Unpacking>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What unpacking tells.
impl Progress for Report<'_> {
    fn event(&self, event: Event<'_>) {
        let mut fetching = self.fetching_now();
        match event {
            Event::Start { item, phase: Phase::Unpacking, total } if fetching.contains_key(item) => {
                let unpacking = Unpacking { begun: true, total, ..Unpacking::default() };
                fetching.insert(item.to_owned(), unpacking);
            }
            Event::Advance { item, bytes } if fetching.contains_key(item) => {
                fetching.entry(item.to_owned()).and_modify(|unpacking| unpacking.done += bytes);
            }
            Event::Finish { item } => match fetching.get_mut(item) {
                Some(unpacking) => unpacking.finished = true,
                None => self.complete(item),
            },
            other => self.out.event(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down all events but statuses.
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Progress for Log {
        fn event(&self, event: Event<'_>) {
            let line = match event {
                Event::Start { phase, total, .. } => format!("{phase} {total:?}"),
                Event::Advance { bytes, .. } => bytes.to_string(),
                Event::Status { status, .. } => status.to_owned(),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(line);
        }
    }

    /// What is counted as fetched is what was fetched, whichever of the two begins first.
    #[test]
    fn unpacking_is_told_after_fetching() {
        for unpacking_first in [true, false] {
            let log = Log::default();
            let report = Report::new(&log);
            report.announce([("a", false)].into_iter());
            report.expect("a");
            if unpacking_first {
                report.start("a", Phase::Unpacking, Some(10));
            }
            report.fetching("a", 10, 4);
            if !unpacking_first {
                report.start("a", Phase::Unpacking, Some(10));
            }
            report.advance("a", 3);
            report.fetched("a", 6);
            report.verified("a");
            report.advance("a", 7);
            report.finish("a");
            let told = log.0.lock().unwrap().join(", ");
            assert_eq!(
                told,
                "Pulling fs layer, Downloading Some(10), 4, 6, Download complete, Unpacking Some(10), 3, 7, Pull complete"
            );
        }
    }

    #[test]
    fn a_layer_is_complete_when_it_is_unpacked_and_verified() {
        let log = Log::default();
        let report = Report::new(&log);
        report.announce([("a", false), ("b", true)].into_iter());
        report.expect("a");
        report.fetching("a", 10, 0);
        report.start("a", Phase::Unpacking, Some(10));
        report.finish("a");
        assert!(!log.0.lock().unwrap().contains(&"Pull complete".to_owned()));
        report.verified("a");
        assert_eq!(log.0.lock().unwrap().last().unwrap(), "Pull complete");
    }
}
