//! `cp`: files between a container and the host.

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;

use engine::copy::CopyOptions;
use model::size;

use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::{archive, stdout};

/// What Docker's help says.
const ABOUT: &str = "\
Copy files/folders between a container and the local filesystem

Use '-' as the source to read a tar archive from stdin
and extract it to a directory destination in a container.
Use '-' as the destination to stream a tar archive of a
container source to stdout.";

/// Copy files/folders between a container and the local filesystem
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT)]
#[command(before_help = "CONTAINER:SRC_PATH DEST_PATH|-\nSRC_PATH|- CONTAINER:DEST_PATH")]
pub struct Args {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached
    #[arg(short, long)]
    quiet: bool,
    #[arg(value_name = "SRC")]
    source: String,
    #[arg(value_name = "DEST")]
    destination: String,
}

/// Copies out of a container or into one.
///
/// # Errors
/// The arguments name no container or two, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.source.is_empty() {
        return Err(Failure::plain("source can not be empty"));
    }
    if args.destination.is_empty() {
        return Err(Failure::plain("destination can not be empty"));
    }
    match (split(&args.source), split(&args.destination)) {
        ((Some(container), path), (None, local)) => copy_out(args, context, container, path, local),
        ((None, local), (Some(container), path)) => copy_in(args, context, local, container, path),
        ((Some(_), _), (Some(_), _)) => Err(Failure::plain("copying between containers is not supported")),
        ((None, _), (None, _)) => Err(Failure::plain("must specify at least one container source")),
    }
}

fn copy_out(args: &Args, context: &Context, name: &str, path: &str, local: &str) -> Result<(), Failure> {
    let engine = context.read()?;
    let container = engine.find_container(name)?;
    if local == "-" {
        return archive::to_stdout(|out| {
            Ok(engine.copy_from(&container, Path::new(path), args.follow_link, out)?)
        });
    }
    let copied = engine.copy_out(&container, Path::new(path), Path::new(local), options(args))?;
    let destination = std::path::absolute(local).unwrap_or_else(|_| local.into());
    report(args, copied, &destination.display());
    Ok(())
}

fn copy_in(args: &Args, context: &Context, local: &str, name: &str, path: &str) -> Result<(), Failure> {
    let engine = context.write()?;
    let container = engine.find_container(name)?;
    if local == "-" {
        return Ok(engine.copy_to(&container, Path::new(path), Box::new(io::stdin()))?);
    }
    let copied = engine.copy_in(Path::new(local), &container, Path::new(path), options(args))?;
    report(args, copied, &format_args!("{name}:{path}"));
    Ok(())
}

fn options(args: &Args) -> CopyOptions {
    CopyOptions { follow: args.follow_link, keep_owners: args.archive }
}

/// Says on a terminal how much was copied.
fn report(args: &Args, bytes: u64, destination: &dyn fmt::Display) {
    if !args.quiet && io::stdout().is_terminal() {
        let size = size::human_with_precision(bytes, 3);
        stdout::complain(format_args!("Successfully copied {size} to {destination}"));
    }
}

/// The container and the path in it, or a path here, which begins with `/` or `.` if it has a colon in it.
fn split(arg: &str) -> (Option<&str>, &str) {
    match arg.split_once(':') {
        Some((container, path)) if !container.starts_with(['/', '.']) => {
            (Some(container).filter(|c| !c.is_empty()), path)
        }
        _ => (None, arg),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_makes_a_container() {
        for (arg, container, path) in [
            ("c1:/etc/passwd", Some("c1"), "/etc/passwd"),
            ("c1:rel:ative", Some("c1"), "rel:ative"),
            ("c1:", Some("c1"), ""),
            ("/tmp/a:b", None, "/tmp/a:b"),
            ("./a:b", None, "./a:b"),
            ("../a:b", None, "../a:b"),
            ("file", None, "file"),
            ("-", None, "-"),
        ] {
            assert_eq!(split(arg), (container, path), "{arg}");
        }
    }
}
