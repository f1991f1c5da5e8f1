//! The process that leaves nothing of a tour behind, however the tour ends: at its end, by Ctrl-C, or killed.
//!
//! It makes the tour's directory, says so with a line, and waits for the end of its standard input. The other end of
//! that pipe is with the tour and, as their standard input, with the commands that the tour runs; the kernel closes it
//! when the last of them is gone. A byte in the pipe means that the user wants to keep the directory.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::output::failure::Failure;
use crate::output::stdout;
use crate::rootless;

/// The name of the hidden command.
pub const NAME: &str = "__tour-janitor";

/// The store, in the tour's directory.
pub const STORE: &str = "store";

/// Clean up after a tour
#[derive(Debug, clap::Args)]
pub struct Args {
    dir: PathBuf,
}

/// Makes the directory (0700), waits, and removes it with its mounts.
///
/// # Errors
/// It cannot be made, or not be removed.
pub fn run(args: &Args) -> Result<(), Failure> {
    // First of all: from now on a Ctrl-C or the end of the terminal is for the tour only.
    let _ = rustix::process::setsid();
    let (parent, name) =
        args.dir.parent().zip(args.dir.file_name()).ok_or_else(|| refused("no directory"))?;
    let parent = sys::dir::open_path(parent).map_err(refused)?;
    sys::dir::mkdir(&parent, name, 0o700).map_err(refused)?;
    stdout::print("ready\n")?;
    let mut said = Vec::new();
    // An input that cannot be read has ended.
    let _ = std::io::stdin().lock().read_to_end(&mut said);
    if said.is_empty() { remove(&args.dir, &parent, name) } else { Ok(()) }
}

/// An ordinary user's mounts are in the namespace of his store, and the kernel leaves directories behind that only that
/// namespace's user 0 may open.
fn remove(dir: &Path, parent: &sys::OwnedFd, name: &OsStr) -> Result<(), Failure> {
    // Without a namespace, there are no mounts either.
    let session = rootless::enter(&rootless::Options { root: dir.join(STORE), create: false });
    let mounts = sys::mount::table(dir).map_err(refused)?;
    for mount in mounts.iter().rev() {
        sys::mount::detach(&mount.target).map_err(refused)?;
    }
    let removed = sys::tree::remove(parent, name);
    drop(session);
    removed.map_err(refused)
}

fn refused(err: impl std::fmt::Display) -> Failure {
    Failure::refused(err)
}
