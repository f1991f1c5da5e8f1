//! `rename`: another name for a container.

use crate::context::Context;
use crate::output::failure::Failure;

/// Rename a container
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

/// Renames.
///
/// # Errors
/// A name is empty, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (old, new) = (args.container.trim(), args.name.trim());
    if old.is_empty() || new.is_empty() {
        return Err(Failure::refused("Neither old nor new names may be empty"));
    }
    let engine = context.write()?;
    let renamed = engine.find_container(old).and_then(|container| engine.rename(&container, new));
    renamed.map_err(|err| {
        let cause = Failure::from(err);
        // Docker's client adds a line of its own.
        Failure {
            message: format!("{}\nError: failed to rename container named {old}", cause.message),
            ..cause
        }
    })
}
