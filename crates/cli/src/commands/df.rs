//! `system df`: what takes the space.

use std::rc::Rc;

use engine::containers::ContainerSummary;
use engine::df::DiskUsage;
use model::size;
use serde_json::{Value, json};

use crate::context::Context;
use crate::options::ListingFormat;
use crate::output::failure::Failure;
use crate::output::listing::{Listing, Named, Row};
use crate::output::{inspect, stdout};
use crate::rows::container::ContainerRow;
use crate::rows::image::ImageRow;
use crate::rows::usage::{NAMED, UsageRow};
use crate::rows::volume::VolumeRow;
use crate::rows::{Show, container, image, volume};

/// Show layercake disk usage
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: ListingFormat,
    /// Show detailed information on space usage
    #[arg(short, long)]
    verbose: bool,
}

/// Lists what takes the space: sums, or with `--verbose` each thing.
///
/// # Errors
/// The format's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let format = args.format.format.as_str();
    if args.verbose {
        let usage = context.read()?.disk_usage()?;
        return match format {
            "" | "table" => stdout::print(&details(usage)?),
            format => stdout::print(&inspect::line(format, &document(usage)?)?),
        };
    }
    let listing = Listing::parse(format, false, &NAMED)?;
    stdout::print(&listing.render(UsageRow::all(&context.read()?.disk_usage()?))?)
}

/// The rows of each kind.
struct Details {
    images: Vec<ImageRow>,
    containers: Vec<ContainerRow>,
    volumes: Vec<VolumeRow>,
}

impl Details {
    fn new(usage: DiskUsage, trunc: bool) -> Self {
        let show = Rc::new(Show::new(!trunc));
        // The images' sizes stand above.
        let own = |container| ContainerSummary { size_root_fs: None, ..container };
        Self {
            images: usage.images.into_iter().map(|image| ImageRow::first_of(image, &show)).collect(),
            containers: usage
                .containers
                .into_iter()
                .map(|container| ContainerRow::new(own(container), &show))
                .collect(),
            volumes: usage.volumes.into_iter().map(VolumeRow::used).collect(),
        }
    }
}

fn details(usage: DiskUsage) -> Result<String, Failure> {
    let build_cache = size::human(usage.build_cache.size);
    let rows = Details::new(usage, true);
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\n\
         Build cache usage: {build_cache}\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n",
        listed("", &image::NAMED_FOR_USAGE, rows.images)?,
        listed("", &container::NAMED_FOR_USAGE, rows.containers)?,
        listed("", &volume::NAMED_FOR_USAGE, rows.volumes)?,
    ))
}

fn document(usage: DiskUsage) -> Result<Value, Failure> {
    let rows = Details::new(usage, false);
    Ok(json!({
        "Images": objects(&image::NAMED, rows.images)?,
        "Containers": objects(&container::NAMED, rows.containers)?,
        "Volumes": objects(&volume::NAMED, rows.volumes)?,
        "BuildCache": [],
    }))
}

fn listed<R: Row>(format: &str, named: &Named, rows: Vec<R>) -> Result<String, Failure> {
    Listing::parse(format, false, named)?.render(rows)
}

/// The rows as JSON objects.
fn objects<R: Row>(named: &Named, rows: Vec<R>) -> Result<Vec<Value>, Failure> {
    listed("json", named, rows)?
        .lines()
        .map(|line| serde_json::from_str(line).map_err(Failure::plain))
        .collect()
}
