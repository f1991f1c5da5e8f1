//! `create`: a container of an image.

use crate::container_options::ContainerOptions;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Create a new container
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, before_help = "IMAGE [COMMAND] [ARG...]")]
pub struct Args {
    #[command(flatten)]
    container: ContainerOptions,
    /// Image, command, arguments: after the image nothing is a flag of ours.
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    image_and_command: Vec<String>,
}

/// Creates, and prints the container's ID.
///
/// # Errors
/// A file cannot be read, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let options = args.container.create(&args.image_and_command)?;
    let engine = context.write()?;
    let created = args.container.create_in(&engine, context, &options)?;
    stdout::print(&format!("{}\n", created.id))
}
