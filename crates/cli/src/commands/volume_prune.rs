//! `volume prune`: removes volumes that no container uses.

use engine::prune::PruneOptions;

use super::prune;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::filter::{Filter, Filters};

/// Remove unused local volumes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "label=<label>")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

/// Asks, removes, and says what was removed.
///
/// # Errors
/// A filter's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let filters = Filters::new(args.filter.iter().cloned(), &["all", "label", "label!"])?;
    let named = args.all || filters.boolean("all")?.unwrap_or(false);
    let options = PruneOptions {
        labels: filters.values("label").map(str::to_owned).collect(),
        labels_not: filters.values("label!").map(str::to_owned).collect(),
        ..PruneOptions::default()
    };
    prune::run(warning(named), args.force, false, context, |engine| engine.prune_volumes(&options, named))
}

fn warning(named: bool) -> &'static str {
    if named {
        "This will remove all local volumes not used by at least one container."
    } else {
        "This will remove anonymous local volumes not used by at least one container."
    }
}
