//! Shows the progress of long work: a line with a bar for each layer on a terminal, else plain lines.
//!
//! Both go to standard error, so that standard output has the command's results only.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use model::progress::{Event, Phase, Progress, Silent};
use model::size;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What suits the command line and standard error: nothing with `--quiet`, bars on a terminal, else lines.
pub fn for_stderr(quiet: bool) -> Box<dyn Progress> {
    if quiet {
        Box::new(Silent)
    } else if io::stderr().is_terminal() {
        Box::new(Bars::new(ProgressDrawTarget::stderr()))
    } else {
        Box::new(Lines::new(io::stderr()))
    }
}

/// Bars on a terminal, else nothing: for what Docker does in silence.
pub fn on_terminal() -> Box<dyn Progress> {
    for_stderr(!io::stderr().is_terminal())
}

/// What suits the command line and standard output, where Docker shows pulls and pushes: nothing with `--quiet`, bars
/// with a total on a terminal, else a line for each state that an item comes to.
pub fn for_stdout(quiet: bool) -> Box<dyn Progress> {
    if quiet {
        Box::new(Silent)
    } else if io::stdout().is_terminal() {
        Box::new(Bars::with_total(ProgressDrawTarget::stdout()))
    } else {
        Box::new(States(Lines::new(io::stdout())))
    }
}

/// The same on standard error: for a pull that is part of another command.
pub fn of_pull_on_stderr(quiet: bool) -> Box<dyn Progress> {
    if quiet {
        Box::new(Silent)
    } else if io::stderr().is_terminal() {
        Box::new(Bars::with_total(ProgressDrawTarget::stderr()))
    } else {
        Box::new(States(Lines::new(io::stderr())))
    }
}

/// A line for each state that an item comes to, as Docker writes them where there is no terminal.
pub struct States<W>(Lines<W>);

impl<W: Write + Send> Progress for States<W> {
    fn event(&self, event: Event<'_>) {
        if let Event::Status { .. } | Event::Message(_) = event {
            self.0.event(event);
        }
    }
}

/// A line for each beginning and end: `5f70bf18a086: Unpacking 1.2MB`, `5f70bf18a086: Done`.
pub struct Lines<W> {
    out: Mutex<W>,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`; what cannot be written is lost, the work goes on.
    pub fn new(out: W) -> Self {
        Self { out: Mutex::new(out) }
    }

    fn line(&self, line: &str) {
        let _ = writeln!(lock(&self.out), "{line}");
    }
}

impl<W: Write + Send> Progress for Lines<W> {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Start { item, phase, total: Some(total) } => {
                self.line(&format!("{item}: {phase} {}", size::human(total)));
            }
            Event::Start { item, phase, total: None } => self.line(&format!("{item}: {phase}")),
            Event::Advance { .. } => {}
            Event::Finish { item } => self.line(&format!("{item}: {DONE}")),
            Event::Status { item, status } => self.line(&format!("{item}: {status}")),
            Event::Message(text) => self.line(text),
        }
    }
}

/// Stands where the phase stood when an item is finished.
const DONE: &str = "Done";

/// A line with a bar for each item: `5f70bf18a086: Unpacking [=====>   ]  1.2MB/3.4MB`.
pub struct Bars {
    all: MultiProgress,
    items: Mutex<HashMap<String, Item>>,
    /// Below all others: what goes over the network.
    total: Option<ProgressBar>,
}

struct Item {
    bar: ProgressBar,
    /// Whether it adds to the total.
    counts: bool,
}

impl Bars {
    /// Draws on `target`.
    pub fn new(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), items: Mutex::default(), total: None }
    }

    /// The same with a line for the sum of what is fetched or sent.
    pub fn with_total(target: ProgressDrawTarget) -> Self {
        let total = ProgressBar::new(0).with_style(style(BYTES)).with_prefix("Total");
        let mut bars = Self::new(target);
        bars.total = Some(total);
        bars
    }

    /// The item's bar; the total's comes with the first.
    fn bar<'m>(&self, items: &'m mut HashMap<String, Item>, name: &str, looks: &str) -> &'m mut Item {
        let first = items.is_empty();
        items.entry(name.to_owned()).or_insert_with(|| {
            // It is drawn as soon as it is added, so it has its looks before.
            let bar = ProgressBar::no_length().with_style(style(looks)).with_prefix(name.to_owned());
            let bar = match &self.total {
                None => self.all.add(bar),
                Some(total) => {
                    if first {
                        self.all.add(total.clone());
                    }
                    self.all.insert_before(total, bar)
                }
            };
            Item { bar, counts: false }
        })
    }

    fn start(&self, item: &str, phase: Phase, total: Option<u64>) {
        let looks = if total.is_some() { BYTES } else { "{prefix}: {msg} {some}" };
        let mut items = lock(&self.items);
        if let (Some(sum), Phase::Syncing) = (&self.total, phase) {
            sum.set_message(phase.to_string());
            return;
        }
        let item = self.bar(&mut items, item, looks);
        item.counts = matches!(phase, Phase::Downloading | Phase::Uploading);
        item.bar.set_style(style(looks));
        item.bar.set_message(phase.to_string());
        match total {
            Some(total) => item.bar.set_length(total),
            None => item.bar.unset_length(),
        }
        item.bar.set_position(0);
        if let (Some(sum), true) = (&self.total, item.counts) {
            sum.set_message(phase.to_string());
            sum.inc_length(total.unwrap_or(0));
        }
    }

    fn status(&self, item: &str, status: &str) {
        let mut items = lock(&self.items);
        let item = self.bar(&mut items, item, STATE);
        item.bar.set_style(style(STATE));
        item.bar.set_message(status.to_owned());
    }
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Start { item, phase, total } => self.start(item, phase, total),
            Event::Advance { item, bytes } => {
                if let Some(item) = lock(&self.items).get(item) {
                    item.bar.inc(bytes);
                    if let (Some(sum), true) = (&self.total, item.counts) {
                        sum.inc(bytes);
                    }
                }
            }
            Event::Finish { item } => {
                if let Some(item) = lock(&self.items).remove(item) {
                    item.bar.set_style(style(STATE));
                    item.bar.finish_with_message(DONE);
                }
            }
            Event::Status { item, status } => self.status(item, status),
            Event::Message(text) => {
                // Above the bars; it fails only when nobody reads it any more.
                let _ = self.all.println(text);
            }
        }
    }
}

impl Drop for Bars {
    /// Leaves the last states on the screen.
    fn drop(&mut self) {
        if let Some(total) = &self.total {
            total.finish_and_clear();
        }
        lock(&self.items).values().for_each(|item| item.bar.abandon());
    }
}

/// The looks of an item with a known size, and of one without work.
const BYTES: &str = "{prefix}: {msg} [{bar:50}] {done}/{all}";
const STATE: &str = "{prefix}: {msg}";

/// A line of Docker's looks, with Docker's sizes.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("done", |state: &ProgressState, out: &mut dyn fmt::Write| {
            put(out, format_args!("{:>8}", size::human(state.pos())));
        })
        .with_key("all", |state: &ProgressState, out: &mut dyn fmt::Write| {
            put(out, format_args!("{}", size::human(state.len().unwrap_or(0))));
        })
        .with_key("some", |state: &ProgressState, out: &mut dyn fmt::Write| {
            if state.pos() > 0 {
                put(out, format_args!("{}", size::human(state.pos())));
            }
        })
}

/// indicatif hands over a text, which takes everything.
fn put(out: &mut dyn fmt::Write, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Nothing here is left half-done by a panic, so a poisoned lock is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A terminal that keeps what is written to it.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn put(&self, text: &str) -> io::Result<()> {
            lock(&self.0).push_str(text);
            Ok(())
        }
    }

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.put(line).and_then(|()| self.put("\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.put("\n")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn work(progress: &dyn Progress) {
        progress.message("busybox:latest");
        progress.start("5f70bf18a086", Phase::Unpacking, Some(2_000_000));
        progress.advance("5f70bf18a086", 1_000_000);
        progress.start("busybox", Phase::Syncing, None);
        progress.finish("5f70bf18a086");
        progress.advance("unknown", 1);
        progress.finish("unknown");
    }

    #[test]
    fn lines_when_piped() {
        let lines = Lines::new(Vec::new());
        work(&lines);
        let text = String::from_utf8(lines.out.into_inner().unwrap()).unwrap();
        // An end without a beginning is the sender's mistake, and still shown.
        let expected = "busybox:latest\n5f70bf18a086: Unpacking 2MB\nbusybox: Syncing\n5f70bf18a086: Done\nunknown: Done\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn bars_on_a_terminal() {
        let screen = Screen::default();
        let bars = Bars::new(ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255));
        work(&bars);
        let bar = lock(&bars.items).get("busybox").unwrap().bar.clone();
        bar.tick();
        let seen = lock(&screen.0).clone();
        for part in ["busybox:latest", "5f70bf18a086: Done", "busybox: Syncing"] {
            assert!(seen.contains(part), "{part} in {seen}");
        }
    }

    #[test]
    fn a_total_adds_up_what_goes_over_the_network() {
        let screen = Screen::default();
        let bars = Bars::with_total(ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255));
        for item in ["5f70bf18a086", "6a70bf18a086"] {
            bars.start(item, Phase::Downloading, Some(1_000_000));
            bars.advance(item, 500_000);
        }
        bars.start("5f70bf18a086", Phase::Unpacking, Some(1_000_000));
        bars.advance("5f70bf18a086", 1_000_000);
        let total = bars.total.clone().unwrap();
        assert_eq!((total.position(), total.length()), (1_000_000, Some(2_000_000)));
        bars.status("5f70bf18a086", "Pull complete");
        drop(bars);
        let seen = lock(&screen.0).clone();
        for part in ["Total: Downloading", "5f70bf18a086: Pull complete"] {
            assert!(seen.contains(part), "{part} in {seen}");
        }
    }

    #[test]
    fn states_alone_when_a_pull_is_piped() {
        let states = States(Lines::new(Vec::new()));
        work(&states);
        states.status("5f70bf18a086", "Pull complete");
        let text = String::from_utf8(states.0.out.into_inner().unwrap()).unwrap();
        assert_eq!(text, "busybox:latest\n5f70bf18a086: Pull complete\n");
    }

    #[test]
    fn a_bar_looks_like_dockers() {
        let screen = Screen::default();
        let bars = Bars::new(ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255));
        bars.event(Event::Start { item: "5f70bf18a086", phase: Phase::Unpacking, total: Some(2_000_000) });
        let bar = lock(&bars.items).get("5f70bf18a086").unwrap().bar.clone();
        bar.set_position(1_000_000);
        bar.abandon();
        let seen = lock(&screen.0).clone();
        let expected =
            format!("5f70bf18a086: Unpacking [{}>{}]      1MB/2MB", "=".repeat(25), " ".repeat(24));
        assert!(seen.contains(&expected), "{expected} in {seen}");
    }
}
