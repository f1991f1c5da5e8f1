//! `rmi`: removes images.

use engine::remove_image::{RemoveImage, Removed};

use super::each;
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Remove one or more images
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    /// Do not delete untagged parents
    #[arg(long)]
    no_prune: bool,
    #[command(flatten)]
    wait: Wait,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Removes, and says what was removed. With `--force`, an image that is not there is said, and no failure.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    let options = RemoveImage { force: args.force, no_prune: args.no_prune };
    let removed = each(&args.images, |image| match engine.remove_image(image, options) {
        Ok(removed) => stdout::print(&removed.iter().map(line).collect::<String>()),
        Err(err @ engine::Error::NoSuchImage(_)) if args.force => {
            stdout::complain(Failure::from(err));
            Ok(())
        }
        Err(err) => Err(err.into()),
    });
    context.reclaim(&engine, args.wait.wait).and(removed)
}

fn line(removed: &Removed) -> String {
    match removed {
        Removed::Untagged(name) => format!("Untagged: {name}\n"),
        Removed::Deleted(id) => format!("Deleted: {id}\n"),
    }
}
