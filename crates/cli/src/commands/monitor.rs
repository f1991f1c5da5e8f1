//! The hidden command that stays beside a running container.

use engine::run::Monitor;
use model::ContainerId;

use crate::context::Context;
use crate::output::failure::{Failure, USAGE};

/// The command's name.
pub const NAME: &str = "__monitor";

/// Run a container and look after it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "CONTAINER", value_parser = ContainerId::parse)]
    container: ContainerId,
}

/// Runs the container. Standard input is the socket of the one who asked for it, who is told what went wrong.
///
/// # Errors
/// What could not be cleaned up; nobody reads it.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    sys::daemon::leave();
    let no_socket =
        |err: &dyn std::fmt::Display| Failure::plain(format_args!("no socket on standard input: {err}"));
    let control = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).map_err(|err| no_socket(&err))?;
    let monitor = Monitor::begin(control).map_err(engine::Error::from)?;
    let opened = context
        .write()
        .and_then(|engine| Ok((engine, context.monitor_options()?, context.keep_namespaces()?)));
    let (engine, options, _kept) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            monitor.fail(USAGE, failure.message.clone());
            return Err(failure);
        }
    };
    sys::daemon::let_go().map_err(Failure::refused)?;
    Ok(engine.monitor(&args.container, monitor, &options)?)
}
