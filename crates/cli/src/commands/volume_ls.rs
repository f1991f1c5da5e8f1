//! `volume ls`: lists volumes.

use engine::volumes::VolumeSummary;

use crate::context::Context;
use crate::options::{ListingFilter, ListingFormat};
use crate::output::failure::Failure;
use crate::output::filter::Filters;
use crate::output::listing::Listing;
use crate::output::stdout;
use crate::rows::volume::{NAMED, VolumeRow};

/// List volumes
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filter: ListingFilter,
    #[command(flatten)]
    format: ListingFormat,
    /// Only display volume names
    #[arg(short, long)]
    quiet: bool,
}

/// The filters of `docker volume ls`.
const FILTERS: [&str; 4] = ["dangling", "driver", "label", "name"];

/// Lists volumes by name.
///
/// # Errors
/// The format's, a filter's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let listing: Listing<VolumeRow> = Listing::parse(&args.format.format, args.quiet, &NAMED)?;
    let filters = Filters::new(args.filter.filter.iter().cloned(), &FILTERS)?;
    let dangling = filters.boolean("dangling")?;
    let engine = context.read()?;
    let used = dangling.map(|_| engine.used_volumes()).transpose()?.unwrap_or_default();
    let takes = |volume: &VolumeSummary| {
        dangling.is_none_or(|dangling| dangling != used.contains(volume.name.as_str()))
            && filters.regex("name", volume.name.as_str())
            && filters.exact("driver", "local")
            && filters.labels(&volume.labels.clone().unwrap_or_default())
    };
    let volumes = engine.list_volumes()?.into_iter().filter(takes);
    stdout::print(&listing.render(volumes.map(VolumeRow::listed))?)
}
