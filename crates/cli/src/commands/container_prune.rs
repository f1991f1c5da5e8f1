//! `container prune`: removes containers that do not run.

use super::prune;
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::filter::Filter;

/// Remove all stopped containers
#[derive(Debug, clap::Args)]
pub struct Args {
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
    let options = prune::options(&args.filter)?;
    let warning = "This will remove all stopped containers.";
    prune::run(warning, args.force, args.wait.wait, context, |engine| engine.prune_containers(&options))
}
