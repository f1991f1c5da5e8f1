//! What long work tells about itself while it runs. Who shows it, and how, is the command's business.

/// What is being done to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reading an archive.
    Reading,
    /// Fetching a blob from a registry.
    Downloading,
    /// Sending a blob to a registry.
    Uploading,
    /// Comparing content with its digest.
    Verifying,
    /// Unpacking a layer into the store.
    Unpacking,
    /// Making data durable.
    Syncing,
    /// Writing an archive or metadata.
    Writing,
    /// Walking a layer to compare or measure it.
    Scanning,
    /// Deleting.
    Removing,
}

impl std::fmt::Display for Phase {
    /// One word, capitalised: `Unpacking`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// One thing that happened. `item` names what it happened to, short enough for a line: 12 digits of a
/// layer's id, the name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Work on an item began, or went into another phase.
    Start {
        /// What is worked on.
        item: &'a str,
        /// What is done to it.
        phase: Phase,
        /// How many bytes there will be, if that is known.
        total: Option<u64>,
    },
    /// So many more bytes of an item are done (not the sum so far).
    Advance {
        /// What is worked on.
        item: &'a str,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// Work on an item ended well. After an error there is no event.
    Finish {
        /// What was worked on.
        item: &'a str,
    },
    /// An item has come to a state that has words of its own: `Already exists`.
    Status {
        /// What has come to it.
        item: &'a str,
        /// The words, as they follow the item and a colon.
        status: &'a str,
    },
    /// Something that people should read, a whole line without newline.
    Message(&'a str),
}

/// Takes events from any number of threads.
///
/// Called from inner loops: an implementation has to be quick, must not block on its output for long, and
/// must not fail. Events of one item come in order; items interleave.
pub trait Progress: Send + Sync {
    /// Takes note of `event`.
    fn event(&self, event: Event<'_>);

    /// Short for [`Event::Start`].
    fn start(&self, item: &str, phase: Phase, total: Option<u64>) {
        self.event(Event::Start { item, phase, total });
    }

    /// Short for [`Event::Advance`].
    fn advance(&self, item: &str, bytes: u64) {
        self.event(Event::Advance { item, bytes });
    }

    /// Short for [`Event::Finish`].
    fn finish(&self, item: &str) {
        self.event(Event::Finish { item });
    }

    /// Short for [`Event::Status`].
    fn status(&self, item: &str, status: &str) {
        self.event(Event::Status { item, status });
    }

    /// Short for [`Event::Message`].
    fn message(&self, text: &str) {
        self.event(Event::Message(text));
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Progress for Log {
        fn event(&self, event: Event<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }

    #[test]
    fn short_forms_send_their_events() {
        let log = Log::default();
        let progress: &dyn Progress = &log;
        progress.start("a", Phase::Reading, Some(3));
        progress.advance("a", 3);
        progress.finish("a");
        progress.status("b", "Already exists");
        progress.message("done");
        let seen = log.0.lock().unwrap().join(" ");
        for part in [
            "Start",
            "Reading",
            "Some(3)",
            "Advance",
            "bytes: 3",
            "Finish",
            "Already exists",
            "Message(\"done\")",
        ] {
            assert!(seen.contains(part), "{part} in {seen}");
        }
        assert_eq!(Phase::Unpacking.to_string(), "Unpacking");
    }
}
