//! `diff`: what a container changed.

use std::os::unix::ffi::OsStrExt;

use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Inspect changes to files or directories on a container's filesystem
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Prints a line for each changed path: `A` added, `C` changed, `D` deleted. Names are printed as they are, whatever
/// their encoding.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.read()?;
    let container = engine.find_container(&args.container)?;
    let mut text = Vec::new();
    for change in engine.diff(&container)? {
        text.extend(format!("{} ", change.kind).bytes());
        text.extend(change.path.as_os_str().as_bytes());
        text.push(b'\n');
    }
    stdout::print_bytes(&text)
}
