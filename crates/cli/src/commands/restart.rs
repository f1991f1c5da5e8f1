//! `restart`: stops containers and starts them again.

use engine::run::Wants;

use super::stop::Stopping;
use super::{each, monitor};
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Restart one or more containers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stopping: Stopping,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Restarts, and prints the name of each as it was typed. One that does not run is started.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    let launcher = context.launcher(monitor::NAME)?;
    each(&args.containers, |name| {
        let id = engine.find_container(name)?;
        engine.stop(&id, &args.stopping.options())?;
        engine.start(&id, &launcher, Wants::default(), None)?;
        stdout::print(&format!("{name}\n"))
    })
}
