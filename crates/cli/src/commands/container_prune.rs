//! `container prune`: removes containers that do not run.

use super::image_prune::{options, print};
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::filter::Filter;
use crate::output::prompt;

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
    let options = options(&args.filter)?;
    let question = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?";
    if !args.force && !prompt::confirm(question)? {
        return Ok(());
    }
    let engine = context.write()?;
    let pruned = engine.prune_containers(&options)?;
    context.reclaim(&engine, args.wait.wait)?;
    print(&pruned, false)
}
