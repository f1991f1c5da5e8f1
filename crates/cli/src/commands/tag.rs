//! `tag`: a name for an image.

use model::Reference;

use crate::context::Context;
use crate::output::failure::Failure;

/// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

/// Tags.
///
/// # Errors
/// A name is none, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let no_name = |text: &str, err: model::Error| {
        Failure::plain(format_args!("Error parsing reference: {text:?} is not a valid repository/tag: {err}"))
    };
    Reference::parse_any(&args.source).map_err(|err| no_name(&args.source, err))?;
    let target = Reference::parse(&args.target).map_err(|err| no_name(&args.target, err))?;
    if target.digest().is_some() {
        return Err(Failure::plain("refusing to create a tag with a digest reference"));
    }
    let engine = context.write()?;
    let image = engine.find_image(&args.source)?;
    Ok(engine.tag(&image, &target.with_default_tag())?)
}
