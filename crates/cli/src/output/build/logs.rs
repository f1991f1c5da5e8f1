//! What is said when a build has ended: what the step that failed has written, and warnings.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine::build::{BuildEvent, VertexId};

use super::Cutter;

/// Lines of a step that are kept for the case that it fails.
const KEPT: usize = 20;

/// Remembers what may be told in the end.
pub(super) struct Logs {
    now: Box<dyn Fn() -> Duration + Send>,
    parts: BTreeMap<VertexId, Part>,
    failed: Option<VertexId>,
    warnings: Vec<String>,
}

struct Part {
    name: String,
    begun: Duration,
    cutter: Cutter,
    lines: VecDeque<String>,
}

impl Part {
    fn keep(&mut self, line: &str, time: Duration) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        let seconds = time.saturating_sub(self.begun).as_secs_f64();
        self.lines.push_back(format!("{seconds:.3} {line}"));
    }
}

impl Logs {
    /// Reads times from `now`.
    pub fn new(now: Box<dyn Fn() -> Duration + Send>) -> Self {
        Logs { now, parts: BTreeMap::new(), failed: None, warnings: Vec::new() }
    }

    pub fn event(&mut self, event: BuildEvent<'_>) {
        let now = (self.now)();
        match event {
            BuildEvent::Started { id, name } => {
                let part = Part {
                    name: name.to_owned(),
                    begun: now,
                    cutter: Cutter::default(),
                    lines: VecDeque::new(),
                };
                self.parts.insert(id, part);
            }
            BuildEvent::Output { id, text } => {
                let Some(part) = self.parts.get_mut(&id) else { return };
                for line in part.cutter.push(text) {
                    part.keep(&line, now);
                }
            }
            BuildEvent::Failed { id, .. } => {
                let Some(part) = self.parts.get_mut(&id) else { return };
                if let Some(line) = part.cutter.rest() {
                    part.keep(&line, now);
                }
                self.failed.get_or_insert(id);
            }
            BuildEvent::Done { id } | BuildEvent::Cached { id } | BuildEvent::Canceled { id } => {
                self.parts.remove(&id);
            }
            BuildEvent::Warning { rule, message, line } => {
                let rule = if rule.is_empty() { String::new() } else { format!("{rule}: ") };
                let line = line.map(|number| format!(" (line {number})")).unwrap_or_default();
                self.warnings.push(format!(" - {rule}{message}{line}\n"));
            }
            BuildEvent::Status { .. } => {}
        }
    }

    /// BuildKit's last lines.
    pub fn ending(self) -> String {
        let mut text = String::new();
        let failed = self.failed.and_then(|id| self.parts.get(&id)).filter(|part| !part.lines.is_empty());
        if let Some(part) = failed {
            text += &format!("------\n > {}:\n", part.name);
            text.extend(part.lines.iter().map(|line| format!("{line}\n")));
            text += "------\n";
        }
        match self.warnings.len() {
            0 => {}
            1 => text += "\n 1 warning found:\n",
            several => text += &format!("\n {several} warnings found:\n"),
        }
        text.extend(self.warnings);
        text
    }
}
