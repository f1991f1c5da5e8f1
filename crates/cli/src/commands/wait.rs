//! `wait`: for containers to end.

use super::each;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Block until one or more containers stop, then print their exit codes
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Waits, and prints the exit code of each.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    each(&args.containers, |name| {
        let code = engine.wait(&engine.find_container(name)?)?;
        stdout::print(&format!("{code}\n"))
    })
}
