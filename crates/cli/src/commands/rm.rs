//! `rm`: removes containers.

use super::each;
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Remove one or more containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    force: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    volumes: bool,
    #[command(flatten)]
    wait: Wait,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Removes, and prints the name of each as it was typed. With `--force`, a container that is not there is said, and no
/// failure.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    let remove = |name: &str| {
        let container = engine.find_container(name)?;
        match args.volumes {
            true => engine.remove_container_with_volumes(&container, args.force),
            false => engine.remove_container(&container, args.force),
        }
    };
    let removed = each(&args.containers, |name| match remove(name) {
        Ok(()) => stdout::print(&format!("{name}\n")),
        Err(err @ engine::Error::NoSuchContainer(_)) if args.force => {
            stdout::complain(Failure::from(err));
            Ok(())
        }
        Err(err) => Err(err.into()),
    });
    context.reclaim(&engine, args.wait.wait).and(removed)
}
