//! What was measured, beside what was to be reached.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::ground::Kind;
use super::stats::median;
use crate::Result;

/// What a sample says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Seconds until the command returned.
    Time,
    /// Seconds until the space was back.
    Reclaimed,
    /// The most memory the command held, in bytes.
    Peak,
    /// Seconds that the bytes which came need on the wire.
    Wire,
}

/// One run of one contender.
pub type Sample = Vec<(Metric, f64)>;

/// All samples of one contender.
pub type Samples = BTreeMap<Metric, Vec<f64>>;

/// What layercake is to reach.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// So many times as fast as a peer.
    Faster(Metric, &'static str, f64),
    /// At most so many times what a peer needs.
    Within(Metric, &'static str, f64),
    /// Less than this.
    Below(Metric, f64),
    /// At most so many seconds more than its bytes need on the wire.
    OverWire(f64),
}

/// The name of our contender.
pub const OURS: &str = "layercake";

/// A measured row.
#[derive(Debug)]
pub struct Row {
    pub name: String,
    pub on: Kind,
    pub contenders: Vec<(String, Samples)>,
    pub goals: Vec<Goal>,
}

impl Row {
    fn median(&self, contender: &str, metric: Metric) -> f64 {
        let samples =
            self.contenders.iter().find(|(name, _)| name == contender).and_then(|(_, all)| all.get(&metric));
        median(samples.map_or(&[], Vec::as_slice))
    }
}

impl Goal {
    /// The cells of one line: ours, the other's name and figure, the ratio, the goal, the verdict.
    fn cells(&self, row: &Row) -> [String; 5] {
        let (metric, peer, ratio, goal, reached) = match *self {
            Self::Faster(metric, peer, times) => {
                let ratio = row.median(peer, metric) / row.median(OURS, metric);
                (metric, Some(peer), format!("{ratio:.1}× as fast"), format!("≥ {times}×"), ratio >= times)
            }
            Self::Within(metric, peer, times) => {
                let ratio = row.median(OURS, metric) / row.median(peer, metric);
                (metric, Some(peer), format!("{ratio:.2}× its time"), format!("≤ {times}×"), ratio <= times)
            }
            Self::Below(metric, limit) => {
                let reached = row.median(OURS, metric) < limit;
                (metric, None, String::new(), format!("< {}", figure(metric, limit)), reached)
            }
            Self::OverWire(limit) => {
                let wire = row.median(OURS, Metric::Wire);
                let more = row.median(OURS, Metric::Time) - wire;
                let goal = format!("≤ {} more", figure(Metric::Time, limit));
                return [
                    figure(Metric::Time, row.median(OURS, Metric::Time)),
                    format!("on the wire {}", figure(Metric::Wire, wire)),
                    format!("{more:.2} s more"),
                    goal,
                    verdict(more <= limit),
                ];
            }
        };
        let other = peer
            .map_or_else(String::new, |peer| format!("{peer} {}", figure(metric, row.median(peer, metric))));
        [figure(metric, row.median(OURS, metric)), other, ratio, goal, verdict(reached)]
    }

    fn metric(&self) -> Metric {
        match *self {
            Self::Faster(metric, ..) | Self::Within(metric, ..) | Self::Below(metric, _) => metric,
            Self::OverWire(_) => Metric::Time,
        }
    }
}

fn verdict(reached: bool) -> String {
    if reached { "PASS" } else { "short" }.to_owned()
}

/// A figure with its unit.
pub fn figure(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Peak => format!("{:.0} MiB", value / f64::from(1 << 20)),
        _ if value < 0.1 => format!("{:.1} ms", value * 1e3),
        _ => format!("{value:.2} s"),
    }
}

/// The table, a line for each goal, in Markdown.
pub fn render(rows: &[Row]) -> String {
    let mut lines = vec![["work", "on", "layercake", "peer", "ratio", "goal", ""].map(String::from)];
    for row in rows {
        for goal in &row.goals {
            let [ours, other, ratio, wanted, verdict] = goal.cells(row);
            let work = match goal.metric() {
                Metric::Time | Metric::Wire => row.name.clone(),
                Metric::Reclaimed => format!("{}: reclaimed", row.name),
                Metric::Peak => format!("{}: peak memory", row.name),
            };
            lines.push([work, row.on.to_string(), ours, other, ratio, wanted, verdict]);
        }
    }
    let widths: Vec<usize> = (0..7)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::from("\n");
    for (n, line) in lines.iter().enumerate() {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if n == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(text, "| {} |", rules.join(" | "));
        }
    }
    text
}

/// Every sample: seconds and bytes.
pub fn json(rows: &[Row]) -> Result<String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let contenders: BTreeMap<_, _> = row
                .contenders
                .iter()
                .map(|(name, samples)| {
                    let samples: BTreeMap<_, _> = samples
                        .iter()
                        .map(|(metric, values)| (format!("{metric:?}").to_lowercase(), values))
                        .collect();
                    (name, samples)
                })
                .collect();
            json!({ "work": row.name, "on": row.on.to_string(), "contenders": contenders })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goals: Vec<Goal>) -> Row {
        let time = |values: &[f64]| {
            Samples::from([(Metric::Time, values.to_vec()), (Metric::Wire, vec![1.0, 1.0, 0.5])])
        };
        Row {
            name: "load".into(),
            on: Kind::Tmpfs,
            contenders: vec![
                (OURS.into(), time(&[1.0, 2.0, 1.5])),
                ("docker".into(), time(&[9.0, 6.0, 7.5])),
            ],
            goals,
        }
    }

    #[test]
    fn a_goal_compares_the_medians() {
        let text = render(&[row(vec![
            Goal::Faster(Metric::Time, "docker", 5.0),
            Goal::Faster(Metric::Time, "docker", 5.1),
            Goal::Within(Metric::Time, "docker", 0.2),
            Goal::Below(Metric::Time, 1.5),
            Goal::OverWire(0.5),
            Goal::OverWire(0.4),
        ])]);
        let verdicts: Vec<_> = text.lines().skip(3).map(|line| line.contains("PASS")).collect();
        assert_eq!(verdicts, [true, false, true, false, true, false], "{text}");
        assert!(
            text.contains("| 1.50 s") && text.contains("docker 7.50 s") && text.contains("5.0× as fast"),
            "{text}"
        );
    }

    #[test]
    fn a_goal_without_samples_is_not_reached() {
        let text =
            render(&[row(vec![Goal::Faster(Metric::Time, "podman", 0.1), Goal::Below(Metric::Peak, 1e18)])]);
        assert!(!text.contains("PASS"), "{text}");
    }
}
