//! `umount`: ends mounts.

use super::each;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Unmount the filesystems of one or more containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Unmount all that are mounted
    #[arg(short, long)]
    all: bool,
    #[arg(value_name = "CONTAINER", required_unless_present = "all")]
    containers: Vec<String>,
}

/// Unmounts, and prints the name of each that was mounted.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    let mut containers = args.containers.clone();
    if args.all {
        containers.extend(engine.mounts()?.into_iter().map(|(id, _)| id.to_string()));
    }
    each(&containers, |name| {
        if engine.unmount(&engine.find_container(name)?)? {
            stdout::print(&format!("{name}\n"))
        } else {
            Ok(())
        }
    })
}
