//! The tree of commands, and how a command line ends.

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Args as _, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::run as run_container;
use crate::commands::{
    attach, bench, build, builder, check, commit, completion, container, cp, create, diff, exec, export,
    history, image, images, import, info, inspect, kill, load, login, logout, logs, manifest, monitor, mount,
    ps, pull, push, reclaim, rename, restart, rm, rmi, save, start, stats, stop, system, tag, top, tour,
    umount, union, version, volume, wait,
};
use crate::context::{Context, Globals};
use crate::janitor;
use crate::output::failure::Failure;
use crate::output::{help, stdout, usage};
use crate::union::{Face, Subtype, mount_helper};

/// Container images, layers and containers on Docker's on-disk format, without a daemon
#[derive(Debug, Parser)]
#[command(name = "layercake", version, disable_version_flag = true, disable_help_subcommand = true)]
#[command(subcommand_required = true)]
struct App {
    #[command(flatten)]
    globals: Globals,
    /// Print version information and quit
    #[arg(short, long, action = ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Attach(attach::Args),
    Bench(bench::Args),
    Build(Box<build::Args>),
    Builder(builder::Args),
    Check(check::Args),
    Commit(commit::Args),
    Completion(completion::Args),
    Container(container::Args),
    Cp(cp::Args),
    Create(Box<create::Args>),
    Diff(diff::Args),
    Exec(exec::Args),
    Export(export::Args),
    /// Help about any command
    #[command(hide = true)]
    Help {
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    History(history::Args),
    Image(image::Args),
    Images(images::Args),
    Import(import::Args),
    Info(info::Args),
    Inspect(inspect::Args),
    #[command(name = janitor::NAME, hide = true)]
    Janitor(janitor::Args),
    Kill(kill::Args),
    Load(load::Args),
    Login(login::Args),
    Logout(logout::Args),
    Logs(logs::Args),
    Manifest(manifest::Args),
    Mount(mount::Args),
    Ps(ps::Args),
    Pull(pull::Args),
    Push(push::Args),
    #[command(name = monitor::NAME, hide = true)]
    Monitor(monitor::Args),
    #[command(name = reclaim::NAME, hide = true)]
    Reclaim(reclaim::Args),
    Rename(rename::Args),
    Restart(restart::Args),
    Rm(rm::Args),
    Rmi(rmi::Args),
    Run(Box<run_container::Args>),
    Save(save::Args),
    Start(start::Args),
    Stats(stats::Args),
    Stop(stop::Args),
    System(system::Args),
    Tag(tag::Args),
    Top(top::Args),
    Tour(tour::Args),
    #[command(alias = "unmount")]
    Umount(umount::Args),
    Union(union::Args),
    Version(version::Args),
    Volume(volume::Args),
    Wait(wait::Args),
}

impl Command {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Attach(args) => attach::run(args, context),
            Self::Bench(args) => bench::run(args, context),
            Self::Build(args) => build::run(args, context),
            Self::Builder(args) => builder::run(args, context),
            Self::Check(args) => check::run(args, context),
            Self::Commit(args) => commit::run(args, context),
            Self::Completion(args) => completion::run(args),
            Self::Container(args) => container::run(args, context),
            Self::Cp(args) => cp::run(args, context),
            Self::Create(args) => create::run(args, context),
            Self::Diff(args) => diff::run(args, context),
            Self::Exec(args) => exec::run(args, context),
            Self::Export(args) => export::run(args, context),
            Self::Help { command } => stdout::print(&help::topic(&tree(), command)?),
            Self::History(args) => history::run(args, context),
            Self::Image(args) => image::run(args, context),
            Self::Images(args) => images::run(args, context),
            Self::Import(args) => import::run(args, context),
            Self::Info(args) => info::run(args, context),
            Self::Inspect(args) => inspect::run(args, context),
            Self::Janitor(args) => janitor::run(args, context),
            Self::Kill(args) => kill::run(args, context),
            Self::Load(args) => load::run(args, context),
            Self::Login(args) => login::run(args, context),
            Self::Logout(args) => logout::run(args, context),
            Self::Logs(args) => logs::run(args, context),
            Self::Manifest(args) => manifest::run(args, context),
            Self::Mount(args) => mount::run(args, context),
            Self::Ps(args) => ps::run(args, context),
            Self::Pull(args) => pull::run(args, context),
            Self::Push(args) => push::run(args, context),
            Self::Monitor(args) => monitor::run(args, context),
            Self::Reclaim(args) => reclaim::run(args, context),
            Self::Rename(args) => rename::run(args, context),
            Self::Restart(args) => restart::run(args, context),
            Self::Rm(args) => rm::run(args, context),
            Self::Rmi(args) => rmi::run(args, context),
            Self::Run(args) => run_container::run(args, context),
            Self::Save(args) => save::run(args, context),
            Self::Start(args) => start::run(args, context),
            Self::Stats(args) => stats::run(args, context),
            Self::Stop(args) => stop::run(args, context),
            Self::System(args) => system::run(args, context),
            Self::Tag(args) => tag::run(args, context),
            Self::Top(args) => top::run(args, context),
            Self::Tour(args) => tour::run(args, context),
            Self::Umount(args) => umount::run(args, context),
            Self::Union(args) => union::run(args, Subtype::LAYERCAKE),
            Self::Version(args) => version::run(args),
            Self::Wait(args) => wait::run(args, context),
            Self::Volume(args) => volume::run(args, context),
        }
    }
}

/// Runs the command line `args`, with the program's name first, and returns its exit code. What went wrong stands on
/// standard error.
pub fn main(args: Vec<OsString>) -> ExitCode {
    panic::set_hook(Box::new(|bug| {
        stdout::complain(format_args!(
            "{bug}\nThis is a bug in layercake: please report it, with the command that you typed. \
             What was in the store is still there; `layercake check` makes sure."
        ));
    }));
    // A command stands between complete steps of the store at any moment, so there is nothing half-done to fear.
    panic::catch_unwind(|| run(&args)).unwrap_or(ExitCode::from(BUG))
}

/// The exit code after a panic: `EX_SOFTWARE` of sysexits.h.
const BUG: u8 = 70;

fn run(args: &[OsString]) -> ExitCode {
    let is_command = |word: &str| App::command().find_subcommand(word).is_some();
    match Face::of(args, is_command) {
        Face::Layercake => run_command(args),
        Face::FuseOverlayfs => run_as_fuse_overlayfs(args),
        Face::MountHelper => end(mount_helper(args)),
    }
}

/// The command line of fuse-overlayfs(1).
fn run_as_fuse_overlayfs(args: &[OsString]) -> ExitCode {
    let tree = with_dockers_flags(union::Args::augment_args(
        clap::Command::new("fuse-overlayfs").disable_version_flag(true),
    ));
    let args: Vec<OsString> =
        args.iter().map(|arg| if arg == "--debug" { "-d".into() } else { arg.clone() }).collect();
    let parsed = tree.clone().try_get_matches_from(&args).and_then(|m| union::Args::from_arg_matches(&m));
    match parsed {
        Ok(parsed) => end(union::run(&parsed, Subtype::FUSE_OVERLAYFS)),
        Err(refused) => explain(&refused, &tree, &args),
    }
}

fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stdout::complain(&failure);
            ExitCode::from(&failure)
        }
    }
}

fn run_command(args: &[OsString]) -> ExitCode {
    let tree = tree();
    let parsed = tree.clone().try_get_matches_from(args).and_then(|matches| App::from_arg_matches(&matches));
    let app = match parsed {
        Ok(app) => app,
        Err(refused) => return explain(&refused, &tree, args),
    };
    let context = Context::new(app.globals);
    match app.command.run(&context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stdout::complain(context.describe(&failure));
            ExitCode::from(&failure)
        }
    }
}

/// Ends a command line that clap did not make a command of: a question for help, or a mistake.
fn explain(refused: &clap::Error, tree: &clap::Command, args: &[OsString]) -> ExitCode {
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let shown = match refused.kind() {
        ErrorKind::DisplayHelp => stdout::print(&help::of(tree, &args)),
        ErrorKind::DisplayVersion => stdout::print(&format!("{}\n", version::line())),
        // Docker shows the help on standard error then, and calls it a success.
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            stdout::complain(help::of(tree, &args).trim_end());
            Ok(())
        }
        _ => Err(usage::explain(refused, tree, &args)),
    };
    end(shown)
}

/// All commands, with flags that behave as Docker's.
pub fn tree() -> clap::Command {
    with_dockers_flags(App::command())
}

/// A switch takes a value (`--all=false`), an option's value may begin with `-`, and of an option that is given twice
/// the last one counts.
pub(crate) fn with_dockers_flags(command: clap::Command) -> clap::Command {
    command
        .args_override_self(true)
        .mut_args(|arg| match arg.get_action() {
            ArgAction::SetTrue => {
                let default = if arg.get_default_values().is_empty() { "false" } else { "true" };
                arg.action(ArgAction::Set)
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_value(default)
                    .default_missing_value("true")
                    .value_parser(usage::parse_switch)
            }
            ArgAction::Set | ArgAction::Append if !arg.is_positional() => arg.allow_hyphen_values(true),
            _ => arg,
        })
        .mut_subcommands(with_dockers_flags)
}

#[cfg(test)]
mod tests;
