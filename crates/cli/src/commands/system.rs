//! `system`: the commands for the store as a whole.

use super::{check, df, info, system_prune};
use crate::context::Context;
use crate::output::failure::Failure;

/// Manage the data root
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Df(df::Args),
    Info(info::Args),
    Prune(system_prune::Args),
}

/// Runs the command of the group.
///
/// # Errors
/// The command's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.command {
        Command::Check(args) => check::run(args, context),
        Command::Df(args) => df::run(args, context),
        Command::Info(args) => info::run(args, context),
        Command::Prune(args) => system_prune::run(args, context),
    }
}
