//! `export`: the tree of a container as an archive.

use crate::context::Context;
use crate::options::Output;
use crate::output::failure::Failure;
use crate::output::{archive, progress};

/// Export a container's filesystem as a tar archive
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Exports.
///
/// # Errors
/// The archive has no place to go, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    archive::to(args.output.output.as_deref(), "export container", |out| {
        let engine = context.read()?;
        let container = engine.find_container(&args.container)?;
        Ok(engine.export(&container, out, &*progress::on_terminal())?)
    })
}
