//! `commit`: an image of a container.

use engine::commit::CommitOptions;

use crate::context::Context;
use crate::options::new_name;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Create a new image from a container's changes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "string", default_value = "")]
    author: String,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "string", default_value = "")]
    message: String,
    /// Pause container during commit
    // No container runs here; scripts give the flag all the same.
    #[arg(short, long, default_value_t = true)]
    pause: bool,
    #[arg(value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// Commits, and prints the new image's ID.
///
/// # Errors
/// The name is none, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let reference = args.name.as_deref().map(new_name).transpose()?;
    let engine = context.write()?;
    let container = engine.find_container(&args.container)?;
    let options = CommitOptions {
        reference,
        author: args.author.clone(),
        message: args.message.clone(),
        changes: args.change.clone(),
    };
    let image = engine.commit(&container, &options)?;
    stdout::print(&format!("{image}\n"))
}
