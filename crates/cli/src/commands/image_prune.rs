//! `image prune`: removes images that nothing uses.

use engine::prune::PruneOptions;

use super::prune;
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::filter::{Filter, Filters};

/// Remove unused images
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "until=<timestamp>")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

/// Asks, removes, and says what was removed.
///
/// # Errors
/// A filter's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut filters = args.filter.clone();
    filters.retain(|filter| filter.key() != "dangling");
    let asked = Filters::new(args.filter.iter().cloned(), &["dangling", "label", "label!", "until"])?;
    // `--filter dangling=false` is `--all` of old.
    let all = args.all || asked.boolean("dangling")? == Some(false);
    let options = PruneOptions { all, ..prune::options(&filters)? };
    let warning = format!("This will remove {}.", prune::images_that_go(all));
    prune::run(&warning, args.force, args.wait.wait, context, |engine| engine.prune_images(&options))
}
