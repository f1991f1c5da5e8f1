//! BuildKit's plain progress: `#5 [2/3] RUN make`, `#5 0.213 cc -c x.c`, `#5 DONE 1.3s`.
//!
//! The lines of a part stand together. When another part has waited long, it is shown in between: `#5 ...`.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use engine::build::{BuildEvent, VertexId};
use model::size;

use super::{Cutter, shortened};

/// How long a part waits for its turn while another one is shown.
const PATIENCE: Duration = Duration::from_secs(3);

/// Writes lines to `out`; what cannot be written is lost, the work goes on.
pub(super) struct Plain<W> {
    out: W,
    now: Box<dyn Fn() -> Duration + Send>,
    parts: BTreeMap<VertexId, Part>,
    /// What is shown now, and since when.
    current: Option<(VertexId, Duration)>,
    is_first: bool,
}

struct Part {
    name: String,
    begun: Duration,
    cutter: Cutter,
    /// What is not shown yet.
    lines: Vec<String>,
    /// Whether it was never shown: then its name alone is worth it.
    is_new: bool,
    ended: bool,
    /// What is told of its pieces when they are done.
    sizes: BTreeMap<String, (u64, bool)>,
}

impl<W: Write> Plain<W> {
    /// Reads times from `now`.
    pub fn new(out: W, now: Box<dyn Fn() -> Duration + Send>) -> Self {
        Plain { out, now, parts: BTreeMap::new(), current: None, is_first: true }
    }

    pub fn event(&mut self, event: BuildEvent<'_>) {
        let now = (self.now)();
        match event {
            BuildEvent::Started { id, name } => {
                let part = Part {
                    name: shortened(name),
                    begun: now,
                    cutter: Cutter::default(),
                    lines: Vec::new(),
                    is_new: true,
                    ended: false,
                    sizes: BTreeMap::new(),
                };
                self.parts.insert(id, part);
            }
            BuildEvent::Output { id, text } => {
                let Some(part) = self.parts.get_mut(&id) else { return };
                let seconds = now.saturating_sub(part.begun).as_secs_f64();
                let lines = part.cutter.push(text);
                part.lines.extend(lines.iter().map(|line| format!("{seconds:.3} {line}")));
            }
            BuildEvent::Status { id, item, done, total } => {
                let Some(part) = self.parts.get_mut(&id) else { return };
                part.status(item, done, total);
            }
            BuildEvent::Done { id } => {
                let begun = self.parts.get(&id).map_or(now, |part| part.begun);
                let seconds = now.saturating_sub(begun).as_secs_f64();
                self.end(id, now, format!("DONE {seconds:.1}s"));
            }
            BuildEvent::Cached { id } => self.end(id, now, "CACHED".to_owned()),
            BuildEvent::Canceled { id } => self.end(id, now, "CANCELED".to_owned()),
            BuildEvent::Failed { id, error } => self.end(id, now, format!("ERROR: {error}")),
            BuildEvent::Warning { .. } => {}
        }
        self.show(now);
    }

    fn end(&mut self, id: VertexId, now: Duration, last: String) {
        let Some(part) = self.parts.get_mut(&id) else { return };
        if let Some(line) = part.cutter.rest() {
            let seconds = now.saturating_sub(part.begun).as_secs_f64();
            part.lines.push(format!("{seconds:.3} {line}"));
        }
        for (item, (bytes, is_told)) in std::mem::take(&mut part.sizes) {
            if !is_told {
                part.lines.push(format!("{item} {} done", size::human(bytes)));
            }
        }
        part.lines.push(last);
        part.ended = true;
    }

    fn show(&mut self, now: Duration) {
        loop {
            let waiting = |(_, part): &(&VertexId, &Part)| part.is_new || !part.lines.is_empty();
            let current = match self.current {
                Some((id, since)) => {
                    let other =
                        self.parts.iter().find(|it| *it.0 != id && waiting(it)).map(|(other, _)| *other);
                    match other {
                        Some(other) if now.saturating_sub(since) > PATIENCE => {
                            self.line(format_args!("#{id} ..."));
                            self.turn_to(other, now);
                            other
                        }
                        _ => id,
                    }
                }
                None => {
                    let Some(next) = self.parts.iter().find(waiting).map(|(id, _)| *id) else { return };
                    self.turn_to(next, now);
                    next
                }
            };
            let Some(part) = self.parts.get_mut(&current) else { return };
            part.is_new = false;
            let ended = part.ended;
            for line in std::mem::take(&mut part.lines) {
                self.line(format_args!("#{current} {line}"));
            }
            if !ended {
                return;
            }
            self.parts.remove(&current);
            self.current = None;
        }
    }

    fn turn_to(&mut self, id: VertexId, now: Duration) {
        if !std::mem::take(&mut self.is_first) {
            self.line(format_args!(""));
        }
        let name = self.parts.get(&id).map(|part| part.name.clone()).unwrap_or_default();
        self.line(format_args!("#{id} {name}"));
        self.current = Some((id, now));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "{line}");
    }

    /// Shows what still waits.
    pub fn finish(mut self) {
        for part in self.parts.values_mut() {
            part.ended = true;
        }
        self.show((self.now)());
    }
}

impl Part {
    fn status(&mut self, item: &str, done: u64, total: Option<u64>) {
        let (bytes, is_told) = self.sizes.entry(item.to_owned()).or_default();
        *bytes = done;
        if Some(done) == total && !*is_told {
            *is_told = true;
            let size = match done {
                0 => String::new(),
                _ => format!(" {0} / {0}", size::human(done)),
            };
            self.lines.push(format!("{item}{size} done"));
        }
    }
}
