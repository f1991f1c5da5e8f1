//! `layercake bench`: storage drivers side by side, on throw-away data roots.
//!
//! | module | subject |
//! | --- | --- |
//! | `grounds` | the data roots, and the options of each driver |
//! | `table` | the figures as a table |
//! | `words` | what Docker's pages say, with the figures |
//! | `chart` | the figures as an SVG chart |
//! | `document` | the figures for programs |

mod chart;
mod document;
mod grounds;
mod table;
mod words;

pub use chart::svg;
pub use document::document;
pub use grounds::{clear, contestants};
pub use table::text;

use std::path::PathBuf;

use engine::bench::{Report, Unit};
use model::size;

/// Figures, and where they are from.
pub struct Measured {
    /// The directory that the data roots were in.
    pub dir: PathBuf,
    /// The file system there.
    pub filesystem: &'static str,
    /// The user's image.
    pub image: Option<String>,
    /// The figures.
    pub report: Report,
}

impl Measured {
    /// Where and on what.
    fn title(&self) -> String {
        let image = self.image.as_deref().unwrap_or("an image made for this");
        let rounds = match self.report.scale.rounds {
            1 => "one round".to_owned(),
            rounds => format!("medians of {rounds} rounds"),
        };
        format!(
            "{} ({}), Linux {}, {} CPUs; {image}: {} layers, {} files and directories; {rounds}",
            self.dir.display(),
            self.filesystem,
            sys::process::kernel_release(),
            std::thread::available_parallelism().map_or(1, usize::from),
            self.report.layers,
            self.report.entries,
        )
    }
}

/// A figure for people.
fn human(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds if value < 1e-3 => format!("{:.0} µs", value * 1e6),
        Unit::Seconds if value < 1e-2 => format!("{:.2} ms", value * 1e3),
        Unit::Seconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Bytes => size::binary(value.max(0.0) as u64),
        Unit::Count => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests;
