//! `mount`: the tree of a container as a directory.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use engine::Engine;
use engine::mount::Access;

use crate::context::Context;
use crate::options::ListingFormat;
use crate::output::failure::Failure;
use crate::output::listing::Listing;
use crate::output::stdout;
use crate::rows::Show;
use crate::rows::mount::{MountRow, NAMED};

/// Mount a container's filesystem and print its directory, or list what is mounted
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: ListingFormat,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Mount for reading only
    #[arg(long)]
    read_only: bool,
    #[arg(value_name = "CONTAINER")]
    container: Option<String>,
}

/// Mounts or lists. The mount stays when the command ends.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let Some(container) = &args.container else { return list(args, context) };
    let engine = context.write()?;
    let container = engine.find_container(container)?;
    let path = engine.mount(&container, if args.read_only { Access::Read } else { Access::Write })?;
    let mut line = reach(&engine, context, path).as_os_str().as_bytes().to_vec();
    line.push(b'\n');
    stdout::print_bytes(&line)
}

/// How the user's other programs reach a container's tree. Without root, a mount is seen only through the process that
/// keeps its namespace. A driver that mounts nothing needs no such process, so it may end at any time.
fn reach(engine: &Engine, context: &Context, path: PathBuf) -> PathBuf {
    if engine.driver().capabilities().mounts { context.outside_path(&path) } else { path }
}

fn list(args: &Args, context: &Context) -> Result<(), Failure> {
    let format = &args.format.format;
    let listing: Listing<MountRow> = Listing::parse(format, format.is_empty(), &NAMED)?;
    let engine = context.read()?;
    let show = Rc::new(Show::new(args.no_trunc));
    let rows = engine.mounts()?.into_iter().map(|(id, path)| MountRow {
        id,
        path: reach(&engine, context, path),
        show: Rc::clone(&show),
    });
    stdout::print(&listing.render(rows)?)
}
