//! `version`: which layercake this is.

use serde_json::json;

use crate::options::DocumentFormat;
use crate::output::failure::Failure;
use crate::output::{inspect, stdout};

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Show the layercake version information
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: DocumentFormat,
}

/// What `--version` prints.
pub fn line() -> String {
    format!("layercake version {VERSION}")
}

/// Prints the version. There is a server only because scripts ask for `{{.Server.Version}}`: it is the same program.
///
/// # Errors
/// The format's.
pub fn run(args: &Args) -> Result<(), Failure> {
    let platform = model::Platform::host();
    let (os, arch) = (&platform.os, &platform.architecture);
    let document = json!({
        "Client": {"Version": VERSION, "Os": os, "Arch": arch},
        "Server": {"Version": VERSION, "Os": os, "Arch": arch, "KernelVersion": sys::process::kernel_release()},
    });
    if args.format.format.is_empty() {
        return stdout::print(&format!(
            "Client:\n Version:           {VERSION}\n OS/Arch:           {os}/{arch}\n\n\
             Server:\n Engine:\n  Version:          {VERSION}\n  OS/Arch:          {os}/{arch}\n"
        ));
    }
    stdout::print(&inspect::line(&args.format.format, &document)?)
}
