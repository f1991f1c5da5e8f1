//! `logout`: forget the password for a registry.

use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;
use crate::registry::Authfile;

use super::login::{Server, warn_of_environment};

/// What Docker's help says, but for its daemon.
const ABOUT: &str = "\
Log out from a registry.
Defaults to Docker Hub if no server is specified.";

/// Log out from a registry
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    #[command(flatten)]
    authfile: Authfile,
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

/// Forgets the credentials. That there are none is no error, and neither is, as with Docker, that they stay.
///
/// # Errors
/// The file of credentials cannot be read.
pub fn run(args: &Args, _context: &Context) -> Result<(), Failure> {
    warn_of_environment();
    let mut file = args.authfile.open()?;
    let server = Server::new(args.server.as_deref());
    stdout::print(&format!("Removing login credentials for {}\n", server.key))?;
    if let Err(err) = file.erase(args.server.as_deref().unwrap_or(&server.key)) {
        stdout::complain(format_args!("WARNING: could not erase credentials:\n{}: {err}", server.key));
    }
    Ok(())
}
