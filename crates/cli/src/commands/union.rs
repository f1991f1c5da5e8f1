//! `union`: directories shown as one.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgAction;

use crate::output::failure::Failure;
use crate::union::{Request, Subtype};

/// Mount several directories as one: OverlayFS in user space
#[derive(Debug, clap::Args)]
#[command(version, before_help = "-o lowerdir=DIR[:DIR...][,upperdir=DIR,workdir=DIR] TARGET")]
pub struct Args {
    /// Mount options, those of the kernel's overlay and of fuse-overlayfs: docs/union-options.md lists them
    #[arg(short, long, value_name = "list")]
    options: Vec<OsString>,
    /// Serve in the foreground, until the union is unmounted
    #[arg(short, long)]
    foreground: bool,
    /// The same: there is no trace
    #[arg(short, hide = true)]
    debug: bool,
    /// Serve with one thread
    #[arg(short, long)]
    single_threaded: bool,
    /// Print version information and quit
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: (),
    #[arg(value_name = "TARGET", num_args = 1..=2, required = true)]
    places: Vec<PathBuf>,
}

/// Mounts the union, and returns when it is mounted; in the foreground, when it is unmounted.
///
/// # Errors
/// An option that is not accepted; what keeps the union from being mounted.
pub fn run(args: &Args, subtype: Subtype) -> Result<(), Failure> {
    let (source, target) = match args.places.as_slice() {
        [target] => (None, target),
        [source, target] => (Some(source.clone().into_os_string()), target),
        _ => return Err(Failure::plain("there is no mount point")),
    };
    let mut options = args.options.clone();
    if args.single_threaded {
        options.push("max_threads=1".into());
    }
    let request = Request { options, source, target: target.clone(), subtype };
    if args.foreground || args.debug { request.serve() } else { request.start() }
}
