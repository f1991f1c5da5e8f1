//! `volume create`: a new volume.

use engine::volumes::CreateVolume;

use crate::context::Context;
use crate::options::{KeyValue, labels};
use crate::output::failure::Failure;
use crate::output::stdout;

/// Create a volume
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Specify volume driver name
    #[arg(short, long, value_name = "string", default_value = "local")]
    driver: String,
    /// Set metadata for a volume
    #[arg(long, value_name = "list")]
    label: Vec<String>,
    /// Set driver specific options
    #[arg(short, long, value_name = "map")]
    opt: Vec<KeyValue>,
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

/// Creates, and prints the volume's name. One that is there stays as it is.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let wanted = CreateVolume {
        name: args.name.clone(),
        driver: args.driver.clone(),
        labels: labels(args.label.iter().map(String::as_str)),
        options: args.opt.iter().map(KeyValue::pair).collect(),
    };
    let name = context.write()?.create_volume(&wanted)?;
    stdout::print(&format!("{name}\n"))
}
