//! `exec`: a further process in a container that runs.

use std::path::PathBuf;

use engine::run::ExecOptions;

use crate::attach::DetachKeys;
use crate::container_options::{environment, variable};
use crate::context::Context;
use crate::output::failure::Failure;
use crate::terminal;

/// Execute a command in a running container
#[derive(Debug, clap::Args)]
#[command(before_help = "CONTAINER COMMAND [ARG...]")]
pub struct Args {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    // The runtime looks after the terminal, and knows no such keys.
    #[arg(long, value_name = "string", hide = true)]
    detach_keys: Option<DetachKeys>,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = variable)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "string")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    workdir: Option<String>,
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Command and arguments: after the container nothing is a flag of ours.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

/// Runs the command, and ends with its exit code.
///
/// # Errors
/// 126 and 127 for a program that cannot be run or is not there; the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let options = ExecOptions {
        command: args.command.clone(),
        env: environment(&args.env_file, &args.env)?,
        user: args.user.clone(),
        workdir: args.workdir.clone().filter(|dir| !dir.is_empty()),
        tty: args.tty,
        interactive: args.interactive,
        privileged: args.privileged,
        detach: args.detach,
    };
    terminal::check_input(args.interactive && !args.detach, args.tty)?;
    let engine = context.write()?;
    let id = engine.find_container(&args.container)?;
    // Runtimes forget it now and then.
    let kept = if args.tty { terminal::Kept::stdin() } else { None };
    let ended = engine.exec(&id, &options, &context.monitor_options()?, &mut std::io::stderr());
    drop(kept);
    match ended {
        Ok(code) if code.is_success() => Ok(()),
        Ok(code) => Err(Failure::exit(code.0)),
        Err(err) => {
            let code = err.run_code();
            let failure = Failure::from(err);
            Err(if matches!(code, 126 | 127) { failure.code(code) } else { failure })
        }
    }
}
