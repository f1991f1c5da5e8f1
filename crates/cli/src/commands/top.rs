//! `top`: the processes of a container.

use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;
use crate::output::table;

/// Display the running processes of a container
#[derive(Debug, clap::Args)]
#[command(before_help = "CONTAINER [ps OPTIONS]")]
pub struct Args {
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Options of ps(1): after the container nothing is a flag of ours.
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Docker's columns here are no narrower than this.
const MIN_WIDTH: usize = 20;

/// Lists them.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.read()?;
    let processes = engine.top(&engine.find_container(&args.container)?, &args.options)?;
    let lines = std::iter::once(&processes.titles).chain(&processes.rows).map(|row| row.join("\t") + "\n");
    stdout::print(&table::align_from(&lines.collect::<String>(), MIN_WIDTH))
}
