//! `history`: the steps that made an image.

use std::rc::Rc;

use crate::context::Context;
use crate::options::ListingFormat;
use crate::output::failure::Failure;
use crate::output::listing::Listing;
use crate::output::stdout;
use crate::rows::Show;
use crate::rows::history::{HistoryRow, NAMED, NAMED_EXACTLY};

/// Show the history of an image
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: ListingFormat,
    /// Print sizes and dates in human readable format
    #[arg(short = 'H', long, default_value_t = true)]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    #[arg(value_name = "IMAGE")]
    image: String,
}

/// Lists the steps, the newest first.
///
/// # Errors
/// The format's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let named = if args.human { NAMED } else { NAMED_EXACTLY };
    let listing = Listing::parse(&args.format.format, args.quiet, &named)?;
    let engine = context.read()?;
    let items = engine.history(&engine.find_image(&args.image)?)?;
    let show = Rc::new(Show::new(args.no_trunc));
    let rows = items.into_iter().map(|item| HistoryRow { item, human: args.human, show: Rc::clone(&show) });
    stdout::print(&listing.render(rows)?)
}
