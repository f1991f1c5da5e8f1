//! `start`: containers that are there already.

use engine::run::{Started, Wants};

use super::{each, monitor};
use crate::attach::{Attach, DetachKeys, Outcome};
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;
use crate::terminal;

/// Start one or more stopped containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    attach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<DetachKeys>,
    /// Attach container's STDIN
    #[arg(short, long)]
    interactive: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Starts, and prints the name of each as it was typed; with `--attach`, ends with the container's exit code.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.attach || args.interactive {
        let [name] = args.containers.as_slice() else {
            return Err(Failure::plain("you cannot start and attach multiple containers at once"));
        };
        return start_attached(args, name, context);
    }
    let engine = context.write()?;
    let launcher = context.launcher(monitor::NAME)?;
    let mut failed = Vec::new();
    let started = each(&args.containers, |name| {
        let started =
            engine.find_container(name).and_then(|id| engine.start(&id, &launcher, Wants::default(), None));
        match started {
            Ok(_) => stdout::print(&format!("{name}\n")),
            Err(err) => {
                failed.push(name);
                Err(err.into())
            }
        }
    });
    started.map_err(|failure| {
        let message =
            format!("{}\nError: failed to start containers: {}", failure.message, failed.join(", "));
        Failure { message, ..failure }
    })
}

fn start_attached(args: &Args, name: &str, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    let id = engine.find_container(name)?;
    let config = engine.store().containers().get(&id).map_err(engine::Error::from)?.config().clone();
    let wants =
        Wants { stdin: args.interactive && config.open_stdin, stdout: args.attach, stderr: args.attach };
    let attach = Attach {
        stdin: wants.stdin,
        tty: config.tty,
        sig_proxy: args.attach,
        detach_keys: args.detach_keys.clone().unwrap_or_default(),
    };
    terminal::check_input(wants.stdin, config.tty)?;
    let launcher = context.launcher(monitor::NAME)?;
    let caught = attach.catch()?;
    let size = if config.tty { terminal::size() } else { None };
    let connection = match engine.start(&id, &launcher, wants, size)? {
        Started::Now(connection) => connection,
        Started::Before => engine.attach(&id, wants)?,
    };
    match attach.run(connection, &caught)? {
        Outcome::Ended(0) | Outcome::Detached => Ok(()),
        Outcome::Ended(code) => Err(Failure::exit(code)),
    }
}
