//! `check`: finds damage.

use engine::check::{CheckOptions, Report};
use model::size;

use crate::context::Context;
use crate::options::ListingFormat;
use crate::output::failure::Failure;
use crate::output::listing::Listing;
use crate::output::{progress, stdout};
use crate::rows::finding::{FindingRow, NAMED};

/// Find damage in the data root, and repair it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: ListingFormat,
    /// Do not read the files of layers
    #[arg(long)]
    quick: bool,
    /// Repair what can be repaired, and remove what nothing can use
    #[arg(long)]
    repair: bool,
}

/// Checks, and lists what it found.
///
/// # Errors
/// Damage that was not repaired, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let format = &args.format.format;
    let listing: Listing<FindingRow> = Listing::parse(format, format.is_empty(), &NAMED)?;
    let engine = if args.repair { context.write()? } else { context.read()? };
    let options = CheckOptions { quick: args.quick, repair: args.repair };
    let report = engine.check(options, &*progress::on_terminal())?;
    let summary = summary(&report);
    let damaged = report.findings.iter().any(|finding| !finding.repaired);
    stdout::print(&listing.render(report.findings.into_iter().map(FindingRow))?)?;
    if damaged {
        return Err(Failure::plain(summary));
    }
    if format.is_empty() { stdout::print(&format!("{summary}\n")) } else { Ok(()) }
}

/// `Checked 12 layers, 3 images and 5 containers (1.2GB): 2 damages, 1 repaired`.
fn summary(report: &Report) -> String {
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let found = match report.findings.len() {
        0 => "no damage".to_owned(),
        n => {
            let repaired = report.findings.iter().filter(|finding| finding.repaired).count();
            format!("{}, {repaired} repaired", count(n, "damage"))
        }
    };
    format!(
        "Checked {}, {} and {} ({}): {found}",
        count(report.layers, "layer"),
        count(report.images, "image"),
        count(report.containers, "container"),
        size::human(report.bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::check::Finding;

    #[test]
    fn the_summary_counts() {
        let mut report = Report { layers: 12, images: 1, bytes: 1_234_000_000, ..Report::default() };
        assert_eq!(summary(&report), "Checked 12 layers, 1 image and 0 containers (1.234GB): no damage");
        let finding = |repaired| Finding {
            kind: "x",
            subject: String::new(),
            message: String::new(),
            affects: Vec::new(),
            advice: String::new(),
            repaired,
        };
        report.findings = vec![finding(true), finding(false)];
        assert!(summary(&report).ends_with(": 2 damages, 1 repaired"));
    }
}
