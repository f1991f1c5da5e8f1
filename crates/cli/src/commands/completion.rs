//! `completion`: commands and options for the shell's Tab key.

use clap_complete::{Shell, generate};

use crate::app;
use crate::output::failure::Failure;
use crate::output::stdout;

/// Generate the autocompletion script for the specified shell
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "bash|zsh|fish|elvish|powershell")]
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// It cannot be printed.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut tree = app::tree();
    let name = tree.get_name().to_owned();
    generate(args.shell, &mut tree, name, &mut script);
    stdout::print_bytes(&script)
}
