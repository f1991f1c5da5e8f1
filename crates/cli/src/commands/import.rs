//! `import`: an image of an archive of files.

use std::io::{self, IsTerminal};
use std::path::Path;

use engine::import::ImportOptions;
use model::Platform;

use crate::context::Context;
use crate::options::{input_file, new_name, standard_input};
use crate::output::failure::Failure;
use crate::output::{progress, stdout};

/// Import the contents from a tarball to create a filesystem image
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long, value_name = "string", default_value = "")]
    message: String,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string", value_parser = Platform::parse)]
    platform: Option<Platform>,
    #[arg(value_name = "file|-")]
    source: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// Imports, and prints the new image's ID.
///
/// # Errors
/// There is no input, the name is none, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let reference = args.name.as_deref().map(new_name).transpose()?;
    let input = match args.source.as_str() {
        "-" if io::stdin().is_terminal() => {
            return Err(Failure::plain("requested import from stdin, but stdin is a terminal"));
        }
        "-" => standard_input(),
        url if url.starts_with("http://") || url.starts_with("https://") => {
            let hint = format!("curl -fL {url} | layercake import -");
            return Err(Failure::refused("layercake imports files and standard input, not URLs").hint(hint));
        }
        path => input_file(Path::new(path))?,
    };
    let engine = context.write()?;
    let options = ImportOptions {
        reference,
        message: args.message.clone(),
        changes: args.change.clone(),
        platform: args.platform.clone(),
    };
    let image = engine.import(input, &options, &*progress::on_terminal())?;
    stdout::print(&format!("{image}\n"))
}
