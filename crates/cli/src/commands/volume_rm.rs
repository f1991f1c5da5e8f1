//! `volume rm`: removes volumes.

use super::each;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Remove one or more volumes
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Remove one or more volumes. You cannot remove a volume that is in use by a container."
)]
pub struct Args {
    /// Force the removal of one or more volumes
    #[arg(short, long)]
    force: bool,
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

/// Removes, and prints the name of each. With `--force`, a volume that is not there is no failure.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    each(&args.volumes, |name| match engine.remove_volume(name) {
        Err(engine::Error::NoSuchVolume(_)) if args.force => stdout::print(&format!("{name}\n")),
        Err(err) => Err(err.into()),
        Ok(()) => stdout::print(&format!("{name}\n")),
    })
}
