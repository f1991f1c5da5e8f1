//! `kill`: sends signals to containers.

use super::each;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Kill one or more running containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Signal to send to the container
    #[arg(short, long, value_name = "string", default_value = "KILL", hide_default_value = true)]
    signal: String,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Sends the signal, and prints the name of each as it was typed.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    each(&args.containers, |name| {
        engine.kill(&engine.find_container(name)?, &args.signal)?;
        stdout::print(&format!("{name}\n"))
    })
}
