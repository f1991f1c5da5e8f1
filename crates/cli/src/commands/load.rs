//! `load`: images from an archive.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use engine::load::{LoadOptions, Loaded};
use model::Platform;

use crate::context::Context;
use crate::options::{input_file, standard_input};
use crate::output::failure::Failure;
use crate::output::{progress, stdout};

/// Load an image from a tar archive or STDIN
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read from tar archive file or OCI layout directory, instead of STDIN
    #[arg(short, long, value_name = "string")]
    input: Option<PathBuf>,
    /// Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")
    #[arg(long, value_name = "string", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
}

/// Loads, and names what was loaded.
///
/// # Errors
/// There is no input, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let input = match &args.input {
        Some(path) if path != Path::new("-") => input_file(path)?,
        _ if io::stdin().is_terminal() => {
            return Err(Failure::plain("requested load from stdin, but stdin is empty"));
        }
        _ => standard_input(),
    };
    let engine = context.write()?;
    let options = LoadOptions { platform: args.platform.clone(), image: None };
    let loaded = engine.load(input, &options, &*progress::for_stderr(args.quiet))?;
    stdout::print(&loaded.iter().map(report).collect::<String>())
}

/// Docker's lines for one image.
pub(super) fn report(loaded: &Loaded) -> String {
    let mut text = String::new();
    for (name, old) in &loaded.renamed {
        let name = name.familiar();
        text +=
            &format!("The image {name} already exists, renaming the old one with ID {old} to empty string\n");
    }
    for name in &loaded.references {
        text += &format!("Loaded image: {}\n", name.familiar());
    }
    if loaded.references.is_empty() {
        text += &format!("Loaded image ID: {}\n", loaded.image);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ImageId, Reference};

    #[test]
    fn the_report_is_dockers() {
        let name = |text| Reference::parse(text).unwrap();
        let (new, old) = (ImageId::of(b"new"), ImageId::of(b"old"));
        let loaded = Loaded {
            image: new,
            references: vec![name("busybox:1"), name("localhost:5000/bb:2")],
            renamed: vec![(name("busybox:1"), old)],
        };
        let expected = format!(
            "The image busybox:1 already exists, renaming the old one with ID {old} to empty string\n\
             Loaded image: busybox:1\nLoaded image: localhost:5000/bb:2\n"
        );
        assert_eq!(report(&loaded), expected);
        let unnamed = Loaded { image: new, references: Vec::new(), renamed: Vec::new() };
        assert_eq!(report(&unnamed), format!("Loaded image ID: {new}\n"));
    }
}
