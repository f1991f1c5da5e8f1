//! `run`: a new container, started.

use engine::Engine;
use engine::run::{Started, Wants};
use model::ContainerId;

use super::monitor;
use crate::attach::{Attach, DetachKeys, Outcome};
use crate::container_options::ContainerOptions;
use crate::context::Context;
use crate::output::failure::{Failure, USAGE};
use crate::output::stdout;
use crate::terminal;

/// Create and run a new container from an image
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, before_help = "IMAGE [COMMAND] [ARG...]")]
pub struct Args {
    #[command(flatten)]
    container: ContainerOptions,
    /// Run container in background and print container ID
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<DetachKeys>,
    /// Proxy received signals to the process
    #[arg(long, default_value = "true")]
    sig_proxy: bool,
    /// Image, command, arguments: after the image nothing is a flag of ours.
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    image_and_command: Vec<String>,
}

/// Creates and starts, and in the foreground ends with the container's exit code.
///
/// # Errors
/// Exit code 125 for what is layercake's to refuse, 126 and 127 for a program that cannot be run or is not there.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match begin(args, context) {
        // A container's own exit code comes without a word.
        Err(failure) if failure.code == 1 && !failure.message.is_empty() => Err(failure.code(USAGE)),
        other => other,
    }
}

fn begin(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut options = args.container.create(&args.image_and_command)?;
    let config = &mut options.config;
    if args.detach {
        (config.attach_stdin, config.attach_stdout, config.attach_stderr) = (false, false, false);
        config.stdin_once = false;
    }
    let wants =
        Wants { stdin: config.attach_stdin, stdout: config.attach_stdout, stderr: config.attach_stderr };
    let attach = Attach {
        stdin: wants.stdin,
        tty: config.tty,
        sig_proxy: args.sig_proxy && !args.detach,
        detach_keys: args.detach_keys.clone().unwrap_or_default(),
    };
    terminal::check_input(wants.stdin, config.tty)?;
    let (tty, removes) = (config.tty, options.host.auto_remove);
    let engine = context.write()?;
    let launcher = context.launcher(monitor::NAME)?;
    let created = args.container.create_in(&engine, context, &options)?;
    let caught = if args.detach { None } else { Some(attach.catch()?) };
    let size = if tty { terminal::size() } else { None };
    let started = engine.start(&created.id, &launcher, wants, size);
    let connection = match started {
        Ok(Started::Now(connection)) => connection,
        Ok(Started::Before) => return Err(Failure::refused("the container was started by somebody else")),
        Err(err) => {
            if removes {
                remove(&engine, context, &created.id)?;
            }
            let code = err.run_code();
            return Err(Failure::from(err).code(code));
        }
    };
    let Some(caught) = caught else { return stdout::print(&format!("{}\n", created.id)) };
    match attach.run(connection, &caught)? {
        Outcome::Ended(0) | Outcome::Detached => Ok(()),
        Outcome::Ended(code) => Err(Failure::exit(code)),
    }
}

/// What could not be started shall not stay either.
fn remove(engine: &Engine, context: &Context, container: &ContainerId) -> Result<(), Failure> {
    engine.remove_container_with_volumes(container, true)?;
    context.reclaim(engine, false)
}
