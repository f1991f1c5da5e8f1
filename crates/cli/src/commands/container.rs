//! `container`: the commands for containers.

use super::{commit, container_prune, cp, create, diff, export, inspect, mount, ps, rename, rm, umount};
use crate::context::Context;
use crate::output::failure::Failure;

/// Manage containers
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Commit(commit::Args),
    Cp(cp::Args),
    Create(Box<create::Args>),
    Diff(diff::Args),
    Export(export::Args),
    Inspect(inspect::ContainerArgs),
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ps::Args),
    Mount(mount::Args),
    Prune(container_prune::Args),
    Rename(rename::Args),
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
    #[command(visible_alias = "unmount")]
    Umount(umount::Args),
}

/// Runs the command of the group.
///
/// # Errors
/// The command's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.command {
        Command::Commit(args) => commit::run(args, context),
        Command::Cp(args) => cp::run(args, context),
        Command::Create(args) => create::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Inspect(args) => inspect::run_container(args, context),
        Command::Ls(args) => ps::run(args, context),
        Command::Mount(args) => mount::run(args, context),
        Command::Prune(args) => container_prune::run(args, context),
        Command::Rename(args) => rename::run(args, context),
        Command::Rm(args) => rm::run(args, context),
        Command::Umount(args) => umount::run(args, context),
    }
}
