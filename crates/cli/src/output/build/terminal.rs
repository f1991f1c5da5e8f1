//! BuildKit's progress on a terminal: a line for each part, with what it has written last while it goes on.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::build::{BuildEvent, VertexId};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use model::size;

use super::{Cutter, lock};

/// Lines of output below a part that goes on.
const SHOWN: usize = 6;
/// Between two pictures.
const TICK: Duration = Duration::from_millis(100);

/// The list.
pub(super) struct Terminal {
    all: MultiProgress,
    head: ProgressBar,
    parts: HashMap<VertexId, Part>,
    done: u64,
    count: u64,
}

struct Part {
    name: String,
    bar: ProgressBar,
    cutter: Cutter,
    /// Shared with the line's looks.
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Terminal {
    /// Draws on standard error.
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let head = all.add(ProgressBar::new_spinner().with_style(style("[+] Building {total} {msg}")));
        head.enable_steady_tick(TICK);
        Terminal { all, head, parts: HashMap::new(), done: 0, count: 0 }
    }

    pub fn event(&mut self, event: BuildEvent<'_>) {
        match event {
            BuildEvent::Started { id, name } => self.start(id, name),
            BuildEvent::Output { id, text } => {
                let Some(part) = self.parts.get_mut(&id) else { return };
                let mut shown = lock(&part.lines);
                for line in part.cutter.push(text) {
                    if shown.len() == SHOWN {
                        shown.pop_front();
                    }
                    shown.push_back(line);
                }
            }
            BuildEvent::Status { id, item, done, total } => {
                let Some(part) = self.parts.get(&id).filter(|_| total != Some(0)) else { return };
                let of = total.map(|total| format!(" / {}", size::human(total))).unwrap_or_default();
                part.bar.set_message(format!("{}  {item} {}{of}", part.name, size::human(done)));
            }
            BuildEvent::Done { id } => self.end(id, ""),
            BuildEvent::Cached { id } => self.end(id, "CACHED "),
            BuildEvent::Canceled { id } => self.end(id, "CANCELED "),
            BuildEvent::Failed { id, .. } => self.end(id, "ERROR "),
            BuildEvent::Warning { .. } => {}
        }
    }

    fn start(&mut self, id: VertexId, name: &str) {
        let name = name.split('\n').next().unwrap_or_default().to_owned();
        let lines: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let looks = style(" => {wide_msg} {spent}{output}").with_key("output", output(Arc::clone(&lines)));
        // It is drawn as soon as it is added, so it has its looks before.
        let bar = ProgressBar::new_spinner().with_style(looks).with_message(name.clone());
        let bar = self.all.add(bar);
        bar.enable_steady_tick(TICK);
        self.parts.insert(id, Part { name, bar, cutter: Cutter::default(), lines });
        self.count += 1;
        self.tell();
    }

    fn end(&mut self, id: VertexId, how: &str) {
        let Some(part) = self.parts.remove(&id) else { return };
        lock(&part.lines).clear();
        part.bar.finish_with_message(format!("{how}{}", part.name));
        self.done += 1;
        self.tell();
    }

    fn tell(&self) {
        self.head.set_message(format!("({}/{})", self.done, self.count));
    }

    /// Leaves the last picture on the screen.
    pub fn finish(self, succeeded: bool) {
        for part in self.parts.into_values() {
            lock(&part.lines).clear();
            part.bar.abandon();
        }
        let end = if succeeded { " FINISHED" } else { "" };
        self.head.finish_with_message(format!("({}/{}){end}", self.done, self.count));
    }
}

fn style(template: &str) -> ProgressStyle {
    // indicatif hands over a text, which takes everything.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("spent", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{:>6.1}s", state.elapsed().as_secs_f64());
        })
        .with_key("total", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{:.1}s", state.elapsed().as_secs_f64());
        })
}

/// What a part has written last, each on a line of its own.
fn output(
    lines: Arc<Mutex<VecDeque<String>>>,
) -> impl Fn(&ProgressState, &mut dyn fmt::Write) + Send + Sync + Clone + 'static {
    move |_: &ProgressState, out: &mut dyn fmt::Write| {
        for line in lock(&lines).iter() {
            let plain: String = line.chars().filter(|c| !c.is_control()).take(160).collect();
            let _ = write!(out, "\n => => # {plain}");
        }
    }
}
