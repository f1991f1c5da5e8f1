//! The hidden command that gives the space of removed things back while nobody waits.

use crate::context::Context;
use crate::output::failure::Failure;

/// The command's name.
pub const NAME: &str = "__reclaim";

/// Give the space of what was removed back
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Reclaims, after everybody else's work. Outlives the terminal that the removing command was typed in.
///
/// # Errors
/// The engine's; nobody reads them.
pub fn run(_: &Args, context: &Context) -> Result<(), Failure> {
    // Fails for the leader of a process group, who is typed at a prompt and not started by us.
    let _ = rustix::process::setsid();
    sys::process::lower_priority();
    // A store that was removed meanwhile must not come back.
    if !context.read()?.has_trash()? {
        return Ok(());
    }
    Ok(context.write()?.reclaim()?)
}
