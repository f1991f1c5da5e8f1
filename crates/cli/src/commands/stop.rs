//! `stop`: containers that run.

use engine::run::StopOptions;

use super::each;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// How `stop` and `restart` ask a container to end.
#[derive(Debug, clap::Args)]
pub struct Stopping {
    /// Signal to send to the container
    #[arg(short, long, value_name = "string")]
    signal: Option<String>,
    /// Seconds to wait before killing the container
    #[arg(short, long, alias = "time", value_name = "int")]
    timeout: Option<i64>,
}

impl Stopping {
    /// For the engine.
    pub fn options(&self) -> StopOptions {
        let signal = self.signal.clone().filter(|signal| !signal.is_empty());
        StopOptions { signal, timeout: self.timeout }
    }
}

/// Stop one or more running containers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stopping: Stopping,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Stops, and prints the name of each as it was typed.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    each(&args.containers, |name| {
        engine.stop(&engine.find_container(name)?, &args.stopping.options())?;
        stdout::print(&format!("{name}\n"))
    })
}
