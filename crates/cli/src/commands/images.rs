//! `images`: lists images.

use std::collections::HashMap;
use std::rc::Rc;

use engine::Engine;
use engine::containers::ListContainers;
use engine::images::ImageSummary;
use model::{ImageId, Reference, Timestamp};

use crate::context::Context;
use crate::options::{ListingFilter, ListingFormat};
use crate::output::failure::Failure;
use crate::output::filter::{Filter, Filters};
use crate::output::listing::Listing;
use crate::output::stdout;
use crate::rows::Show;
use crate::rows::image::{ImageRow, NAMED, NAMED_WITH_DIGESTS};
use crate::until;

/// List images
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show all images (default hides intermediate images)
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    #[command(flatten)]
    filter: ListingFilter,
    #[command(flatten)]
    format: ListingFormat,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// Lists images, the newest first.
///
/// # Errors
/// The format's, a filter's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let named = if args.digests { NAMED_WITH_DIGESTS } else { NAMED };
    let mut format = args.format.format.clone();
    if args.digests && format.starts_with("table ") && !format.contains("{{.Digest}}") {
        format += r"\t{{.Digest}}";
    }
    let listing: Listing<ImageRow> = Listing::parse(&format, args.quiet, &named)?;
    let name = args.name.iter().map(|name| Filter::new("reference", name));
    let filters = Filters::new(args.filter.filter.iter().cloned().chain(name), &FILTERS)?;

    let engine = context.read()?;
    let show = Rc::new(Show::new(args.no_trunc));
    let mut images = selected(&engine, args.all, &filters, &show)?;
    if listing.uses("Containers") {
        count_containers(&engine, &mut images)?;
    }
    let digests = args.digests || listing.names("Digest");
    let rows = images.into_iter().flat_map(|image| ImageRow::of(image, digests, &show));
    stdout::print(&listing.render(rows)?)
}

/// The filters of `docker images`.
const FILTERS: [&str; 7] = ["before", "dangling", "label", "label!", "reference", "since", "until"];

/// The images that pass the filters, with those of their names that do.
fn selected(
    engine: &Engine,
    all: bool,
    filters: &Filters,
    show: &Show,
) -> Result<Vec<ImageSummary>, Failure> {
    let dangling = filters.boolean("dangling")?;
    let latest = |key| -> Result<Vec<Timestamp>, Failure> {
        filters.values(key).map(|name| created(engine, name)).collect()
    };
    // Of several values Docker takes the last; all are the same to who gives one.
    let before = latest("before")?.into_iter().min();
    let since = latest("since")?.into_iter().max();
    let until = until_of(filters, show)?;
    let mut images = engine.list_images(all)?;
    images.retain(|image| {
        let time = image.created.unwrap_or(Timestamp::EPOCH);
        before.is_none_or(|limit| time < limit)
            && since.is_none_or(|limit| time > limit)
            && until.is_none_or(|limit| time < limit)
            && filters.labels(&image.labels)
    });
    if filters.has("reference") {
        let matches = |name: &Reference| -> Result<bool, Failure> {
            filters.values("reference").try_fold(false, |found, pattern| {
                Ok(found || name.matches(pattern).map_err(Failure::refused)?)
            })
        };
        for image in &mut images {
            image.tags = keep(std::mem::take(&mut image.tags), matches)?;
            image.digests = keep(std::mem::take(&mut image.digests), matches)?;
        }
        images.retain(|image| !is_dangling(image));
    }
    images.retain(|image| dangling.is_none_or(|wanted| wanted == is_dangling(image)));
    Ok(images)
}

/// Whether the image has no name.
fn is_dangling(image: &ImageSummary) -> bool {
    image.tags.is_empty() && image.digests.is_empty()
}

fn keep(
    names: Vec<Reference>,
    matches: impl Fn(&Reference) -> Result<bool, Failure>,
) -> Result<Vec<Reference>, Failure> {
    names
        .into_iter()
        .filter_map(|name| match matches(&name) {
            Ok(found) => found.then_some(Ok(name)),
            Err(failure) => Some(Err(failure)),
        })
        .collect()
}

/// When the image of a `before` or `since` was made.
fn created(engine: &Engine, name: &str) -> Result<Timestamp, Failure> {
    let wanted = engine.find_image(name)?;
    let image = engine.list_images(true)?.into_iter().find(|image| image.id == wanted);
    Ok(image.and_then(|image| image.created).unwrap_or(Timestamp::EPOCH))
}

/// The moment of the filter `until`, if it was given.
///
/// # Errors
/// It was given more than once, or is no moment.
pub fn until_of(filters: &Filters, show: &Show) -> Result<Option<Timestamp>, Failure> {
    let mut values = filters.values("until");
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(text), None) => match until::parse(text, show.now, show.zone()) {
            Some(time) => Ok(Some(time)),
            None => Err(filters.refuse("until").into()),
        },
        (Some(_), Some(_)) => Err(Failure::refused("more than one until filter specified")),
    }
}

fn count_containers(engine: &Engine, images: &mut [ImageSummary]) -> Result<(), Failure> {
    let mut counts: HashMap<ImageId, usize> = HashMap::new();
    let all = ListContainers { all: true, ..ListContainers::default() };
    for image in engine.list_containers(&all)?.iter().filter_map(|container| container.image_id) {
        *counts.entry(image).or_default() += 1;
    }
    for image in images {
        image.containers = Some(counts.get(&image.id).copied().unwrap_or(0));
    }
    Ok(())
}
