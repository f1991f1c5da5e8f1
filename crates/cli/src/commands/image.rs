//! `image`: the commands for images.

use super::{history, image_prune, images, import, inspect, load, rmi, save, tag};
use crate::context::Context;
use crate::output::failure::Failure;

/// Manage images
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    History(history::Args),
    Import(import::Args),
    Inspect(inspect::ImageArgs),
    Load(load::Args),
    #[command(visible_alias = "list")]
    Ls(images::Args),
    Prune(image_prune::Args),
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    Save(save::Args),
    Tag(tag::Args),
}

/// Runs the command of the group.
///
/// # Errors
/// The command's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.command {
        Command::History(args) => history::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Inspect(args) => inspect::run_image(args, context),
        Command::Load(args) => load::run(args, context),
        Command::Ls(args) => images::run(args, context),
        Command::Prune(args) => image_prune::run(args, context),
        Command::Rm(args) => rmi::run(args, context),
        Command::Save(args) => save::run(args, context),
        Command::Tag(args) => tag::run(args, context),
    }
}
