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
/// Damage that was not repaired, or the engine's. What only takes space is no failure.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let format = &args.format.format;
    let listing: Listing<FindingRow> = Listing::parse(format, format.is_empty(), &NAMED)?;
    let engine = if args.repair { context.write()? } else { context.read()? };
    let options = CheckOptions { quick: args.quick, repair: args.repair };
    let report = engine.check(options, &*progress::on_terminal())?;
    let summary = summary(&report);
    let damaged = report.findings.iter().any(|finding| finding.harmful && !finding.repaired);
    stdout::print(&listing.render(report.findings.into_iter().map(FindingRow))?)?;
    if damaged {
        return Err(Failure::plain(summary));
    }
    if format.is_empty() { stdout::print(&format!("{summary}\n")) } else { Ok(()) }
}

/// `Checked 12 layers, 3 images and 5 containers (1.2GB): 2 damages and 1 leftover, of these 1 repaired`.
fn summary(report: &Report) -> String {
    let count = |n: usize, noun: &str| match n {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    };
    let damages = report.findings.iter().filter(|finding| finding.harmful).count();
    let mut found = count(damages, "damage");
    if report.findings.len() > damages {
        found += &format!(" and {}", count(report.findings.len() - damages, "leftover"));
    }
    match report.findings.iter().filter(|finding| finding.repaired).count() {
        0 => {}
        all if all == report.findings.len() => found += ", repaired",
        some => found += &format!(", of these {some} repaired"),
    }
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

    fn found(findings: &[(bool, bool)]) -> String {
        let finding = |&(harmful, repaired): &(bool, bool)| Finding {
            kind: "x",
            subject: String::new(),
            message: String::new(),
            affects: Vec::new(),
            advice: String::new(),
            harmful,
            repaired,
        };
        let findings = findings.iter().map(finding).collect();
        summary(&Report { layers: 12, images: 1, containers: 0, bytes: 1_234_000_000, findings })
    }

    #[test]
    fn the_summary_counts() {
        let checked = "Checked 12 layers, 1 image and no container (1.234GB): ";
        assert_eq!(found(&[]), format!("{checked}no damage"));
        assert_eq!(found(&[(true, false)]), format!("{checked}1 damage"));
        assert_eq!(found(&[(false, false), (false, false)]), format!("{checked}no damage and 2 leftovers"));
        assert_eq!(found(&[(true, true), (true, true)]), format!("{checked}2 damages, repaired"));
        let some = format!("{checked}1 damage and 1 leftover, of these 1 repaired");
        assert_eq!(found(&[(true, false), (false, true)]), some);
    }
}
