//! What was measured on the unions, beside what was to be reached.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::super::stats::median;
use crate::Result;
use crate::namespace::Who;
use crate::which::Which;

/// What our union is to reach.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// At most so many times what the kernel's overlay needs.
    Kernel(f64),
    /// At most so many seconds.
    Seconds(f64),
    /// Less than so many bytes.
    Bytes(f64),
    /// Faster than the faster one of both fuse-overlayfs.
    Peers,
    /// Only for information.
    None,
}

/// A line of the table: a piece of work, and its goal.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub work: &'static str,
    /// As root, and as an ordinary user.
    pub goals: [Goal; 2],
}

impl Line {
    /// With one goal for everybody.
    pub const fn new(work: &'static str, goal: Goal) -> Self {
        Self { work, goals: [goal; 2] }
    }
}

/// A measured line.
#[derive(Debug)]
pub struct Row {
    pub work: &'static str,
    pub goal: Goal,
    pub samples: Vec<(Which, Vec<f64>)>,
}

impl Row {
    pub fn new(line: Line, who: Who) -> Self {
        let [root, user] = line.goals;
        let goal = if who == Who::Root { root } else { user };
        Self { work: line.work, goal, samples: Vec::new() }
    }

    /// Adds a sample.
    pub fn push(&mut self, which: Which, value: f64) {
        match self.samples.iter_mut().find(|(of, _)| *of == which) {
            Some((_, values)) => values.push(value),
            None => self.samples.push((which, vec![value])),
        }
    }

    /// Not a number without samples, which reaches no goal.
    fn median(&self, which: Which) -> f64 {
        let samples = self.samples.iter().find(|(of, _)| *of == which);
        median(samples.map_or(&[], |(_, values)| values.as_slice()))
    }

    /// The cell of one union: its figure, and as a multiple of the kernel's.
    fn cell(&self, which: Which) -> String {
        let (own, kernel) = (self.median(which), self.median(Which::Kernel));
        match (own.is_nan(), which == Which::Kernel || kernel.is_nan()) {
            (true, _) => String::new(),
            (false, true) => self.figure(own),
            (false, false) => format!("{} ({:.2}×)", self.figure(own), own / kernel),
        }
    }

    /// The goal, and whether it is reached.
    fn verdict(&self) -> (String, &'static str) {
        let ours = self.median(Which::Ours);
        let (text, limit) = match self.goal {
            Goal::Kernel(times) => (format!("≤ {times}×"), times * self.median(Which::Kernel)),
            Goal::Seconds(limit) | Goal::Bytes(limit) => (format!("≤ {}", self.figure(limit)), limit),
            Goal::Peers => {
                let best = self.median(Which::C).min(self.median(Which::Rust));
                ("faster than both".to_string(), best)
            }
            Goal::None => return (String::new(), ""),
        };
        let verdict = match ours.is_nan() {
            true => "",
            false if ours <= limit => "PASS",
            false => "short",
        };
        (text, verdict)
    }

    /// A figure with its unit.
    pub fn figure(&self, value: f64) -> String {
        match self.goal {
            Goal::Bytes(_) => format!("{:.1} MiB", value / f64::from(1 << 20)),
            _ if value < 0.01 => format!("{:.2} ms", value * 1e3),
            _ if value < 1.0 => format!("{:.0} ms", value * 1e3),
            _ => format!("{value:.2} s"),
        }
    }
}

/// The table in Markdown.
pub fn render(rows: &[Row], who: Who) -> String {
    let mut text = format!("\n| work, as {} |", who.name());
    let columns: Vec<Which> =
        Which::ALL.into_iter().filter(|which| rows.iter().any(|row| !row.median(*which).is_nan())).collect();
    for which in &columns {
        let _ = write!(text, " {} |", which.name());
    }
    let _ = writeln!(text, " goal | |\n|{}", " --- |".repeat(columns.len() + 3));
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|which| row.cell(*which)).collect();
        let (goal, verdict) = row.verdict();
        let _ = writeln!(text, "| {} | {} | {goal} | {verdict} |", row.work, cells.join(" | "));
    }
    text
}

/// Every sample: seconds and bytes.
pub fn json(rows: &[Row], who: Who) -> Result<String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let samples: BTreeMap<_, _> =
                row.samples.iter().map(|(which, values)| (which.name(), values)).collect();
            json!({ "work": row.work, "as": who.name(), "samples": samples })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal, samples: &[(Which, f64)]) -> String {
        let mut row = Row::new(Line::new("stat", goal), Who::Root);
        for (which, value) in samples {
            row.push(*which, *value);
        }
        render(&[row], Who::Root)
    }

    #[test]
    fn ours_is_a_multiple_of_the_kernels_time() {
        let samples = [(Which::Kernel, 2.0), (Which::Ours, 2.5)];
        let text = row(Goal::Kernel(1.25), &samples);
        assert!(text.contains("| stat | 2.00 s | 2.50 s (1.25×) | ≤ 1.25× | PASS |"), "{text}");
        assert!(row(Goal::Kernel(1.2), &samples).contains("short"));
    }

    #[test]
    fn ours_has_to_beat_the_better_peer() {
        let peers = [(Which::C, 3.0), (Which::Rust, 2.0)];
        let ours = |time| [&peers[..], &[(Which::Ours, time)]].concat();
        assert!(row(Goal::Peers, &ours(1.9)).contains("PASS"));
        assert!(row(Goal::Peers, &ours(2.5)).contains("short"));
    }

    #[test]
    fn without_ours_nothing_is_reached_or_missed() {
        let text = row(Goal::Kernel(1.0), &[(Which::Kernel, 2.0)]);
        assert!(!text.contains("PASS") && !text.contains("short"), "{text}");
    }
}
