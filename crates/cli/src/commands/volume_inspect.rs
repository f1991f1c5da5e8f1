//! `volume inspect`: everything about volumes.

use engine::volumes::VolumeSummary;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::inspect::documents;
use crate::context::Context;
use crate::options::DocumentFormat;
use crate::output::failure::Failure;

/// Display detailed information on one or more volumes
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: DocumentFormat,
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

/// Prints the documents of volumes.
///
/// # Errors
/// The format's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    documents(&args.format, &args.volumes, context, |engine, name| Ok(document(&engine.volume(name)?)))
}

/// What Docker prints of a volume, in its order.
pub fn document(volume: &VolumeSummary) -> Value {
    json!({
        "CreatedAt": volume.created.rfc3339_seconds(&TimeZone::system()),
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint.to_string_lossy(),
        "Name": volume.name.as_str(),
        "Options": volume.options,
        "Scope": "local",
    })
}
