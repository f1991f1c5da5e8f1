//! `tour`: what layercake does, shown on a store of its own.

use crate::context::Context;
use crate::output::failure::Failure;
use crate::tour;

/// See how images, layers and containers work, in a temporary store
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait for Enter between steps
    #[arg(long)]
    pause: bool,
    /// Keep the store, and print where it is
    #[arg(long)]
    keep: bool,
}

/// Gives the tour.
///
/// # Errors
/// As [`tour::run`].
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    tour::run(&tour::Options { pause: args.pause, keep: args.keep, driver: context.storage_driver()? })
}
