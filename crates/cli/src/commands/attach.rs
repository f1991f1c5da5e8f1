//! `attach`: to a container that runs.

use engine::run::Wants;

use crate::attach::{Attach, DetachKeys, Outcome};
use crate::context::Context;
use crate::output::failure::Failure;
use crate::terminal;

/// Attach local standard input, output, and error streams to a running container
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<DetachKeys>,
    /// Do not attach STDIN
    #[arg(long)]
    no_stdin: bool,
    /// Proxy all received signals to the process
    #[arg(long, default_value = "true")]
    sig_proxy: bool,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Attaches, and ends with the container's exit code.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    let id = engine.find_container(&args.container)?;
    let config = engine.store().containers().get(&id).map_err(engine::Error::from)?.config().clone();
    let wants = Wants { stdin: !args.no_stdin && config.open_stdin, stdout: true, stderr: true };
    let attach = Attach {
        stdin: wants.stdin,
        tty: config.tty,
        sig_proxy: args.sig_proxy,
        detach_keys: args.detach_keys.clone().unwrap_or_default(),
    };
    terminal::check_input(wants.stdin, config.tty)?;
    let caught = attach.catch()?;
    match attach.run(engine.attach(&id, wants)?, &caught)? {
        Outcome::Ended(0) => Ok(()),
        Outcome::Ended(code) => Err(Failure::exit(code)),
        Outcome::Detached => Err(Failure::plain("read escape sequence")),
    }
}
