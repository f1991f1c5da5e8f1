//! `save`: images as an archive.

use crate::context::Context;
use crate::options::Output;
use crate::output::failure::Failure;
use crate::output::{archive, progress};

/// Save one or more images to a tar archive (streamed to STDOUT by default)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Saves.
///
/// # Errors
/// The archive has no place to go, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    archive::to(args.output.output.as_deref(), "save image", |out| {
        let engine = context.read()?;
        Ok(engine.save(&args.images, out, &*progress::on_terminal())?)
    })
}
