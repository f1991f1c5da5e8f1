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
            Event::Message(text) => self.line(text),
        }
    }
}

/// Stands where the phase stood when an item is finished.
const DONE: &str = "Done";

/// A line with a bar for each item: `5f70bf18a086: Unpacking [=====>   ]  1.2MB/3.4MB`.
pub struct Bars {
    all: MultiProgress,
    items: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Draws on `target`.
    pub fn new(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), items: Mutex::default() }
    }

    fn start(&self, item: &str, phase: Phase, total: Option<u64>) {
        let style = style(if total.is_some() {
            "{prefix}: {msg} [{bar:50}] {done}/{all}"
        } else {
            "{prefix}: {msg} {some}"
        });
        let mut items = lock(&self.items);
        let bar = items.entry(item.to_owned()).or_insert_with(|| {
            // It is drawn as soon as it is added, so it has its looks before.
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let bar = bar.with_style(style.clone()).with_prefix(item.to_owned());
            self.all.add(bar.with_message(phase.to_string()))
        });
        bar.set_style(style);
        bar.set_message(phase.to_string());
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_position(0);
    }
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Start { item, phase, total } => self.start(item, phase, total),
            Event::Advance { item, bytes } => {
                if let Some(bar) = lock(&self.items).get(item) {
                    bar.inc(bytes);
                }
            }
            Event::Finish { item } => {
                if let Some(bar) = lock(&self.items).remove(item) {
                    bar.set_style(style("{prefix}: {msg}"));
                    bar.finish_with_message(DONE);
                }
            }
            Event::Message(text) => {
                // Above the bars; it fails only when standard error is gone, and nobody reads it then.
                let _ = self.all.println(text);
            }
        }
    }
}

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
        let bar = lock(&bars.items).get("busybox").cloned().unwrap();
        bar.tick();
        let seen = lock(&screen.0).clone();
        for part in ["busybox:latest", "5f70bf18a086: Done", "busybox: Syncing"] {
            assert!(seen.contains(part), "{part} in {seen}");
        }
    }

    #[test]
    fn a_bar_looks_like_dockers() {
        let screen = Screen::default();
        let bars = Bars::new(ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255));
        bars.event(Event::Start { item: "5f70bf18a086", phase: Phase::Unpacking, total: Some(2_000_000) });
        let bar = lock(&bars.items).get("5f70bf18a086").cloned().unwrap();
        bar.set_position(1_000_000);
        bar.abandon();
        let seen = lock(&screen.0).clone();
        let expected =
            format!("5f70bf18a086: Unpacking [{}>{}]      1MB/2MB", "=".repeat(25), " ".repeat(24));
        assert!(seen.contains(&expected), "{expected} in {seen}");
    }
}
