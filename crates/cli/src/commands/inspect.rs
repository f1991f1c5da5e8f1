//! `inspect`: everything about images, containers and volumes.

use engine::{Engine, Error};
use serde_json::Value;

use super::volume_inspect;
use crate::context::Context;
use crate::options::DocumentFormat;
use crate::output::failure::Failure;
use crate::output::inspect::Inspect;
use crate::output::stdout;

/// Return low-level information on Docker objects
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: DocumentFormat,
    /// Display total file sizes if the type is container
    #[arg(short, long)]
    size: bool,
    /// Only inspect objects of the given type
    #[arg(long = "type", value_name = "string", default_value = "")]
    kind: String,
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

/// Display detailed information on one or more images
#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    #[command(flatten)]
    format: DocumentFormat,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Display detailed information on one or more containers
#[derive(Debug, clap::Args)]
pub struct ContainerArgs {
    #[command(flatten)]
    format: DocumentFormat,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Prints the documents of containers, images and volumes; a name that several have is the first's of these.
///
/// # Errors
/// The format's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let lookup: fn(&Engine, &str, bool) -> Result<Value, Error> = match args.kind.as_str() {
        "" => any,
        "image" => |engine, name, _| image(engine, name),
        "container" => container,
        "volume" => |engine, name, _| volume(engine, name),
        other => {
            return Err(Failure::plain(format_args!(
                "unknown type: {other:?}: must be one of \"container\", \"image\", \"volume\""
            )));
        }
    };
    documents(&args.format, &args.names, context, |engine, name| lookup(engine, name, args.size))
}

/// Prints the documents of images.
///
/// # Errors
/// As [`run`].
pub fn run_image(args: &ImageArgs, context: &Context) -> Result<(), Failure> {
    documents(&args.format, &args.images, context, image)
}

/// Prints the documents of containers.
///
/// # Errors
/// As [`run`].
pub fn run_container(args: &ContainerArgs, context: &Context) -> Result<(), Failure> {
    documents(&args.format, &args.containers, context, |engine, name| container(engine, name, args.size))
}

/// Prints what was found, and then fails if something was not.
pub(super) fn documents(
    format: &DocumentFormat,
    names: &[String],
    context: &Context,
    lookup: impl Fn(&Engine, &str) -> Result<Value, Error>,
) -> Result<(), Failure> {
    let inspect = Inspect::parse(&format.format)?;
    let engine = context.read()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        match lookup(&engine, name) {
            Ok(document) => found.push(document),
            Err(err) => failures.push(err.into()),
        }
    }
    let (text, unprinted) = inspect.print(&found);
    stdout::print(&text)?;
    failures.extend(unprinted);
    Failure::of_all(failures).map_or(Ok(()), Err)
}

fn image(engine: &Engine, name: &str) -> Result<Value, Error> {
    engine.inspect_image(&engine.find_image(name)?)
}

fn container(engine: &Engine, name: &str, size: bool) -> Result<Value, Error> {
    engine.inspect_container(&engine.find_container(name)?, size)
}

fn volume(engine: &Engine, name: &str) -> Result<Value, Error> {
    Ok(volume_inspect::document(&engine.volume(name)?))
}

fn any(engine: &Engine, name: &str, size: bool) -> Result<Value, Error> {
    match container(engine, name, size) {
        Err(Error::NoSuchContainer(_)) => {}
        found => return found,
    }
    match image(engine, name) {
        Err(Error::NoSuchImage(_)) => match volume(engine, name) {
            Err(Error::NoSuchVolume(_)) => Err(Error::NoSuchObject(name.to_owned())),
            found => found,
        },
        Ok(document) => {
            if size {
                stdout::complain("WARNING: --size ignored for image");
            }
            Ok(document)
        }
        failed => failed,
    }
}
